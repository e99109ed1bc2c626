//! The decisions about a node's BGP, case by case.

use std::sync::Arc;

use super::observe::Observed;
use super::plan::{plan, wanted};
use crate::write::Action;
use k8s_openapi::api::core::v1::Node;
use sart_api::{BGPPeer, ClusterBGP, NodeBGP};
use serde_json::{Value, json};

fn object<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn node() -> Arc<Node> {
    object(json!({
        "metadata": {"name": "n1", "uid": "n", "labels": {"sart.terassyi.net/asn": "65010", "bgp": "a"}},
        "status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]},
    }))
}

fn cluster(name: &str, peers: Value) -> Arc<ClusterBGP> {
    object::<ClusterBGP>(json!({
        "metadata": {"name": name, "uid": name, "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {
            "asnSelector": {"from": "label"},
            "routerIdSelector": {"from": "internalAddress"},
            "speaker": {"path": "127.0.0.1:5000"},
            "peers": peers,
        },
    }))
}

fn observed(clusters: Vec<Arc<ClusterBGP>>) -> Observed {
    Observed { name: "n1".to_owned(), node: Some(node()), clusters, ..Observed::default() }
}

/// What the API server would hold after the actions.
fn model_apply(observed: &mut Observed, actions: Vec<Action>) {
    for action in actions {
        match action {
            Action::Apply(target, mut body) => {
                body["metadata"]["uid"] = json!(target.name.name);
                if body["kind"] == "NodeBGP" {
                    observed.node_bgp = Some(object::<NodeBGP>(body));
                } else if body["spec"].is_null() {
                    let at = observed
                        .peers
                        .iter()
                        .position(|p| p.metadata.name.as_deref() == Some(&target.name.name));
                    let mut peer = (*observed.peers[at.unwrap()]).clone();
                    peer.metadata.labels =
                        serde_json::from_value(body["metadata"]["labels"].clone()).unwrap();
                    observed.peers[at.unwrap()] = Arc::new(peer);
                } else {
                    observed.peers.retain(|p| p.metadata.name.as_deref() != Some(&target.name.name));
                    observed.peers.push(object::<BGPPeer>(body));
                }
            }
            Action::ApplyStatus(_, body) => {
                let mut node_bgp = (**observed.node_bgp.as_ref().unwrap()).clone();
                node_bgp.status = serde_json::from_value(body["status"].clone()).unwrap();
                observed.node_bgp = Some(Arc::new(node_bgp));
            }
            Action::Delete(target, _) => {
                observed.peers.retain(|p| p.metadata.name.as_deref() != Some(&target.name.name));
                observed.node_bgp.take_if(|n| n.metadata.name.as_deref() == Some(&target.name.name));
            }
            other => panic!("nodes never plan {other:?}"),
        }
    }
}

fn settle(observed: &mut Observed) {
    for _ in 0..4 {
        let actions = plan(observed).actions;
        model_apply(observed, actions);
    }
    assert_eq!(plan(observed).actions, [], "planning again yields nothing");
}

fn peers(observed: &Observed) -> Vec<String> {
    let mut names: Vec<String> = observed.peers.iter().filter_map(|p| p.metadata.name.clone()).collect();
    names.sort();
    names
}

fn inline(asn: u32, addr: &str) -> Value {
    json!({"peerConfig": {"asn": asn, "addr": addr, "holdTime": 9, "groups": ["g"]}})
}

#[test]
fn a_selected_node_gets_a_node_bgp_and_its_peers_with_every_inline_field() {
    let mut world = observed(vec![cluster("a", json!([inline(65000, "9.9.9.9"), inline(65000, "fd00::9")]))]);
    settle(&mut world);
    let node_bgp = world.node_bgp.as_ref().unwrap();
    assert_eq!((node_bgp.spec.asn, node_bgp.spec.router_id.as_str()), (65010, "172.18.0.2"));
    assert_eq!(peers(&world), ["n1-65000-9.9.9.9", "n1-65000-v6-fd00-0000-0000-0000-0000-0000-0000-0009"]);
    assert_eq!(
        (world.peers[0].spec.hold_time, &world.peers[0].spec.groups),
        (Some(9), &Some(vec!["g".into()]))
    );
    assert_eq!(node_bgp.status.as_ref().unwrap().cluster_bgp_refs, Some(vec!["a".into()]));
}

#[test]
fn several_cluster_bgps_merge_and_a_removed_peer_is_deleted() {
    let mut world = observed(vec![
        cluster("a", json!([inline(65000, "9.9.9.9")])),
        cluster("b", json!([inline(65001, "7.7.7.7"), inline(65000, "9.9.9.9")])),
    ]);
    settle(&mut world);
    assert_eq!(peers(&world), ["n1-65000-9.9.9.9", "n1-65001-7.7.7.7"]);
    world.clusters.pop();
    settle(&mut world);
    assert_eq!(peers(&world), ["n1-65000-9.9.9.9"]);
    world.clusters.clear();
    settle(&mut world);
    assert!(peers(&world).is_empty() && world.node_bgp.is_none());
}

