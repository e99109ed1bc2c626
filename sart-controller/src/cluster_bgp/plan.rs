//! Writes a ClusterBGP's status when it differs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use sart_api::ClusterBGPStatus;
use sart_api::condition::{self, ACCEPTED, Condition, READY};
use serde_json::json;

use super::observe::{Member, Observed};
use crate::key::Name;
use crate::meta;
use crate::write::Plan;
use crate::write::{Action, Kind, Target, api_version};

/// Plans the status of one ClusterBGP.
#[must_use]
pub fn plan(observed: &Observed, now: &Time) -> Plan {
    let Some(cluster) = observed.cluster.as_ref().filter(|c| !meta::is_going(&***c)) else {
        return Plan::default();
    };
    let current = cluster.status.clone().unwrap_or_default();
    let desired: Vec<String> = observed.members.iter().map(|m| m.node.clone()).collect();
    let with_it = observed.members.iter().filter(|m| m.has_it).map(|m| m.node.clone()).collect();
    let generation = cluster.metadata.generation;
    let conditions = [accepted(&observed.members), ready(&observed.members)];
    let conditions = conditions.into_iter().map(|c| c.observed(generation)).collect();
    let wanted = ClusterBGPStatus {
        desired_nodes: Some(desired),
        nodes: Some(with_it),
        conditions: condition::merge(&current.conditions, conditions, now),
    };
    if wanted == current {
        return Plan::default();
    }
    let name = cluster.name_any();
    let body = json!({
        "apiVersion": api_version(),
        "kind": "ClusterBGP",
        "metadata": {"name": name, "uid": meta::uid(&**cluster)},
        "status": wanted,
    });
    let target = Target { kind: Kind::ClusterBgp, name: Name::cluster(&name) };
    Plan::of(vec![Action::ApplyStatus(target, body)])
}

/// The first problem of the first node speaks for all: the others are usually the same.
fn accepted(members: &[Member]) -> Condition {
    let first = members.iter().find_map(|m| m.problems.first().map(|p| (&m.node, p)));
    let count = members.iter().filter(|m| !m.problems.is_empty()).count();
    match first {
        None => Condition::new(ACCEPTED, "True", "Accepted", ""),
        Some((node, (reason, message))) => {
            let text = format!("{message} (node {node}, {count} of {} nodes)", members.len());
            Condition::new(ACCEPTED, "False", reason, text)
        }
    }
}

fn ready(members: &[Member]) -> Condition {
    let with_it = members.iter().filter(|m| m.has_it).count();
    let text = format!("{with_it} of {} selected nodes have it", members.len());
    match (members.len(), with_it) {
        (0, _) => Condition::new(READY, "False", "NoNodes", "nodeSelector matches no node"),
        (all, with_it) if all == with_it => Condition::new(READY, "True", "Applied", text),
        _ => Condition::new(READY, "False", "Applying", text),
    }
}
