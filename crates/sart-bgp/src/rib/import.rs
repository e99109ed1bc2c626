//! What may come in: no loops, not our own addresses, and what the neighbour's import chain takes. Only judges; what was
//! received is kept either way, so that a changed rule needs nothing from the neighbour.

use std::sync::Arc;

use ipnet::IpNet;

use super::RibConfig;
use super::destination::{Path, Received};
use super::intern::Interner;
use super::peer::PeerConfig;
use crate::family::Family;
use crate::policy::{Facts, NextHopChange, RejectReason, Verdict};
use crate::wire::attr::Attributes;

/// Why a neighbour's path may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Our AS number is in its AS path: a loop (RFC 4271 section 9.1.2).
    OwnAs,
    /// Our router id is its originator: a reflected loop (RFC 4456 section 8).
    OwnOriginator,
    /// Its next hop is our own address (RFC 4271 section 5.1.3).
    OwnNextHop,
    /// A policy refuses it.
    Policy(RejectReason),
}

impl Refusal {
    /// The label for metrics and the API.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OwnAs => "own_as",
            Self::OwnOriginator => "own_originator",
            Self::OwnNextHop => "own_next_hop",
            Self::Policy(reason) => reason.reason(),
        }
    }
}

/// The path as it may be used: with what the policy changes, or with why it may not.
pub(crate) fn judge(
    config: &RibConfig,
    peer: &PeerConfig,
    prefix: &IpNet,
    path: &Path,
    interner: &mut Interner,
) -> Path {
    let (Some(learned), Some(received)) = (path.learned, path.received.as_ref()) else { return path.clone() };
    let mut judged = Path {
        attributes: Arc::clone(&received.attributes),
        next_hop: Some(received.next_hop),
        refused: loops(config, peer, prefix, received),
        ..path.clone()
    };
    if judged.refused.is_some() {
        return judged;
    }
    let facts = Facts {
        attributes: &received.attributes,
        next_hop: Some(received.next_hop),
        source: learned.policy_source(),
    };
    match peer.policies.import.evaluate(prefix, &facts) {
        Verdict::Reject(rejection) => judged.refused = Some(Refusal::Policy(rejection.reason)),
        Verdict::Accept(changes) if changes.is_empty() => {}
        Verdict::Accept(changes) => {
            let mut attributes = Attributes::clone(&received.attributes);
            changes.apply(&mut attributes);
            judged.attributes = interner.intern(attributes);
            if let Some(NextHopChange::Address(address)) = changes.next_hop {
                judged.next_hop = Some(address);
            }
        }
    }
    judged
}

fn loops(config: &RibConfig, peer: &PeerConfig, prefix: &IpNet, received: &Received) -> Option<Refusal> {
    let own_next_hop = peer.next_hops.next_hop(Family::of_prefix(prefix));
    if received.attributes.as_path.contains(config.asn) {
        Some(Refusal::OwnAs)
    } else if received.attributes.originator_id == Some(config.router_id) {
        Some(Refusal::OwnOriginator)
    } else if Some(received.next_hop) == own_next_hop {
        Some(Refusal::OwnNextHop)
    } else {
        None
    }
}
