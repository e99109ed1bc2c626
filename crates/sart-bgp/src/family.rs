//! Address families as BGP numbers them (RFC 4760). Names the families; must never decide what a session negotiates.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An (AFI, SAFI) pair. Any pair can be represented; [`Family::is_supported`] tells which ones have tables here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Family {
    /// Address family identifier (IANA "Address Family Numbers").
    pub afi: u16,
    /// Subsequent address family identifier (IANA "SAFI Namespace").
    pub safi: u8,
}

impl Family {
    /// IPv4 unicast.
    pub const IPV4_UNICAST: Self = Self { afi: 1, safi: 1 };
    /// IPv6 unicast.
    pub const IPV6_UNICAST: Self = Self { afi: 2, safi: 1 };
    /// EVPN (RFC 7432). Can be told apart on the wire; has no tables yet.
    pub const EVPN: Self = Self { afi: 25, safi: 70 };
    /// Every family with tables in this crate.
    pub const SUPPORTED: [Self; 2] = [Self::IPV4_UNICAST, Self::IPV6_UNICAST];

    /// The unicast family that `prefix` belongs to.
    #[must_use]
    pub const fn of_prefix(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::IPV4_UNICAST,
            IpNet::V6(_) => Self::IPV6_UNICAST,
        }
    }

    /// The unicast family whose addresses look like `address`.
    #[must_use]
    pub const fn of_address(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::IPV4_UNICAST,
            IpAddr::V6(_) => Self::IPV6_UNICAST,
        }
    }

    /// Whether this crate can decode and keep routes of the family.
    #[must_use]
    pub fn is_supported(self) -> bool {
        Self::SUPPORTED.contains(&self)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPV4_UNICAST => f.write_str("ipv4-unicast"),
            Self::IPV6_UNICAST => f.write_str("ipv6-unicast"),
            Self::EVPN => f.write_str("l2vpn-evpn"),
            Self { afi, safi } => write!(f, "afi-{afi}-safi-{safi}"),
        }
    }
}

/// Our addresses on the link that a connection runs over: next hops for what we export there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalAddresses {
    /// Next hop of IPv4 routes; without it none are exported on this session.
    pub v4: Option<Ipv4Addr>,
    /// Next hop of IPv6 routes; without it none are exported on this session.
    pub v6: Option<Ipv6Addr>,
}

impl LocalAddresses {
    /// The one address that a socket's own end shows. A shell that knows the interface may fill in the other family.
    #[must_use]
    pub const fn of(local: IpAddr) -> Self {
        match local {
            IpAddr::V4(v4) => Self { v4: Some(v4), v6: None },
            IpAddr::V6(v6) => Self { v4: None, v6: Some(v6) },
        }
    }

    /// The next hop to use for routes of `family`.
    #[must_use]
    pub fn next_hop(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::IPV4_UNICAST => self.v4.map(IpAddr::V4),
            Family::IPV6_UNICAST => self.v6.map(IpAddr::V6),
            _ => None,
        }
    }
}
