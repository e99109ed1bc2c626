//! Prefixes in the form of NLRI (RFC 4271 section 4.3, RFC 4760 section 5). Must never judge which prefixes are welcome.

use core::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::reader::Reader;
use crate::family::Family;

/// Reads prefixes until the end; `None` if one is too long or cut off (RFC 7606 section 5.3), or the family is not one
/// of prefixes.
pub(crate) fn decode(family: Family, bytes: &[u8]) -> Option<Vec<IpNet>> {
    let mut reader = Reader::new(bytes);
    let mut prefixes = Vec::new();
    while !reader.is_empty() {
        prefixes.push(match family {
            Family::IPV4_UNICAST => {
                let (len, octets) = decode_one::<4>(&mut reader)?;
                IpNet::V4(Ipv4Net::new(Ipv4Addr::from(octets), len).ok()?.trunc())
            }
            Family::IPV6_UNICAST => {
                let (len, octets) = decode_one::<16>(&mut reader)?;
                IpNet::V6(Ipv6Net::new(Ipv6Addr::from(octets), len).ok()?.trunc())
            }
            _ => return None,
        });
    }
    Some(prefixes)
}

fn decode_one<const N: usize>(reader: &mut Reader<'_>) -> Option<(u8, [u8; N])> {
    let len = reader.u8()?;
    let present = reader.take(usize::from(len).div_ceil(8))?;
    let mut octets = [0; N];
    octets.get_mut(..present.len())?.copy_from_slice(present);
    Some((len, octets))
}

/// Appends one prefix.
pub(crate) fn encode(prefix: &IpNet, out: &mut Vec<u8>) {
    let len = prefix.prefix_len();
    out.push(len);
    let octets = usize::from(len).div_ceil(8);
    match prefix {
        IpNet::V4(v4) => out.extend(v4.network().octets().iter().take(octets)),
        IpNet::V6(v6) => out.extend(v6.network().octets().iter().take(octets)),
    }
}

/// Octets that [`encode`] appends.
pub(crate) fn encoded_len(prefix: &IpNet) -> usize {
    1 + usize::from(prefix.prefix_len()).div_ceil(8)
}
