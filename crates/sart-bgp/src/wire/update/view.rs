//! A received UPDATE read in place: routes stay in the message, attributes are written once in canonical form into a
//! scratch buffer that is used again for the next message. Decides which routes count as withdrawn; must never
//! allocate for a message without faults.

use super::UpdateContext;
use crate::family::Family;
use crate::wire::attr::scan::{Scanned, scan};
use crate::wire::attr::{AttrBlock, NextHop};
use crate::wire::code;
use crate::wire::fault::{Fault, FaultClass, Problem, Reset};
use crate::wire::message::MAX_LEN;
use crate::wire::nlri::Nlri;
use crate::wire::reader::Reader;

/// Room for the canonical attributes of one message at a time, at most 65535 octets; keep it between messages.
#[derive(Clone, Debug)]
pub struct Scratch(Vec<u8>);

impl Default for Scratch {
    /// Enough for any message that is not extended.
    fn default() -> Self {
        Self(Vec::with_capacity(MAX_LEN))
    }
}

/// A received UPDATE. Withdrawals come first: a prefix that is withdrawn and announced by the same message is announced
/// (RFC 4271 section 4.3).
#[derive(Clone, Debug)]
pub struct UpdateView<'a> {
    withdrawn: [Nlri<'a>; 2],
    announced: [Option<Announcement<'a>>; 2],
    /// The announcements are to be taken as withdrawals.
    treat_as_withdraw: [Option<Nlri<'a>>; 2],
    attributes: AttrBlock<'a>,
    end_of_rib: Option<Family>,
    faults: Vec<Fault>,
}

/// Routes announced with one next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// Where to forward.
    pub next_hop: NextHop,
    /// The routes, at least one.
    pub nlri: Nlri<'a>,
}

/// A body with nothing in it: two zero lengths.
const EMPTY_BODY: usize = 4;

/// The three parts of the body.
struct Parts<'a> {
    withdrawn: Nlri<'a>,
    attributes: &'a [u8],
    nlri: Nlri<'a>,
}

impl<'a> UpdateView<'a> {
    /// Reads a body. The view lives until `scratch` is used for the next message.
    ///
    /// # Errors
    /// Only what ends the session: the routes cannot be told.
    pub fn parse(body: &'a [u8], context: &UpdateContext, scratch: &'a mut Scratch) -> Result<Self, Fault> {
        let mut parts = Parts::split(body, context)?;
        let mut found = scan(parts.attributes, context, &mut scratch.0)?;
        let has_v4 = !parts.nlri.is_empty();
        found.settle_next_hop(has_v4);
        found.check_mandatory(has_v4);
        found.check_readable(has_v4)?;
        let mut end_of_rib = parts.end_of_rib(body, &found);
        if !context.families.contains(&Family::IPV4_UNICAST) {
            parts.drop_v4(&mut found);
            end_of_rib = end_of_rib.filter(|family| *family != Family::IPV4_UNICAST);
        }
        let mut view = Self {
            withdrawn: [parts.withdrawn, found.unreach.unwrap_or(Nlri::empty(Family::IPV6_UNICAST))],
            announced: [None; 2],
            treat_as_withdraw: [None; 2],
            attributes: AttrBlock::default(),
            end_of_rib,
            faults: Vec::new(),
        };
        if found.withdraw {
            view.treat_as_withdraw = [Some(parts.nlri), found.reach.map(|reach| reach.nlri)];
        } else {
            view.announced = announced(&parts, &found);
            view.attributes = AttrBlock::new(&scratch.0);
        }
        view.faults = found.faults;
        Ok(view)
    }

    /// Everything withdrawn, what RFC 7606 treats so included; each part has at least one route.
    pub fn withdrawals(&self) -> impl Iterator<Item = Nlri<'a>> + use<'a> {
        let treated = self.treat_as_withdraw.into_iter().flatten();
        self.withdrawn.into_iter().chain(treated).filter(|nlri| !nlri.is_empty())
    }

    /// Everything announced: at most two parts, of which the first has IPv4 prefixes in the classic form.
    pub fn announcements(&self) -> impl Iterator<Item = Announcement<'a>> + use<'a> {
        self.announced.into_iter().flatten()
    }

