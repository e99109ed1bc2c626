//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 sections 3 and 4, RFC 2545, RFC 8950). Must never guess at a family's
//! layout.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{NextHop, next_hop};
use crate::family::Family;
use crate::wire::fault::{Problem, Reset, Withdraw};
use crate::wire::nlri::Nlri;
use crate::wire::reader::Reader;
use crate::wire::update::UpdateContext;

/// MP_REACH_NLRI. The next hop is apart, because a bad one costs the routes and not the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach<'a> {
    pub next_hop: Result<NextHop, Withdraw>,
    pub nlri: Nlri<'a>,
}

/// The family that either attribute begins with. Without it nothing can be told about the routes.
pub(crate) fn family(value: &[u8]) -> Result<Family, Reset> {
    let mut reader = Reader::new(value);
    reader.u16().zip(reader.u8()).map(|(afi, safi)| Family { afi, safi }).ok_or(Reset(Problem::Length))
}

/// Reads MP_REACH_NLRI. A next hop length that the family does not have leaves the place of the routes in doubt
/// (RFC 7606 section 7.11).
pub(crate) fn decode_reach<'a>(value: &'a [u8], context: &UpdateContext) -> Result<Reach<'a>, Reset> {
    let family = family(value)?;
    let mut reader = Reader::new(value);
    let (next_hop, _reserved) = reader
        .take(3)
        .and_then(|_| reader.block8())
        .and_then(|next_hop| Some((next_hop, reader.u8()?)))
        .ok_or(Reset(Problem::Length))?;
    let next_hop = decode_next_hop(family, next_hop).ok_or(Reset(Problem::Length))?;
    let nlri = Nlri::check(family, context.has_path_ids(family), reader.rest());
    // RFC 8950 section 4: an IPv6 next hop of IPv4 routes has to be negotiated.
    let negotiated = family.afi != 1 || next_hop.address.is_ipv4() || context.extended_next_hop;
    let usable = negotiated && next_hop::is_host(next_hop.address);
    Ok(Reach {
        next_hop: if usable { Ok(next_hop) } else { Err(Withdraw(Problem::Value)) },
        nlri: nlri.ok_or(Reset(Problem::Prefix))?,
    })
}

fn decode_next_hop(family: Family, bytes: &[u8]) -> Option<NextHop> {
    let mut reader = Reader::new(bytes);
    let address = match (family.afi, bytes.len()) {
        (1 | 25, 4) => IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?)),
        (1 | 2, 16 | 32) | (25, 16) => IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?)),
        _ => return None,
    };
    let link_local = reader.array::<16>().map(Ipv6Addr::from).filter(Ipv6Addr::is_unicast_link_local);
    match (address, link_local) {
        // A router without a global address on the link leaves its place empty.
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), Some(only)) => {
            Some(NextHop { address: IpAddr::V6(only), link_local: None })
        }
        _ => Some(NextHop { address, link_local }),
    }
}

/// Reads MP_UNREACH_NLRI.
pub(crate) fn decode_unreach<'a>(value: &'a [u8], context: &UpdateContext) -> Result<Nlri<'a>, Reset> {
    let family = family(value)?;
    let routes = value.get(3..).ok_or(Reset(Problem::Length))?;
    Nlri::check(family, context.has_path_ids(family), routes).ok_or(Reset(Problem::Prefix))
}

/// The two fields that either attribute begins with.
pub(crate) const fn family_octets(family: Family) -> [u8; 3] {
    let [high, low] = family.afi.to_be_bytes();
    [high, low, family.safi]
}

/// Appends the next hop field of MP_REACH_NLRI: length, addresses and the reserved octet.
pub(crate) fn put_next_hop(next_hop: NextHop, out: &mut Vec<u8>) {
    let link_local = next_hop.link_local.map(|address| address.octets());
    let link_local = link_local.as_ref().map_or(&[][..], |octets| octets);
    match next_hop.address {
        IpAddr::V4(v4) => {
            out.push(4);
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.push(16 + link_local.len() as u8);
            out.extend_from_slice(&v6.octets());
            out.extend_from_slice(link_local);
        }
    }
    out.push(0);
}
