//! NEXT_HOP (RFC 4271 section 5.1.3) and which addresses can be one. Must never judge reachability.

use core::net::{IpAddr, Ipv4Addr};

use crate::wire::fault::{Problem, Withdraw};

/// RFC 7606 section 7.3; an address that is no host's is a value fault (RFC 4271 section 6.3).
pub(crate) fn decode(value: &[u8]) -> Result<Ipv4Addr, Withdraw> {
    let octets: [u8; 4] = value.try_into().map_err(|_| Withdraw(Problem::Length))?;
    let address = Ipv4Addr::from(octets);
    if is_host(IpAddr::V4(address)) { Ok(address) } else { Err(Withdraw(Problem::Value)) }
}

/// Whether packets can be sent to that address as to one router.
pub(crate) fn is_host(address: IpAddr) -> bool {
    let reserved = match address {
        // 0.0.0.0/8 and 240.0.0.0/4 (RFC 1122 section 3.2.1.3, RFC 1112 section 4).
        IpAddr::V4(v4) => matches!(v4.octets(), [0 | 240..=255, ..]),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
    };
    !(reserved || address.is_unspecified() || address.is_loopback() || address.is_multicast())
}