    /// The attributes of everything announced, to be kept by their bytes; next hop and routes are not in them. Empty if
    /// the routes are to be withdrawn.
    #[must_use]
    pub const fn attributes(&self) -> AttrBlock<'a> {
        self.attributes
    }

    /// The family of an End-of-RIB marker (RFC 4724 section 2).
    #[must_use]
    pub const fn end_of_rib(&self) -> Option<Family> {
        self.end_of_rib
    }

    /// What was wrong and survived; the first 32.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }
}

fn announced<'a>(parts: &Parts<'a>, found: &Scanned<'a>) -> [Option<Announcement<'a>>; 2] {
    let next_hop = found.next_hop.and_then(Result::ok);
    let v4 = next_hop.map(|address| Announcement {
        next_hop: NextHop { address: address.into(), link_local: None },
        nlri: parts.nlri,
    });
    let reach =
        found.reach.and_then(|reach| Some(Announcement { next_hop: reach.next_hop.ok()?, nlri: reach.nlri }));
    [v4, reach].map(|part| part.filter(|part| !part.nlri.is_empty()))
}

impl<'a> Parts<'a> {
    /// Lengths that contradict the message's, or routes that cannot be told (RFC 4271 section 6.3).
    fn split(body: &'a [u8], context: &UpdateContext) -> Result<Self, Fault> {
        let mut reader = Reader::new(body);
        let blocks = reader.block16().zip(reader.block16());
        let (withdrawn, attributes) = blocks.ok_or(Reset(Problem::Length).of(0))?;
        let v4 = Family::IPV4_UNICAST;
        let path_ids = context.has_path_ids(v4);
        let check = |bytes| Nlri::check(v4, path_ids, bytes).ok_or(Reset(Problem::Prefix).of(0));
        Ok(Self { withdrawn: check(withdrawn)?, attributes, nlri: check(reader.rest())? })
    }

    fn end_of_rib(&self, body: &[u8], found: &Scanned<'_>) -> Option<Family> {
        if body.len() == EMPTY_BODY {
            return Some(Family::IPV4_UNICAST);
        }
        let alone = self.withdrawn.is_empty() && self.nlri.is_empty() && found.seen.only(code::MP_UNREACH);
        found.unreach.filter(|nlri| alone && nlri.is_empty()).map(|nlri| nlri.family())
    }

    /// IPv4 unicast that was not negotiated is ignored like any other family.
    fn drop_v4(&mut self, found: &mut Scanned<'_>) {
        if !self.withdrawn.is_empty() || !self.nlri.is_empty() {
            found.fault(0, Problem::Family, FaultClass::AttributeDiscard);
        }
        self.withdrawn = Nlri::empty(Family::IPV4_UNICAST);
        self.nlri = Nlri::empty(Family::IPV4_UNICAST);
    }
}

impl Scanned<'_> {
    /// Without routes in the classic form NEXT_HOP means nothing (RFC 4760 section 3).
    fn settle_next_hop(&mut self, has_v4: bool) {
        if let Some(next_hop) = self.next_hop.filter(|_| has_v4) {
            self.settle(code::NEXT_HOP, next_hop);
        }
        if let Some(reach) = self.reach {
            self.settle(code::MP_REACH, reach.next_hop);
        }
    }

    /// RFC 7606 section 3 d. LOCAL_PREF is not asked for: without it the default counts.
    fn check_mandatory(&mut self, has_v4: bool) {
        let has_reach = self.reach.is_some_and(|reach| !reach.nlri.is_empty());
        let mandatory = [
            (code::ORIGIN, has_v4 || has_reach),
            (code::AS_PATH, has_v4 || has_reach),
            (code::NEXT_HOP, has_v4),
        ];
        for (code, needed) in mandatory {
            if needed && !self.seen.has(code) {
                self.fault(code, Problem::Missing, FaultClass::TreatAsWithdraw);
            }
        }
    }

    /// RFC 7606 section 5.2: attributes with a fault but without routes leave in doubt whether the routes were found.
    fn check_readable(&self, has_v4: bool) -> Result<(), Fault> {
        match &self.withdrawing {
            Some(fault) if !has_v4 && !self.seen.has(code::MP_REACH) => {
                Err(Reset(fault.problem).of(fault.code))
            }
            _ => Ok(()),
        }
    }
}
