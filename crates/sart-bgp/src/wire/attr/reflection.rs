//! ORIGINATOR_ID and CLUSTER_LIST (RFC 4456 section 8; RFC 7606 sections 7.9 and 7.10). Only their bytes.

use core::net::Ipv4Addr;

use super::communities;
use crate::wire::fault::Problem;

pub(crate) fn decode_originator(value: &[u8]) -> Result<Ipv4Addr, Problem> {
    let octets: [u8; 4] = value.try_into().map_err(|_| Problem::Length)?;
    Ok(Ipv4Addr::from(octets))
}

pub(crate) fn decode_cluster_list(value: &[u8]) -> Result<Vec<Ipv4Addr>, Problem> {
    communities::decode::<4, _>(value, Ipv4Addr::from)
}
