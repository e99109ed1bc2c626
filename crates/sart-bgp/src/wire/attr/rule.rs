//! Flags of every known attribute and who may send it: what can be told before the value is looked at. What a bad value
//! costs is in the signature of the function that reads it.

use crate::wire::code;
use crate::wire::fault::FaultClass;

pub(crate) const OPTIONAL: u8 = 0x80;
pub(crate) const TRANSITIVE: u8 = 0x40;
pub(crate) const PARTIAL: u8 = 0x20;
pub(crate) const EXTENDED_LENGTH: u8 = 0x10;

/// The flags of an attribute that is passed on without being known (RFC 4271 section 9).
pub(crate) const PASSED_ON: u8 = OPTIONAL | TRANSITIVE | PARTIAL;

/// What holds for one attribute type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Its Optional and Transitive bits.
    pub flags: u8,
    /// The price of other flags.
    pub bad_flags: FaultClass,
    /// From whom it is read.
    pub accepted: Accepted,
}

/// From whom an attribute is read; from anybody else it is dropped unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// From every neighbour.
    Always,
    /// From internal neighbours (RFC 7606 sections 7.5, 7.9, 7.10).
    Internal,
    /// From neighbours with two-octet AS numbers (RFC 6793 section 6).
    TwoOctet,
}

/// RFC 7606 section 3 c.
const fn with_flags(flags: u8) -> Rule {
    Rule { flags, bad_flags: FaultClass::TreatAsWithdraw, accepted: Accepted::Always }
}

/// The rule of a known type.
pub(crate) const fn rule(code: u8) -> Option<Rule> {
    Some(match code {
        code::ORIGIN | code::AS_PATH | code::NEXT_HOP | code::ATOMIC_AGGREGATE => with_flags(TRANSITIVE),
        code::MED | code::MP_REACH | code::MP_UNREACH => with_flags(OPTIONAL),
        code::LOCAL_PREF => Rule { accepted: Accepted::Internal, ..with_flags(TRANSITIVE) },
        code::ORIGINATOR_ID | code::CLUSTER_LIST => {
            Rule { accepted: Accepted::Internal, ..with_flags(OPTIONAL) }
        }
        code::AGGREGATOR
        | code::COMMUNITIES
        | code::EXT_COMMUNITIES
        | code::IPV6_EXT_COMMUNITIES
        | code::LARGE_COMMUNITIES
        | code::OTC
        | code::PREFIX_SID => with_flags(OPTIONAL | TRANSITIVE),
        code::AS4_PATH | code::AS4_AGGREGATOR => {
            Rule { accepted: Accepted::TwoOctet, ..with_flags(OPTIONAL | TRANSITIVE) }
        }
        // RFC 7311 section 3.2 and RFC 9552 section 8.2.2: whatever is wrong, only the attribute goes.
        code::AIGP | code::LINK_STATE => {
            Rule { bad_flags: FaultClass::AttributeDiscard, ..with_flags(OPTIONAL) }
        }
        _ => return None,
    })
}

/// Appends flags, type, length and value, which must fit two octets of length.
pub(crate) fn put(out: &mut Vec<u8>, code: u8, flags: u8, value: &[u8]) {
    put_header(out, code, flags, value.len());
    out.extend_from_slice(value);
}

/// Appends flags, type and length.
pub(crate) fn put_header(out: &mut Vec<u8>, code: u8, flags: u8, len: usize) {
    match u8::try_from(len) {
        Ok(len) => out.extend_from_slice(&[flags & !EXTENDED_LENGTH, code, len]),
        Err(_) => {
            let [high, low] = (len as u16).to_be_bytes();
            out.extend_from_slice(&[flags | EXTENDED_LENGTH, code, high, low]);
        }
    }
}

/// The flags a known attribute has of itself.
pub(crate) const fn flags_of(code: u8) -> u8 {
    match rule(code) {
        Some(rule) => rule.flags,
        None => PASSED_ON,
    }
}
