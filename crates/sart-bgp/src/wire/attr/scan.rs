//! The list of path attributes of a received UPDATE: walks it once, checks each attribute, charges each fault at the
//! price in its type, and writes what is kept in canonical form. Must never stop a session for a fault that leaves the
//! routes readable (RFC 7606).

use core::net::Ipv4Addr;

use super::block::{self, RawAttribute};
use super::multiprotocol::{self, Reach};
use super::rule::{self, Accepted, OPTIONAL, PARTIAL, TRANSITIVE};
use super::{aggregator, as_path, communities, next_hop, scalar, tlv};
use crate::wire::code;
use crate::wire::fault::{Discard, Fault, FaultClass, Problem, Reset, Survivable, Withdraw};
use crate::wire::nlri::Nlri;
use crate::wire::open::AS_TRANS;
use crate::wire::reader::Reader;
use crate::wire::update::UpdateContext;

/// Faults reported of one list: no neighbour can make us remember more of its nonsense.
pub(crate) const MAX_FAULTS: usize = 32;

/// What a list said besides the attributes kept.
#[derive(Debug, Default)]
pub(crate) struct Scanned<'a> {
    pub next_hop: Option<Result<Ipv4Addr, Withdraw>>,
    pub reach: Option<Reach<'a>>,
    pub unreach: Option<Nlri<'a>>,
    /// The first [`MAX_FAULTS`].
    pub faults: Vec<Fault>,
    /// The first fault that withdraws the routes, unless it is one of MP_UNREACH_NLRI.
    pub withdrawing: Option<Fault>,
    /// The routes are to be taken as withdrawn.
    pub withdraw: bool,
    pub seen: Seen,
}

/// The type codes that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen([u64; 4]);

impl Seen {
    const fn bit(code: u8) -> u64 {
        1 << (code & 63)
    }

    pub(crate) fn has(self, code: u8) -> bool {
        self.0.get(usize::from(code >> 6)).is_some_and(|word| word & Self::bit(code) != 0)
    }

    /// Whether it is new.
    fn insert(&mut self, code: u8) -> bool {
        let new = !self.has(code);
        if let Some(word) = self.0.get_mut(usize::from(code >> 6)) {
            *word |= Self::bit(code);
        }
        new
    }

    /// Whether only `code` came.
    pub(crate) fn only(self, code: u8) -> bool {
        let mut one = Self::default();
        one.insert(code);
        self == one
    }
}

/// A two-octet speaker's attributes, which wait for their four-octet companions.
#[derive(Debug, Default)]
struct Narrow<'a> {
    path: Option<&'a [u8]>,
    wide_path: Option<&'a [u8]>,
    aggregator: Option<(super::Aggregator, u8)>,
    wide_aggregator: Option<super::Aggregator>,
}

struct Scanner<'a, 's> {
    context: &'s UpdateContext,
    kept: &'s mut Vec<u8>,
    narrow: Narrow<'a>,
    found: Scanned<'a>,
}

/// Reads the list; `kept` is overwritten with the canonical form of what is kept.
pub(crate) fn scan<'a>(
    bytes: &'a [u8],
    context: &UpdateContext,
    kept: &mut Vec<u8>,
) -> Result<Scanned<'a>, Fault> {
    kept.clear();
    kept.reserve(bytes.len());
    let mut scanner = Scanner { context, kept, narrow: Narrow::default(), found: Scanned::default() };
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        match block::read(&mut reader) {
            Ok(raw) => scanner.take(raw)?,
            // The cut-off attribute may have held the routes; any other one did not (RFC 7606 section 4).
            Err(code @ (code::MP_REACH | code::MP_UNREACH)) => return Err(Reset(Problem::Overrun).of(code)),
            Err(code) => {
                scanner.found.fault(code, Problem::Overrun, FaultClass::TreatAsWithdraw);
                break;
            }
        }
    }
    scanner.merge_narrow();
    block::sort(scanner.kept, 0);
    Ok(scanner.found)
}

impl Scanned<'_> {
    pub(crate) fn fault(&mut self, code: u8, problem: Problem, class: FaultClass) {
        let fault = Fault { code, problem, class };
        if class == FaultClass::TreatAsWithdraw {
            self.withdraw = true;
            if code != code::MP_UNREACH && self.withdrawing.is_none() {
                self.withdrawing = Some(fault.clone());
            }
        }
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Books a fault that the routes survive; one that they do not has no such type.
    pub(crate) fn settle<T, E: Survivable>(&mut self, code: u8, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.fault(code, error.problem(), E::CLASS)).ok()
    }
}

