//! Whether kube-proxy serves an address and port: read from the nftables rules it wrote, through iptables-nft or in its
//! own nftables mode, and again on every change of them. Never writes a rule and never polls.
//!
//! Rules of the legacy iptables back end live elsewhere in the kernel and are not seen: there is then no proof.

mod expression;
mod watcher;

use std::collections::BTreeSet;
use std::net::IpAddr;

pub use watcher::ServiceRulesWatcher;

/// Layer 4 protocol of a Service port, by its IP protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// 6.
    Tcp,
    /// 17.
    Udp,
    /// 132.
    Sctp,
}

/// What kube-proxy serves, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceRules {
    served: BTreeSet<(IpAddr, u16, Protocol)>,
}

impl Protocol {
    /// From the IP protocol number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            132 => Some(Protocol::Sctp),
            _ => None,
        }
    }
}

impl ServiceRules {
    /// True if a rule sends packets to this address and port to a Service's endpoints.
    pub fn contains(&self, address: IpAddr, port: u16, protocol: Protocol) -> bool {
        self.served.contains(&(address, port, protocol))
    }

    /// Addresses of which one of the two serves a port that the other does not, sorted, without repeats.
    pub fn differing_addresses(&self, other: &Self) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> =
            self.served.symmetric_difference(&other.served).map(|(address, ..)| *address).collect();
        addresses.dedup();
        addresses
    }

    /// How many triples of address, port and protocol are served.
    pub fn len(&self) -> usize {
        self.served.len()
    }

    /// True if nothing is served.
    pub fn is_empty(&self) -> bool {
        self.served.is_empty()
    }
}

impl FromIterator<(IpAddr, u16, Protocol)> for ServiceRules {
    fn from_iter<I: IntoIterator<Item = (IpAddr, u16, Protocol)>>(served: I) -> Self {
        Self { served: served.into_iter().collect() }
    }
}

#[cfg(test)]
pub(crate) fn decode_any(bytes: &[u8], v6: bool) {
    expression::service_of_rule(bytes, v6);
    expression::service_of_element(bytes, v6);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_differ_once_however_many_ports_do() {
        let served = |list: &[([u8; 4], u16)]| -> ServiceRules {
            list.iter().map(|(address, port)| (IpAddr::from(*address), *port, Protocol::Tcp)).collect()
        };
        let before = served(&[([10, 0, 0, 1], 80), ([10, 0, 0, 2], 80), ([10, 0, 0, 2], 443)]);
        let after = served(&[([10, 0, 0, 1], 80), ([10, 0, 0, 3], 80)]);
        let expected = [[10, 0, 0, 2], [10, 0, 0, 3]].map(IpAddr::from);
        assert_eq!(before.differing_addresses(&after), expected);
        assert_eq!(after.differing_addresses(&before), expected);
        assert!(after.differing_addresses(&after).is_empty());
    }
}
