//! AGGREGATOR and AS4_AGGREGATOR (RFC 4271 section 5.1.7, RFC 6793 section 4.2).

use core::net::Ipv4Addr;

use super::Aggregator;
use crate::wire::fault::{Discard, Problem};
use crate::wire::open::AS_TRANS;
use crate::wire::reader::Reader;

/// `wide` is the form with four octets of AS number. A wrong length (RFC 7606 section 7.7) and AS 0 (RFC 7607
/// section 2) cost the attribute.
pub(crate) fn decode(value: &[u8], wide: bool) -> Result<Aggregator, Discard> {
    let mut reader = Reader::new(value);
    let asn = if wide { reader.u32() } else { reader.u16().map(u32::from) };
    let router_id = reader.u32().map(Ipv4Addr::from);
    match (asn, router_id) {
        (Some(0), Some(_)) if reader.is_empty() => Err(Discard(Problem::Value)),
        (Some(asn), Some(router_id)) if reader.is_empty() => Ok(Aggregator { asn, router_id }),
        _ => Err(Discard(Problem::Length)),
    }
}

/// The value of AGGREGATOR (`wide` or not) or AS4_AGGREGATOR (always wide).
pub(crate) fn encode(aggregator: Aggregator, wide: bool) -> Vec<u8> {
    let mut value = Vec::with_capacity(8);
    if wide {
        value.extend(aggregator.asn.to_be_bytes());
    } else {
        value.extend(u16::try_from(aggregator.asn).unwrap_or(AS_TRANS).to_be_bytes());
    }
    value.extend(aggregator.router_id.octets());
    value
}
