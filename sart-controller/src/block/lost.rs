//! When a block of a lost node may go to another node: the node is gone or out of service, the quarantine is over by the
//! wall clock and by this process's own, and every ready node has said that it sees no route to the block.

use core::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sart_api::AddressBlock;
use sart_api::condition::{self, Condition, LOST};

use super::observe::{Life, Observed};
use crate::meta;

/// What becomes of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fate {
    /// Its node is lost.
    pub is_lost: bool,
    /// It is deleted now, so that its slot is free.
    pub reuse: bool,
    /// What its status says.
    pub condition: Option<Condition>,
    /// When to look again, if nothing else changes.
    pub again: Option<Duration>,
}

/// Judges one block.
#[must_use]
pub fn judge(observed: &Observed, block: &AddressBlock, now: &Time) -> Fate {
    let node = block.spec.node_ref.clone().unwrap_or_default();
    let life = observed.nodes.get(&node).copied().unwrap_or(Life::Gone);
    if !life.is_lost() {
        let was = block.status.as_ref().is_some_and(|s| condition::find(&s.conditions, LOST).is_some());
        let back = || Condition::new(LOST, "False", "NodeIsBack", format!("node {node} is there"));
        return Fate { condition: was.then(back), ..Fate::default() };
    }
    let left = left(observed, block, now);
    let doubts = observed.doubts.get(&block.spec.cidr).filter(|doubts| !doubts.is_empty());
    let (reason, why) = match life {
        Life::OutOfService => ("OutOfService", "is out of service"),
        Life::Gone | Life::Alive => ("NodeGone", "is gone"),
    };
    let waits = match doubts {
        None => "no ready node sees a route to it".to_owned(),
        Some(nodes) => {
            let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
            format!("these nodes see a route to it or have not said: {}", nodes.join(", "))
        }
    };
    let quarantine = observed.quarantine.as_secs();
    let message = format!("node {node} {why}; reuse waits for a quarantine of {quarantine} s; {waits}");
    Fate {
        is_lost: true,
        reuse: left.is_zero() && doubts.is_none() && is_marked(block),
        condition: Some(Condition::new(LOST, "True", reason, message)),
        again: (!left.is_zero()).then_some(left),
    }
}

/// What is left of the quarantine. A clock that jumps forward does not shorten it, nor does a restart.
fn left(observed: &Observed, block: &AddressBlock, now: &Time) -> Duration {
    let quarantine = observed.quarantine;
    let here = observed.lost_for.get(meta::uid(block)).copied().unwrap_or_default();
    let conditions = block.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let since = condition::find(conditions, LOST)
        .filter(|c| c.is_true())
        .and_then(|c| c.last_transition_time.as_ref());
    let told = since.map(|since| now.0.as_second() - since.0.as_second()).unwrap_or_default();
    let told = Duration::from_secs(u64::try_from(told).unwrap_or_default());
    quarantine.saturating_sub(here.min(told))
}

/// Whether the loss stands in the API: agents look for routes only to blocks that are marked.
fn is_marked(block: &AddressBlock) -> bool {
    block.status.as_ref().is_some_and(|s| condition::is_true(&s.conditions, LOST))
}