#[test]
fn a_missing_template_is_a_problem_and_leaves_the_last_good_peers() {
    let template = json!([{"peerTemplateRef": "t"}]);
    let mut world = observed(vec![cluster("a", template)]);
    let settings = json!({"asn": 65000, "addr": "9.9.9.9"});
    world.templates.insert("t".to_owned(), serde_json::from_value(settings).unwrap());
    settle(&mut world);
    assert_eq!(peers(&world), ["t-n1-65000-9.9.9.9"]);
    world.templates.clear();
    assert_eq!(wanted(&world).problems[0].reason, "TemplateNotFound");
    settle(&mut world);
    assert_eq!(peers(&world), ["t-n1-65000-9.9.9.9"]);
}

#[test]
fn a_wrong_asn_label_is_a_problem_and_changes_nothing() {
    let mut world = observed(vec![cluster("a", json!([inline(65000, "9.9.9.9")]))]);
    settle(&mut world);
    let mut node = (*node()).clone();
    node.metadata.labels.as_mut().unwrap().insert("sart.terassyi.net/asn".into(), "sixty".into());
    world.node = Some(Arc::new(node));
    assert_eq!(wanted(&world).problems[0].reason, "InvalidAsn");
    assert_eq!(plan(&world).actions, []);
}

#[test]
fn a_later_cluster_bgp_that_asks_for_another_asn_is_told_which_one_is_older_and_changes_nothing() {
    let mut world = observed(vec![cluster("a", json!([inline(65000, "9.9.9.9")]))]);
    settle(&mut world);
    let mut other = (*cluster("b", json!([inline(65001, "7.7.7.7")]))).clone();
    other.spec.asn_selector = serde_json::from_value(json!({"from": "asn", "asn": 65099})).unwrap();
    world.clusters.push(Arc::new(other));
    let problems = wanted(&world).problems;
    let [problem] = problems.as_slice() else { panic!("one problem: {problems:?}") };
    assert_eq!((problem.cluster.as_str(), problem.reason), ("b", "AsnConflict"));
    assert_eq!(problem.message, "asks for ASN 65099, but ClusterBGP a is older and gives 65010");
    settle(&mut world);
    assert_eq!(world.node_bgp.as_ref().unwrap().spec.asn, 65010);
    assert_eq!(peers(&world), ["n1-65000-9.9.9.9", "n1-65001-7.7.7.7"], "its peers run under the node's ASN");
}

#[test]
fn a_peer_made_by_hand_keeps_its_session_and_gets_its_label() {
    let mut world = observed(vec![cluster("a", json!([inline(65000, "9.9.9.9")]))]);
    world.peers.push(object::<BGPPeer>(json!({
        "metadata": {"name": "mine", "uid": "mine"},
        "spec": {"asn": 65000, "addr": "9.9.9.9", "nodeBGPRef": "n1", "speaker": {"path": "x"}},
    })));
    settle(&mut world);
    assert_eq!(peers(&world), ["mine"]);
    world.peers.clear();
    settle(&mut world);
    assert_eq!(peers(&world), ["n1-65000-9.9.9.9"]);
}

#[test]
fn issue_7_1_15_a_node_that_is_gone_blocks_nothing() {
    let mut world = observed(vec![cluster("a", json!([inline(65000, "9.9.9.9")]))]);
    settle(&mut world);
    (world.node, world.clusters) = (None, Vec::new());
    settle(&mut world);
    assert!(world.node_bgp.is_none() && world.peers.is_empty());
}

#[test]
fn measured_deleting_a_cluster_bgp_takes_its_peers_and_the_node_bgp_along() {
    let mut world = observed(vec![cluster("a", json!([inline(65000, "9.9.9.9"), inline(65001, "7.7.7.7")]))]);
    settle(&mut world);
    assert_eq!(peers(&world).len(), 2);
    world.clusters.clear();
    settle(&mut world);
    assert_eq!(peers(&world), Vec::<String>::new());
    assert!(world.node_bgp.is_none());
}

#[test]
fn issue_7_2_an_edited_cluster_bgp_reaches_the_node_bgp_and_its_peers() {
    let mut world = observed(vec![cluster("a", json!([inline(65000, "9.9.9.9")]))]);
    settle(&mut world);
    let mut edited = (*cluster("a", json!([inline(65002, "8.8.8.8")]))).clone();
    edited.spec.speaker.path = "127.0.0.1:5001".to_owned();
    world.clusters = vec![Arc::new(edited)];
    settle(&mut world);
    assert_eq!(world.node_bgp.as_ref().unwrap().spec.speaker.path, "127.0.0.1:5001");
    assert_eq!(peers(&world), ["n1-65002-8.8.8.8"]);
}
