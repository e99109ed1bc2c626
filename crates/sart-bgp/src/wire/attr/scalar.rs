//! ORIGIN, MULTI_EXIT_DISC, LOCAL_PREF and ATOMIC_AGGREGATE: attributes of one value (RFC 4271 section 5.1).

use super::Origin;
use crate::wire::fault::Problem;

/// RFC 7606 section 7.1.
pub(crate) fn decode_origin(value: &[u8]) -> Result<Origin, Problem> {
    match value {
        [0] => Ok(Origin::Igp),
        [1] => Ok(Origin::Egp),
        [2] => Ok(Origin::Incomplete),
        [_] => Err(Problem::Value),
        _ => Err(Problem::Length),
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
pub(crate) fn decode_u32(value: &[u8]) -> Result<u32, Problem> {
    value.try_into().map(u32::from_be_bytes).map_err(|_| Problem::Length)
}

/// ATOMIC_AGGREGATE has no value (RFC 7606 section 7.6).
pub(crate) fn decode_empty(value: &[u8]) -> Result<(), Problem> {
    if value.is_empty() { Ok(()) } else { Err(Problem::Length) }
}
