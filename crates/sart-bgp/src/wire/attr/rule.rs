//! Flags and fault class of every known attribute. The one table that says what a malformed attribute costs.

use crate::wire::code;
use crate::wire::fault::FaultClass;

pub(crate) const OPTIONAL: u8 = 0x80;
pub(crate) const TRANSITIVE: u8 = 0x40;
pub(crate) const PARTIAL: u8 = 0x20;
pub(crate) const EXTENDED_LENGTH: u8 = 0x10;

/// What holds for one attribute type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Its Optional and Transitive bits.
    pub flags: u8,
    /// The price of a wrong length or value (RFC 7606 section 7).
    pub malformed: FaultClass,
    /// Dropped unread when it comes from an external neighbour (RFC 7606 sections 7.5, 7.9, 7.10).
    pub internal_only: bool,
}

const fn rule_of(flags: u8, malformed: FaultClass) -> Rule {
    Rule { flags, malformed, internal_only: false }
}

/// The rule of a known type.
pub(crate) const fn rule(code: u8) -> Option<Rule> {
    use FaultClass::{AttributeDiscard, SessionReset, TreatAsWithdraw};
    Some(match code {
        code::ORIGIN | code::AS_PATH | code::NEXT_HOP => rule_of(TRANSITIVE, TreatAsWithdraw),
        code::MED => rule_of(OPTIONAL, TreatAsWithdraw),
        code::LOCAL_PREF => Rule { internal_only: true, ..rule_of(TRANSITIVE, TreatAsWithdraw) },
        code::ATOMIC_AGGREGATE => rule_of(TRANSITIVE, AttributeDiscard),
        code::AGGREGATOR => rule_of(OPTIONAL | TRANSITIVE, AttributeDiscard),
        code::COMMUNITIES | code::EXT_COMMUNITIES | code::LARGE_COMMUNITIES => {
            rule_of(OPTIONAL | TRANSITIVE, TreatAsWithdraw)
        }
        code::ORIGINATOR_ID | code::CLUSTER_LIST => {
            Rule { internal_only: true, ..rule_of(OPTIONAL, TreatAsWithdraw) }
        }
        // Without them the prefixes cannot be told (RFC 7606 section 5.3).
        code::MP_REACH | code::MP_UNREACH => rule_of(OPTIONAL, SessionReset),
        // RFC 6793 section 6.
        code::AS4_PATH | code::AS4_AGGREGATOR => rule_of(OPTIONAL | TRANSITIVE, AttributeDiscard),
        _ => return None,
    })
}

/// Appends flags, type, length and value.
pub(crate) fn put(out: &mut Vec<u8>, code: u8, flags: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(len) => out.extend([flags, code, len]),
        Err(_) => {
            out.extend([flags | EXTENDED_LENGTH, code]);
            out.extend((value.len() as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(value);
}

/// Appends a known attribute with its own flags.
pub(crate) fn put_known(out: &mut Vec<u8>, code: u8, value: &[u8]) {
    put(out, code, rule(code).map_or(OPTIONAL, |rule| rule.flags), value);
}
