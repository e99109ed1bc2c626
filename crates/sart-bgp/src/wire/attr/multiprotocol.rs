//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 sections 3 and 4, RFC 2545). Must never guess at a family's layout.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{NextHop, next_hop, rule};
use crate::family::Family;
use crate::wire::fault::Problem;
use crate::wire::reader::Reader;
use crate::wire::{code, nlri};

/// MP_REACH_NLRI. The next hop is apart, because a bad one costs the routes and not the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub next_hop: Result<NextHop, Problem>,
    pub prefixes: Vec<IpNet>,
}

/// The family that either attribute begins with.
pub(crate) fn family(value: &[u8]) -> Option<Family> {
    let mut reader = Reader::new(value);
    Some(Family { afi: reader.u16()?, safi: reader.u8()? })
}

/// Reads MP_REACH_NLRI of a family with prefixes. A next hop length that the family does not have leaves the place of
/// the prefixes in doubt (RFC 7606 section 7.11).
pub(crate) fn decode_reach(family: Family, value: &[u8]) -> Result<Reach, Problem> {
    let mut reader = Reader::new(value);
    let (next_hop, _reserved) = reader
        .take(3)
        .and_then(|_| reader.block8())
        .and_then(|next_hop| Some((next_hop, reader.u8()?)))
        .ok_or(Problem::Length)?;
    let next_hop = decode_next_hop(family, next_hop).ok_or(Problem::Length)?;
    let prefixes = nlri::decode(family, reader.rest()).ok_or(Problem::Prefix)?;
    let usable = next_hop::is_host(next_hop.address);
    Ok(Reach { next_hop: if usable { Ok(next_hop) } else { Err(Problem::Value) }, prefixes })
}

fn decode_next_hop(family: Family, bytes: &[u8]) -> Option<NextHop> {
    let mut reader = Reader::new(bytes);
    let address = match (family, bytes.len()) {
        (Family::IPV4_UNICAST, 4) => IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?)),
        (Family::IPV6_UNICAST, 16 | 32) => IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?)),
        _ => return None,
    };
    Some(NextHop { address, link_local: reader.array::<16>().map(Ipv6Addr::from) })
}

/// Reads MP_UNREACH_NLRI of a family with prefixes.
pub(crate) fn decode_unreach(family: Family, value: &[u8]) -> Result<Vec<IpNet>, Problem> {
    let prefixes = value.get(3..).ok_or(Problem::Length)?;
    nlri::decode(family, prefixes).ok_or(Problem::Prefix)
}

fn family_octets(family: Family) -> [u8; 3] {
    let [high, low] = family.afi.to_be_bytes();
    [high, low, family.safi]
}

/// Appends MP_REACH_NLRI for already encoded prefixes.
pub(crate) fn encode_reach(out: &mut Vec<u8>, family: Family, next_hop: NextHop, prefixes: &[u8]) {
    let mut value = family_octets(family).to_vec();
    let mut address = match next_hop.address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    address.extend(next_hop.link_local.iter().flat_map(Ipv6Addr::octets));
    value.push(address.len() as u8);
    value.extend(address);
    value.push(0);
    value.extend_from_slice(prefixes);
    rule::put_known(out, code::MP_REACH, &value);
}

/// Appends MP_UNREACH_NLRI for already encoded prefixes.
pub(crate) fn encode_unreach(out: &mut Vec<u8>, family: Family, prefixes: &[u8]) {
    let mut value = family_octets(family).to_vec();
    value.extend_from_slice(prefixes);
    rule::put_known(out, code::MP_UNREACH, &value);
}
