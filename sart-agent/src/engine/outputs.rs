//! The desired states handed to the executors. Each is a single slot that holds only the newest: an executor that was busy
//! goes straight to what is wanted now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use sart_api::{BGPPeerStatus, NodeBGPStatus};
use tokio::sync::watch;

use crate::node::report::{NodeReport, PeerReports};
use crate::node::{Forwarding, ForwardingPlan, LoopStoppers, Plan, SpeakerPlan};

/// What the speaker must hold, and when the endpoint event behind it arrived.
#[derive(Clone, Debug)]
pub struct SpeakerOrder {
    /// Desired state.
    pub plan: SpeakerPlan,
    /// Arrival of the EndpointSlice event that led to it, if one did.
    pub since: Option<Instant>,
}

/// What the status writer compares and writes.
#[derive(Clone, Debug, Default)]
pub struct StatusOrder {
    /// Own report; `None` without a NodeBGP.
    pub node: Option<NodeReport>,
    /// Losses of the speaker.
    pub node_backoff: u32,
    /// Status as last seen in the API.
    pub node_status: NodeBGPStatus,
    /// Sessions by peer.
    pub peers: PeerReports,
    /// Losses by peer.
    pub peer_backoffs: BTreeMap<String, u32>,
    /// Statuses as last seen in the API.
    pub peer_statuses: BTreeMap<String, BGPPeerStatus>,
}

/// The engine's ends.
#[derive(Debug)]
pub struct Outputs {
    plan: Plan,
    speaker: watch::Sender<Option<SpeakerOrder>>,
    forwarding: watch::Sender<Option<ForwardingPlan>>,
    stoppers: watch::Sender<Option<LoopStoppers>>,
    peers: watch::Sender<Option<Vec<std::net::IpAddr>>>,
    announced: watch::Sender<Option<BTreeSet<IpNet>>>,
    status: watch::Sender<Arc<StatusOrder>>,
}

/// The executors' ends.
#[derive(Debug)]
pub struct Orders {
    /// For the speaker client.
    pub speaker: watch::Receiver<Option<SpeakerOrder>>,
    /// For the dataplane.
    pub forwarding: watch::Receiver<Option<ForwardingPlan>>,
    /// For the loop stoppers.
    pub stoppers: watch::Receiver<Option<LoopStoppers>>,
    /// Neighbour addresses, for the search of uplinks; `None` until they have been listed.
    pub peers: watch::Receiver<Option<Vec<std::net::IpAddr>>>,
    /// For the address book: own blocks that the speaker announces; `None` while that is not known.
    pub announced: watch::Receiver<Option<BTreeSet<IpNet>>>,
    /// For the status writer.
    pub status: watch::Receiver<Arc<StatusOrder>>,
}

/// Both ends of every slot.
pub fn orders() -> (Outputs, Orders) {
    let (speaker, speaker_orders) = watch::channel(None);
    let (forwarding, forwarding_orders) = watch::channel(None);
    let (stoppers, stopper_orders) = watch::channel(None);
    let (peers, peer_orders) = watch::channel(None);
    let (announced, announced_orders) = watch::channel(None);
    let (status, status_orders) = watch::channel(Arc::default());
    let outputs = Outputs { plan: Plan::default(), speaker, forwarding, stoppers, peers, announced, status };
    let orders = Orders {
        speaker: speaker_orders,
        forwarding: forwarding_orders,
        stoppers: stopper_orders,
        peers: peer_orders,
        announced: announced_orders,
        status: status_orders,
    };
    (outputs, orders)
}

impl Outputs {
    /// Hands out what differs from the last plan; true if anything does. The speaker goes first: it is on the short path.
    pub fn publish(&mut self, plan: Plan, since: Option<Instant>) -> bool {
        if plan.speaker != self.plan.speaker {
            self.speaker.send_replace(plan.speaker.clone().map(|plan| SpeakerOrder { plan, since }));
        }
        if plan.forwarding != self.plan.forwarding {
            self.forwarding.send_replace(plan.forwarding.clone());
        }
        if plan.stoppers != self.plan.stoppers {
            self.stoppers.send_replace(plan.stoppers.clone());
        }
        let changed = plan != self.plan;
        self.plan = plan;
        changed
    }

    /// The plan in force.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The dataplane has not yet reported the rows that were ordered.
    pub fn forwarding_pending(&self, reported: &Forwarding) -> bool {
        match (&self.plan.forwarding, reported) {
            (Some(plan), Forwarding::Serving { rows, refused, .. }) => {
                plan.rows.iter().any(|(vip, row)| rows.get(vip) != Some(row) && !refused.contains_key(vip))
            }
            _ => false,
        }
    }

    /// Names the neighbours whose links are looked for.
    pub fn neighbours(&self, addresses: Vec<std::net::IpAddr>) {
        self.peers.send_if_modified(|old| {
            let listed = Some(addresses);
            let changed = *old != listed;
            *old = listed;
            changed
        });
    }

    /// Says which own blocks the speaker announces.
    pub fn announced(&self, announced: Option<BTreeSet<IpNet>>) {
        self.announced.send_if_modified(|old| {
            let changed = *old != announced;
            *old = announced;
            changed
        });
    }

    /// Hands a report to the writer.
    pub fn report(&self, order: StatusOrder) {
        self.status.send_replace(Arc::new(order));
    }
}

#[cfg(test)]
mod tests {
    use super::orders;

    #[test]
    fn a_node_without_peers_is_told_so_once() {
        let (outputs, mut orders) = orders();
        assert!(orders.peers.borrow().is_none());
        outputs.neighbours(Vec::new());
        assert!(orders.peers.has_changed().unwrap());
        assert_eq!(*orders.peers.borrow_and_update(), Some(Vec::new()));
        outputs.neighbours(Vec::new());
        assert!(!orders.peers.has_changed().unwrap());
    }
}
