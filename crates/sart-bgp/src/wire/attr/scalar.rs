//! Attributes of one value: ORIGIN, MULTI_EXIT_DISC, LOCAL_PREF, ATOMIC_AGGREGATE (RFC 4271 section 5.1), ORIGINATOR_ID
//! (RFC 4456 section 8) and ONLY_TO_CUSTOMER (RFC 9234 section 5). Only their bytes.

use core::net::Ipv4Addr;

use super::Origin;
use crate::wire::fault::{Discard, Problem, Withdraw};

/// RFC 7606 section 7.1.
pub(crate) const fn decode_origin(value: &[u8]) -> Result<Origin, Withdraw> {
    match value {
        [0] => Ok(Origin::Igp),
        [1] => Ok(Origin::Egp),
        [2] => Ok(Origin::Incomplete),
        [_] => Err(Withdraw(Problem::Value)),
        _ => Err(Withdraw(Problem::Length)),
    }
}

pub(crate) const fn encode_origin(origin: Origin) -> [u8; 1] {
    match origin {
        Origin::Igp => [0],
        Origin::Egp => [1],
        Origin::Incomplete => [2],
    }
}

/// MULTI_EXIT_DISC and LOCAL_PREF (RFC 7606 sections 7.4 and 7.5).
pub(crate) fn decode_u32(value: &[u8]) -> Result<u32, Withdraw> {
    value.try_into().map(u32::from_be_bytes).map_err(|_| Withdraw(Problem::Length))
}

/// ATOMIC_AGGREGATE has no value (RFC 7606 section 7.6).
pub(crate) const fn decode_empty(value: &[u8]) -> Result<(), Discard> {
    if value.is_empty() { Ok(()) } else { Err(Discard(Problem::Length)) }
}

/// RFC 7606 section 7.9.
pub(crate) fn decode_originator(value: &[u8]) -> Result<Ipv4Addr, Withdraw> {
    decode_u32(value).map(Ipv4Addr::from)
}

/// RFC 9234 section 5; AS 0 is nobody's customer (RFC 7607).
pub(crate) fn decode_otc(value: &[u8]) -> Result<u32, Withdraw> {
    match decode_u32(value)? {
        0 => Err(Withdraw(Problem::Value)),
        asn => Ok(asn),
    }
}
