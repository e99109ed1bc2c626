//! What may come in: loops, our own addresses, protected prefixes and configured ranges. Only judges; the path is kept
//! either way, so that a changed rule needs nothing from the neighbour.

use ipnet::IpNet;

use super::RibConfig;
use super::destination::Path;
use super::peer::PeerConfig;
use crate::config::ImportPolicy;

/// Why a neighbour's path may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Our AS number is in its AS path: a loop (RFC 4271 section 9.1.2).
    OwnAs,
    /// Our router id is its originator: a reflected loop (RFC 4456 section 8).
    OwnOriginator,
    /// Its next hop is our own address (RFC 4271 section 5.1.3).
    OwnNextHop,
    /// It touches a protected prefix.
    ProtectedPrefix,
    /// No configured range has it.
    OutsideRanges,
}

impl Refusal {
    /// The label for metrics and the API.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OwnAs => "own_as",
            Self::OwnOriginator => "own_originator",
            Self::OwnNextHop => "own_next_hop",
            Self::ProtectedPrefix => "protected_prefix",
            Self::OutsideRanges => "outside_ranges",
        }
    }
}

/// Why a path may not be used, if so.
pub(crate) fn judge(config: &RibConfig, peer: &PeerConfig, prefix: &IpNet, path: &Path) -> Option<Refusal> {
    let own_next_hop = peer.next_hops.next_hop(crate::family::Family::of_prefix(prefix));
    if path.attributes.as_path.contains(config.asn) {
        Some(Refusal::OwnAs)
    } else if path.attributes.originator_id == Some(config.router_id) {
        Some(Refusal::OwnOriginator)
    } else if path.next_hop == own_next_hop {
        Some(Refusal::OwnNextHop)
    } else {
        judge_prefix(&config.import, prefix)
    }
}

fn judge_prefix(policy: &ImportPolicy, prefix: &IpNet) -> Option<Refusal> {
    // Everything else goes through it, so it takes nothing from a protected prefix that was not meant.
    if prefix.prefix_len() == 0 && policy.ranges.contains(prefix) {
        return None;
    }
    if policy.protected.iter().any(|protected| protected.contains(prefix) || prefix.contains(protected)) {
        return Some(Refusal::ProtectedPrefix);
    }
    let accepted = policy.accept_all || policy.ranges.iter().any(|range| range.contains(prefix));
    if accepted { None } else { Some(Refusal::OutsideRanges) }
}