impl<'a> Scanner<'a, '_> {
    fn take(&mut self, raw: RawAttribute<'a>) -> Result<(), Fault> {
        if !self.found.seen.insert(raw.code) {
            return self.take_repeated(raw.code);
        }
        let Some(rule) = rule::rule(raw.code) else { return self.take_unknown(raw) };
        match rule.accepted {
            Accepted::Internal if !self.context.internal => {
                self.found.fault(raw.code, Problem::NotFromExternal, FaultClass::AttributeDiscard);
                return Ok(());
            }
            Accepted::TwoOctet if self.context.as4 => return Ok(()),
            _ => {}
        }
        let flags_fit = raw.flags & (OPTIONAL | TRANSITIVE) == rule.flags;
        if !flags_fit {
            self.found.fault(raw.code, Problem::Flags, rule.bad_flags);
        }
        match raw.code {
            code::MP_REACH => self.take_reach(raw.value).map_err(|reset| reset.of(raw.code)),
            code::MP_UNREACH => self.take_unreach(raw.value).map_err(|reset| reset.of(raw.code)),
            _ if flags_fit => {
                self.take_value(raw);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// RFC 7606 section 3 g: the first one counts, except that two sets of routes end the session.
    fn take_repeated(&mut self, code: u8) -> Result<(), Fault> {
        if matches!(code, code::MP_REACH | code::MP_UNREACH) {
            return Err(Reset(Problem::Duplicate).of(code));
        }
        self.found.fault(code, Problem::Duplicate, FaultClass::AttributeDiscard);
        Ok(())
    }

    /// RFC 4271 section 9: transitive ones are passed on, others dropped; all well-known ones are known.
    fn take_unknown(&mut self, raw: RawAttribute<'_>) -> Result<(), Fault> {
        if raw.flags & OPTIONAL == 0 {
            return Err(Reset(Problem::Unrecognized).of(raw.code));
        }
        if raw.flags & TRANSITIVE != 0 {
            rule::put(self.kept, raw.code, rule::PASSED_ON, raw.value);
        }
        Ok(())
    }

    fn take_reach(&mut self, value: &'a [u8]) -> Result<(), Reset> {
        if self.is_negotiated(code::MP_REACH, value)? {
            self.found.reach = Some(multiprotocol::decode_reach(value, self.context)?);
        }
        Ok(())
    }

    fn take_unreach(&mut self, value: &'a [u8]) -> Result<(), Reset> {
        if self.is_negotiated(code::MP_UNREACH, value)? {
            self.found.unreach = Some(multiprotocol::decode_unreach(value, self.context)?);
        }
        Ok(())
    }

    /// RFC 4760 section 7 allows to ignore what was not negotiated; so nothing of it is looked at.
    fn is_negotiated(&mut self, code: u8, value: &[u8]) -> Result<bool, Reset> {
        let negotiated = self.context.families.contains(&multiprotocol::family(value)?);
        if !negotiated {
            self.found.fault(code, Problem::Family, FaultClass::AttributeDiscard);
        }
        Ok(negotiated)
    }

    fn take_value(&mut self, raw: RawAttribute<'a>) {
        let value = raw.value;
        match raw.code {
            code::ORIGIN => self.keep(raw, scalar::decode_origin(value)),
            code::AS_PATH => self.take_path(raw),
            // Judged when it is known whether routes hang on it.
            code::NEXT_HOP => self.found.next_hop = Some(next_hop::decode(value)),
            code::MED | code::LOCAL_PREF => self.keep(raw, scalar::decode_u32(value)),
            code::ATOMIC_AGGREGATE => self.keep(raw, scalar::decode_empty(value)),
            code::AGGREGATOR => self.take_aggregator(raw),
            code::COMMUNITIES => self.keep(raw, communities::check::<4>(value)),
            code::ORIGINATOR_ID => self.keep(raw, scalar::decode_originator(value)),
            code::CLUSTER_LIST => self.keep(raw, communities::check::<4>(value)),
            code::EXT_COMMUNITIES => self.keep(raw, communities::check::<8>(value)),
            code::IPV6_EXT_COMMUNITIES => self.keep(raw, communities::check::<20>(value)),
            code::LARGE_COMMUNITIES => self.take_large(raw),
            code::OTC => self.keep(raw, scalar::decode_otc(value)),
            code::AS4_PATH => {
                // RFC 6793 section 6.
                let path = as_path::check(value, true).map_err(Discard).map(|()| value);
                self.narrow.wide_path = self.found.settle(raw.code, path);
            }
            code::AS4_AGGREGATOR => {
                self.narrow.wide_aggregator = self.found.settle(raw.code, aggregator::decode(value, true));
            }
            _ => self.take_foreign(raw),
        }
    }

    /// What is checked only so that it does no harm. AIGP and BGP-LS end here in any case: they are not transitive.
    fn take_foreign(&mut self, raw: RawAttribute<'a>) {
        let result = match raw.code {
            code::AIGP => tlv::check_aigp(raw.value),
            code::LINK_STATE => tlv::check_link_state(raw.value),
            _ => tlv::check_prefix_sid(raw.value),
        };
        if self.found.settle(raw.code, result).is_some() && raw.flags & TRANSITIVE != 0 {
            rule::put(self.kept, raw.code, rule::PASSED_ON, raw.value);
        }
    }

    fn keep<T, E: Survivable>(&mut self, raw: RawAttribute<'_>, result: Result<T, E>) {
        if self.found.settle(raw.code, result).is_some() {
            rule::put(self.kept, raw.code, kept_flags(raw), raw.value);
        }
    }

    fn take_path(&mut self, raw: RawAttribute<'a>) {
        // RFC 7606 section 7.2.
        let result = as_path::check(raw.value, self.context.as4).map_err(Withdraw);
        if self.context.as4 {
            self.keep(raw, result);
        } else if self.found.settle(raw.code, result).is_some() {
            self.narrow.path = Some(raw.value);
        }
    }

    fn take_aggregator(&mut self, raw: RawAttribute<'_>) {
        let result = aggregator::decode(raw.value, self.context.as4);
        if self.context.as4 {
            self.keep(raw, result);
        } else {
            let found = self.found.settle(raw.code, result);
            self.narrow.aggregator = found.map(|aggregator| (aggregator, kept_flags(raw)));
        }
    }

    fn take_large(&mut self, raw: RawAttribute<'_>) {
        let Some(values) = self.found.settle(raw.code, communities::check::<12>(raw.value)) else { return };
        let start = self.kept.len();
        let count = communities::put_unique(values, self.kept);
        let end = self.kept.len();
        rule::put_header(self.kept, raw.code, kept_flags(raw), count * 12);
        let header = self.kept.len() - end;
        if let Some(list) = self.kept.get_mut(start..) {
            list.rotate_right(header);
        }
    }

    /// RFC 6793 section 4.2.3.
    fn merge_narrow(&mut self) {
        let mut narrow = core::mem::take(&mut self.narrow);
        if let Some((aggregator, flags)) = narrow.aggregator {
            let mut merged = aggregator;
            match narrow.wide_aggregator {
                Some(wide) if aggregator.asn == u32::from(AS_TRANS) => merged = wide,
                // An aggregate of a two-octet speaker since: what came before it no longer holds.
                Some(_) => narrow.wide_path = None,
                None => {}
            }
            rule::put(self.kept, code::AGGREGATOR, flags, &aggregator::encode(merged, true));
        }
        let Some(path) = narrow.path else { return };
        let mut len = 0;
        as_path::merge(path, narrow.wide_path, |piece| len += piece.len());
        if len + self.kept.len() > usize::from(u16::MAX) - 4 {
            // No message could carry what it widens to.
            self.found.fault(code::AS_PATH, Problem::Length, FaultClass::TreatAsWithdraw);
            return;
        }
        rule::put_header(self.kept, code::AS_PATH, rule::flags_of(code::AS_PATH), len);
        as_path::merge(path, narrow.wide_path, |piece| self.kept.extend_from_slice(piece));
    }
}

/// The bits that are kept: those of the type, and Partial where it means something (RFC 4271 section 4.3).
const fn kept_flags(raw: RawAttribute<'_>) -> u8 {
    let partial = if raw.flags & OPTIONAL != 0 && raw.flags & TRANSITIVE != 0 { PARTIAL } else { 0 };
    raw.flags & (OPTIONAL | TRANSITIVE | partial)
}
