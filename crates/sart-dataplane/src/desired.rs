//! What the agent wants this node to serve: virtual addresses and the endpoints behind them. Holds no decision.

use std::fmt;
use std::net::Ipv4Addr;

/// Transport protocol of a virtual address that the dataplane can translate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl Protocol {
    /// The number of the IPv4 header's protocol field.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// The protocol with this IPv4 protocol number, if the dataplane translates it.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// One address, port and protocol that clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VipId {
    /// The Service's external address.
    pub addr: Ipv4Addr,
    /// The Service's port (not the target port); never 0.
    pub port: u16,
    /// The Service port's protocol.
    pub protocol: Protocol,
}

impl fmt::Display for VipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.addr, self.port, self.protocol)
    }
}

/// The Service a virtual address belongs to; only used to name it in errors and metrics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One pod of this node behind a virtual address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The pod's address.
    pub addr: Ipv4Addr,
    /// The target port; never 0.
    pub port: u16,
    /// Says which pod it is (a hash of its UID, see [`identity`]): a pod that took over the address of another one is
    /// another endpoint, so that no flow of the old one reaches it.
    pub identity: u64,
    /// Keeps the flows it has and gets no new one (terminating, still serving).
    pub draining: bool,
}

/// A hash of a pod's UID for [`Endpoint::identity`] (FNV-1a, 64 bits), stable across processes and releases.
#[must_use]
pub fn identity(uid: &str) -> u64 {
    uid.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A virtual address and its endpoints on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredVip {
    /// What clients connect to.
    pub id: VipId,
    /// Whose it is.
    pub service: ServiceRef,
    /// Where its packets go. With none that takes new flows the address is programmed to drop them with a reason.
    pub endpoints: Vec<Endpoint>,
}

/// All virtual addresses this node serves in its maps; the order means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredTables {
    /// At most one entry per [`VipId`]; of two, the Service with the lower namespace and name wins.
    pub vips: Vec<DesiredVip>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_fnv_1a_and_differs_between_pods() {
        assert_eq!(identity(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(identity("a"), 0xaf63_dc4c_8601_ec8c);
        assert_ne!(identity("6f1c"), identity("6f1d"));
    }

    #[test]
    fn a_virtual_address_prints_as_people_write_it() {
        let id = VipId { addr: Ipv4Addr::new(10, 0, 1, 0), port: 53, protocol: Protocol::Udp };
        assert_eq!(id.to_string(), "10.0.1.0:53/UDP");
        assert_eq!(Protocol::from_number(Protocol::Udp.number()), Some(Protocol::Udp));
        assert_eq!(Protocol::from_number(132), None);
    }
}
