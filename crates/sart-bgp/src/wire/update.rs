//! UPDATE (RFC 4271 section 4.3): what it announces and withdraws, with every fault already paid for (RFC 7606). Must
//! never apply policy.

use ipnet::IpNet;

use super::attr::{Attributes, DecodedList, ListContext, NextHop, decode_list};
use super::fault::{Fault, FaultClass, Problem};
use super::reader::Reader;
use super::{code, nlri};
use crate::family::Family;

/// What the session negotiated, as far as UPDATEs depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateContext {
    /// AS numbers have four octets.
    pub as4: bool,
    /// The neighbour is internal (iBGP).
    pub internal: bool,
    /// Negotiated families.
    pub families: Vec<Family>,
}

/// What an UPDATE says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Prefixes withdrawn, those of a treat-as-withdraw included.
    pub withdrawn: Vec<IpNet>,
    /// Prefixes announced, by next hop.
    pub announced: Vec<Announced>,
    /// The attributes of everything announced.
    pub attributes: Attributes,
    /// The message was an End-of-RIB marker (RFC 4724 section 2).
    pub end_of_rib: Option<Family>,
    /// What was wrong and survived.
    pub faults: Vec<Fault>,
}

/// Prefixes announced with one next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Where to forward.
    pub next_hop: NextHop,
    /// The prefixes.
    pub prefixes: Vec<IpNet>,
}

/// The three parts of the body.
struct Parts<'a> {
    withdrawn: &'a [u8],
    attributes: &'a [u8],
    nlri: &'a [u8],
}

impl Update {
    /// Reads a body.
    ///
    /// # Errors
    /// Only what ends the session: the prefixes cannot be told.
    pub fn decode(body: &[u8], context: &UpdateContext) -> Result<Self, Fault> {
        // Lengths that contradict the message's (RFC 4271 section 6.3).
        let parts = split(body).ok_or(reset(Problem::Length))?;
        let v4 = |bytes| nlri::decode(Family::IPV4_UNICAST, bytes).ok_or(reset(Problem::Prefix));
        let withdrawn = v4(parts.withdrawn)?;
        let nlri = v4(parts.nlri)?;
        let list_context =
            ListContext { as4: context.as4, internal: context.internal, families: &context.families };
        let list = decode_list(parts.attributes, list_context)?;
        let mut update = Self::assemble(withdrawn, nlri, list);
        if body.len() == EMPTY_BODY {
            update.end_of_rib = Some(Family::IPV4_UNICAST);
        }
        if !context.families.contains(&Family::IPV4_UNICAST) {
            update.drop_unnegotiated_v4();
        }
        Ok(update)
    }

    fn assemble(mut withdrawn: Vec<IpNet>, nlri: Vec<IpNet>, mut list: DecodedList) -> Self {
        list.check_mandatory(!nlri.is_empty());
        let mut end_of_rib = None;
        if let Some((family, prefixes)) = list.unreach.take() {
            let alone = withdrawn.is_empty() && nlri.is_empty() && list.reach.is_none();
            if alone && prefixes.is_empty() {
                end_of_rib = Some(family);
            }
            withdrawn.extend(prefixes);
        }
        let mut announced = Vec::new();
        let mut attributes = list.attributes;
        if list.faults.iter().any(|fault| fault.class == FaultClass::TreatAsWithdraw) {
            withdrawn.extend(nlri);
            withdrawn.extend(list.reach.into_iter().flat_map(|reach| reach.prefixes));
            attributes = Attributes::default();
        } else {
            let v4 = list.next_hop.filter(|_| !nlri.is_empty()).map(|address| Announced {
                next_hop: NextHop { address: address.into(), link_local: None },
                prefixes: nlri,
            });
            let reach = list.reach.and_then(|reach| {
                Some(Announced { next_hop: reach.next_hop.ok()?, prefixes: reach.prefixes })
            });
            announced.extend(v4.into_iter().chain(reach).filter(|part| !part.prefixes.is_empty()));
        }
        Self { withdrawn, announced, attributes, end_of_rib, faults: list.faults }
    }

    /// IPv4 unicast that was not negotiated is ignored like any other family.
    fn drop_unnegotiated_v4(&mut self) {
        let is_v4 = |prefix: &IpNet| Family::of_prefix(prefix) == Family::IPV4_UNICAST;
        let before = self.withdrawn.len() + self.announced.len();
        self.withdrawn.retain(|prefix| !is_v4(prefix));
        self.announced.retain(|part| !part.prefixes.iter().any(is_v4));
        self.end_of_rib = self.end_of_rib.filter(|family| *family != Family::IPV4_UNICAST);
        if self.withdrawn.len() + self.announced.len() != before {
            self.faults.push(Fault {
                code: 0,
                problem: Problem::Family,
                class: FaultClass::AttributeDiscard,
            });
        }
    }
}

/// A body with nothing in it: two zero lengths.
const EMPTY_BODY: usize = 4;

fn split(body: &[u8]) -> Option<Parts<'_>> {
    let mut reader = Reader::new(body);
    let withdrawn = reader.block16()?;
    let attributes = reader.block16()?;
    Some(Parts { withdrawn, attributes, nlri: reader.rest() })
}

const fn reset(problem: Problem) -> Fault {
    Fault { code: 0, problem, class: FaultClass::SessionReset }
}

impl DecodedList {
    /// RFC 7606 section 3 d. LOCAL_PREF is not asked for: without it the default counts.
    fn check_mandatory(&mut self, has_v4: bool) {
        if !has_v4 && self.reach.is_none() {
            return;
        }
        let missing = [
            (code::ORIGIN, !self.has_origin),
            (code::AS_PATH, !self.has_as_path),
            (code::NEXT_HOP, has_v4 && self.next_hop.is_none()),
        ];
        for (code, _) in missing.into_iter().filter(|(_, missing)| *missing) {
            if !self.faults.iter().any(|fault| fault.code == code) {
                let class = FaultClass::TreatAsWithdraw;
                self.faults.push(Fault { code, problem: Problem::Missing, class });
            }
        }
    }
}
