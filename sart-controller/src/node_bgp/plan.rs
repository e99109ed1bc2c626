//! Makes NodeBGP and BGPPeers what the ClusterBGPs ask for. What cannot be derived leaves the last good state in force;
//! NodeBGPs and BGPPeers made by hand stay untouched, but for the label by which agents find them.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use sart_api::net::{Asn, parse_router_id};
use sart_api::{
    AsnSelectionType, BGPPeer, ClusterBGP, NodeBGP, NodeBGPSpec, NodePeer, RouterIdSelectionType, keys, names,
};
use serde_json::{Value, json};

use super::observe::{Observed, internal_address};
use super::peers::resolve;
use crate::key::Name;
use crate::meta;
use crate::write::Plan;
use crate::write::{Action, Kind, Target, api_version};

/// Why a ClusterBGP cannot give a node everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The ClusterBGP.
    pub cluster: String,
    /// One word.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

/// What a node shall have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The NodeBGP; `None` when nothing selects the node, or the first ClusterBGP cannot be derived.
    pub spec: Option<NodeBGPSpec>,
    /// ClusterBGPs it is made of, sorted.
    pub refs: Vec<String>,
    /// What could not be done.
    pub problems: Vec<Problem>,
}

/// Plans one node.
#[must_use]
pub fn plan(observed: &Observed) -> Plan {
    let wanted = wanted(observed);
    let mut actions: Vec<Action> = observed.peers.iter().filter_map(|p| label(p)).collect();
    let current = observed.node_bgp.as_ref().filter(|n| !meta::is_going(&***n));
    let Some(spec) = &wanted.spec else {
        if observed.clusters.is_empty() {
            actions.extend(current.filter(|n| is_generated(n)).map(|n| delete(Kind::NodeBgp, &**n)));
            actions
                .extend(observed.peers.iter().filter(|p| is_stale(p, &[])).map(|p| delete(Kind::Peer, &**p)));
        }
        return Plan::of(actions);
    };
    match current {
        Some(node_bgp) if is_current(node_bgp, spec, observed) => {
            actions.extend(tell_refs(node_bgp, &wanted.refs));
            actions.extend(peer_actions(observed, node_bgp, spec.peers.as_deref().unwrap_or_default()));
        }
        // Peers wait for the answer: they name the NodeBGP's UID.
        _ => actions.extend(apply_node_bgp(observed, spec)),
    }
    Plan::of(actions)
}

/// What the ClusterBGPs ask for; the oldest decides ASN, router id and speaker, all of them add peers and ranges.
#[must_use]
pub fn wanted(observed: &Observed) -> Wanted {
    let mut wanted = Wanted::default();
    let (Some(node), Some(first)) = (&observed.node, observed.clusters.first()) else { return wanted };
    let identity = asn(first, node.labels()).and_then(|asn| Ok((asn, router_id(first, node)?)));
    let (asn, router_id) = match identity {
        Ok(identity) => identity,
        Err((reason, message)) => {
            wanted.problems.push(Problem { cluster: first.name_any(), reason, message });
            return wanted;
        }
    };
    let mut peers = Vec::new();
    for cluster in &observed.clusters {
        wanted.refs.push(cluster.name_any());
        add_peers(cluster, observed, &mut peers, &mut wanted.problems);
        wanted.problems.extend(disagreement(first, cluster, asn, node.labels()));
    }
    wanted.refs.sort();
    let named = observed.clusters.iter().flat_map(|c| c.spec.import_ranges.iter().flatten());
    let mut ranges: Vec<String> = named.chain(&observed.pod_ranges).cloned().collect();
    ranges.sort();
    ranges.dedup();
    wanted.spec = Some(NodeBGPSpec {
        asn,
        router_id,
        speaker: first.spec.speaker.clone(),
        peers: (!peers.is_empty()).then_some(peers),
        import_ranges: (!ranges.is_empty()).then_some(ranges),
    });
    wanted
}

