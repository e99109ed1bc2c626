//! What may come in: no loops, not our own addresses, and what the neighbour's import chain takes. Only judges; what was
//! received is kept either way, so that a changed rule needs nothing from the neighbour.

use core::net::IpAddr;

use super::RibConfig;
use super::answers::Answer;
use super::hops::Hops;
use super::otc;
use super::peer::{Peer, PeerConfig};
use super::sets::{SetId, Sets};
use super::summary::Summary;
use crate::policy::{Facts, NextHopChange, RejectReason, Signature, Verdict};
use crate::wire::attr::NextHop;

/// Why a neighbour's path may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Our AS number is in its AS path: a loop (RFC 4271 section 9.1.2).
    OwnAs,
    /// Our router id is its originator: a reflected loop (RFC 4456 section 8).
    OwnOriginator,
    /// Our cluster id is in its cluster list: a reflected loop (RFC 4456 section 8).
    OwnCluster,
    /// Its next hop is our own address (RFC 4271 section 5.1.3).
    OwnNextHop,
    /// Its AS path does not begin with the neighbour's AS (RFC 4271 section 6.3, enforced if configured).
    FirstAs,
    /// Its AS path has a set (RFC 9774, enforced if configured).
    AsSet,
    /// It may go to customers only, and this neighbour is none of those that may pass it on (RFC 9234 section 5).
    RouteLeak,
    /// A policy refuses it.
    Policy(RejectReason),
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::OwnAs,
        Self::OwnOriginator,
        Self::OwnCluster,
        Self::OwnNextHop,
        Self::FirstAs,
        Self::AsSet,
        Self::RouteLeak,
        Self::Policy(RejectReason::ProtectedPrefix),
        Self::Policy(RejectReason::OutsideRanges),
        Self::Policy(RejectReason::NoTransit),
        Self::Policy(RejectReason::NoPolicy),
        Self::Policy(RejectReason::Statement),
        Self::Policy(RejectReason::Default),
    ];

    /// The label for metrics and the API.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OwnAs => "own_as",
            Self::OwnOriginator => "own_originator",
            Self::OwnCluster => "own_cluster",
            Self::OwnNextHop => "own_next_hop",
            Self::FirstAs => "first_as",
            Self::AsSet => "as_set",
            Self::RouteLeak => "route_leak",
            Self::Policy(reason) => reason.reason(),
        }
    }

    /// As a path keeps it; never 0.
    pub(crate) fn code(self) -> u8 {
        Self::ALL.iter().position(|other| *other == self).map_or(u8::MAX, |at| at as u8 + 1)
    }

    pub(crate) fn of(code: u8) -> Option<Self> {
        usize::from(code).checked_sub(1).and_then(|at| Self::ALL.get(at)).copied()
    }
}

/// Why no path with these attributes may be used, if so; the same for every prefix of a family.
pub(crate) fn judge_set(
    config: &RibConfig,
    peer: &PeerConfig,
    (summary, otc): (&Summary, Option<u32>),
    (next_hop, own_next_hop): (Option<IpAddr>, Option<IpAddr>),
) -> Option<Refusal> {
    let enforced = peer.enforce_first_as && !peer.update.internal;
    if summary.has(Summary::OWN_AS) {
        Some(Refusal::OwnAs)
    } else if summary.has(Summary::OWN_ORIGINATOR) {
        Some(Refusal::OwnOriginator)
    } else if summary.has(Summary::OWN_CLUSTER) {
        Some(Refusal::OwnCluster)
    } else if next_hop == own_next_hop {
        Some(Refusal::OwnNextHop)
    } else if enforced && summary.neighbor_as != peer.asn {
        Some(Refusal::FirstAs)
    } else if config.reject_as_sets && summary.has(Summary::AS_SET) {
        Some(Refusal::AsSet)
    } else if otc::leaks(peer.role, peer.asn, otc) {
        Some(Refusal::RouteLeak)
    } else {
        None
    }
}

/// What the neighbour's import chain makes of a set for prefixes of that signature; the answer's set is held.
pub(crate) fn apply_chain(
    peer: &Peer,
    signature: Signature,
    received: SetId,
    (sets, hops): (&mut Sets, &mut Hops),
) -> Answer {
    let attributes = sets.attributes(received);
    let hop = sets.summary(received).hop;
    let next_hop = hops.get(hop).map(|hop| hop.address);
    let facts = Facts { attributes: &attributes, next_hop, source: peer.policy_source() };
    match peer.config.policies.import.judge(signature, &facts) {
        Verdict::Reject(rejection) => {
            Answer { set: SetId::NONE, refused: Refusal::Policy(rejection.reason).code() }
        }
        Verdict::Accept(changes) if changes.is_empty() => {
            sets.hold_again(received);
            Answer { set: received, refused: 0 }
        }
        Verdict::Accept(changes) => {
            let mut changed = attributes.clone();
            changes.apply(&mut changed);
            let hop = match changes.next_hop {
                Some(NextHopChange::Address(address)) => hops.hold(NextHop { address, link_local: None }),
                _ => {
                    hops.hold_again(hop);
                    hop
                }
            };
            let set = sets.hold_attributes(&changed, hop, hops);
            hops.release(hop);
            match set {
                Some(set) => Answer { set, refused: 0 },
                // What the policy adds fits no message any more: as if it had refused.
                None => Answer { set: SetId::NONE, refused: Refusal::Policy(RejectReason::Statement).code() },
            }
        }
    }
}
