//! What a route manager is told: the multipath set of each prefix that neighbours announce. Only data.

use core::net::IpAddr;

use ipnet::IpNet;

/// The multipath set of a prefix learned from neighbours. Own prefixes never appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BestPath {
    /// The prefix.
    pub prefix: IpNet,
    /// Distinct next hops, sorted; empty is a withdrawal.
    pub next_hops: Vec<IpAddr>,
    /// Learned over iBGP.
    pub internal: bool,
}