fn asn(cluster: &ClusterBGP, labels: &BTreeMap<String, String>) -> Result<u32, (&'static str, String)> {
    let selector = &cluster.spec.asn_selector;
    let text = match selector.from {
        AsnSelectionType::Asn => selector.asn.map(|asn| asn.to_string()).unwrap_or_default(),
        AsnSelectionType::Label => labels.get(keys::NODE_ASN).cloned().ok_or_else(|| {
            ("AsnLabelMissing", format!("the node has no label {}; set it to the node's ASN", keys::NODE_ASN))
        })?,
    };
    text.parse::<Asn>().map(Asn::get).map_err(|error| (error.reason(), error.to_string()))
}

fn router_id(
    cluster: &ClusterBGP,
    node: &k8s_openapi::api::core::v1::Node,
) -> Result<String, (&'static str, String)> {
    let selector = &cluster.spec.router_id_selector;
    let text = match selector.from {
        RouterIdSelectionType::InternalAddress => internal_address(node).ok_or_else(|| {
            ("NoInternalAddress", "the node has no IPv4 InternalIP; select the router id by label".to_owned())
        })?,
        RouterIdSelectionType::Label => {
            node.labels().get(keys::NODE_ROUTER_ID).cloned().ok_or_else(|| {
                let message =
                    format!("the node has no label {}; set it to an IPv4 address", keys::NODE_ROUTER_ID);
                ("RouterIdLabelMissing", message)
            })?
        }
        RouterIdSelectionType::RouterId => selector.router_id.clone().unwrap_or_default(),
    };
    parse_router_id(&text).map(|id| id.to_string()).map_err(|error| (error.reason(), error.to_string()))
}

/// Adds a cluster's peers, each address and ASN once. While one of them cannot be resolved, those the node has stay.
fn add_peers(
    cluster: &ClusterBGP,
    observed: &Observed,
    peers: &mut Vec<NodePeer>,
    problems: &mut Vec<Problem>,
) {
    let empty = BTreeMap::new();
    let labels = observed.node.as_ref().map_or(&empty, |n| n.labels());
    let (mut resolved, errors) = resolve(cluster, &observed.name, labels, &observed.templates);
    let name = cluster.name_any();
    if !errors.is_empty() {
        let had = observed.node_bgp.iter().flat_map(|n| n.spec.peers.iter().flatten());
        resolved.extend(had.filter(|p| p.spec.cluster_bgp_ref.as_ref() == Some(&name)).cloned());
    }
    problems.extend(errors.iter().map(|error| Problem {
        cluster: name.clone(),
        reason: error.reason(),
        message: error.to_string(),
    }));
    for peer in resolved {
        let same = |p: &NodePeer| {
            p.name == peer.name || (p.spec.addr == peer.spec.addr && p.spec.asn == peer.spec.asn)
        };
        if !peers.iter().any(same) && !is_made_by_hand(observed, &peer) {
            peers.push(peer);
        }
    }
}

/// Whether a peer made by hand already runs this session; the generated one steps back until that is deleted.
fn is_made_by_hand(observed: &Observed, peer: &NodePeer) -> bool {
    let same = |p: &&std::sync::Arc<BGPPeer>| p.spec.addr == peer.spec.addr && p.spec.asn == peer.spec.asn;
    observed.peers.iter().filter(same).any(|p| meta::owner(&**p, "NodeBGP").is_none())
}

/// A later ClusterBGP that names another ASN by number cannot have it.
fn disagreement(
    first: &ClusterBGP,
    cluster: &ClusterBGP,
    asn_of_node: u32,
    labels: &BTreeMap<String, String>,
) -> Option<Problem> {
    let wants = asn(cluster, labels).ok().filter(|asn| *asn != asn_of_node)?;
    let first = first.name_any();
    Some(Problem {
        cluster: cluster.name_any(),
        reason: "AsnConflict",
        message: format!("asks for ASN {wants}, but ClusterBGP {first} is older and gives {asn_of_node}"),
    })
}

fn is_current(node_bgp: &NodeBGP, spec: &NodeBGPSpec, observed: &Observed) -> bool {
    let empty = BTreeMap::new();
    let labels = observed.node.as_ref().map_or(&empty, |n| n.labels());
    node_bgp.spec == *spec && meta::labels_match(node_bgp, labels)
}

fn apply_node_bgp(observed: &Observed, spec: &NodeBGPSpec) -> Option<Action> {
    let node = observed.node.as_ref()?;
    let body = json!({
        "apiVersion": api_version(),
        "kind": "NodeBGP",
        "metadata": {
            "name": observed.name,
            "labels": node.labels(),
            "ownerReferences": meta::owned_by("v1", "Node", &observed.name, meta::uid(&**node)),
        },
        "spec": spec,
    });
    Some(Action::Apply(Target { kind: Kind::NodeBgp, name: Name::cluster(&observed.name) }, body))
}

fn tell_refs(node_bgp: &NodeBGP, refs: &[String]) -> Option<Action> {
    let current = node_bgp.status.as_ref().and_then(|s| s.cluster_bgp_refs.as_deref());
    if current == Some(refs) {
        return None;
    }
    let name = node_bgp.name_any();
    let body = json!({
        "apiVersion": api_version(),
        "kind": "NodeBGP",
        "metadata": {"name": name, "uid": meta::uid(node_bgp)},
        "status": {"clusterBgpRefs": refs},
    });
    Some(Action::ApplyStatus(Target { kind: Kind::NodeBgp, name: Name::cluster(&name) }, body))
}

/// Creates, updates and deletes the generated peers. Removed ones go first in the list, so a moved address is free.
fn peer_actions(observed: &Observed, node_bgp: &NodeBGP, wanted: &[NodePeer]) -> Vec<Action> {
    let stale = observed.peers.iter().filter(|p| is_stale(p, wanted));
    let mut actions: Vec<Action> = stale.map(|p| delete(Kind::Peer, &**p)).collect();
    for peer in wanted {
        let taken = observed.foreign.iter().any(|p| p.name_any() == peer.name);
        let current = observed.peers.iter().find(|p| p.name_any() == peer.name);
        if taken || current.is_some_and(|p| p.spec == peer.spec || meta::is_going(&**p)) {
            continue;
        }
        actions.push(apply_peer(node_bgp, peer));
    }
    actions
}

fn apply_peer(node_bgp: &NodeBGP, peer: &NodePeer) -> Action {
    let node = node_bgp.name_any();
    let body = json!({
        "apiVersion": api_version(),
        "kind": "BGPPeer",
        "metadata": {
            "name": peer.name,
            "labels": node_label(&node),
            "ownerReferences": meta::owned_by(&api_version(), "NodeBGP", &node, meta::uid(node_bgp)),
        },
        "spec": peer.spec,
    });
    Action::Apply(Target { kind: Kind::Peer, name: Name::cluster(&peer.name) }, body)
}

/// The label by which agents find their peers, for peers made by hand.
fn label(peer: &BGPPeer) -> Option<Action> {
    let node = &peer.spec.node_bgp_ref;
    let labelled = peer.labels().get(keys::PEER_NODE) == Some(&names::label_value(node));
    if labelled || meta::is_going(peer) || meta::owner(peer, "NodeBGP").is_some() {
        return None;
    }
    let name = peer.name_any();
    let body = json!({
        "apiVersion": api_version(),
        "kind": "BGPPeer",
        "metadata": {"name": name, "uid": meta::uid(peer), "labels": node_label(node)},
    });
    Some(Action::Apply(Target { kind: Kind::Peer, name: Name::cluster(&name) }, body))
}

fn node_label(node: &str) -> Value {
    json!({keys::PEER_NODE: names::label_value(node)})
}

fn is_generated(node_bgp: &NodeBGP) -> bool {
    meta::owner(node_bgp, "Node").is_some()
}

fn is_stale(peer: &BGPPeer, wanted: &[NodePeer]) -> bool {
    let generated = meta::owner(peer, "NodeBGP").is_some();
    generated && !meta::is_going(peer) && !wanted.iter().any(|w| w.name == peer.name_any())
}

fn delete<T: kube::Resource>(kind: Kind, object: &T) -> Action {
    Action::Delete(Target { kind, name: Name::of(object) }, meta::uid(object).to_owned())
}
