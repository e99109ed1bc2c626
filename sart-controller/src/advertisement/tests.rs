//! Folding the nodes' reports, case by case.

use super::*;
use crate::key::Name;
use crate::world::World;
use crate::write::Action;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use sart_api::{AdvertiseStatus, BGPAdvertisement, BGPAdvertisementStatus, BGPPeer, NodeBGP};
use serde_json::json;

fn advert(world: &mut World, version: u64, status: Option<BGPAdvertisementStatus>) {
    let object: BGPAdvertisement = serde_json::from_value(json!({
        "metadata": {"name": "s-10.0.1.0", "namespace": "d", "uid": "s", "resourceVersion": version.to_string()},
        "spec": {"cidr": "10.0.1.0/32", "type": "service", "protocol": "ipv4", "groups": ["g"]},
        "status": status,
    }))
    .unwrap();
    world.put(object);
}

fn peer(world: &mut World, name: &str, node: &str, group: &str) {
    let object: BGPPeer = serde_json::from_value(json!({
        "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
        "spec": {"asn": 1, "addr": "9.9.9.9", "nodeBGPRef": node, "groups": [group], "speaker": {"path": "x"}},
    }))
    .unwrap();
    world.put(object);
}

fn report(world: &mut World, node: &str, version: u64, peers: Option<&[&str]>) -> Vec<crate::key::Key> {
    let reports = peers.map(|peers| json!([{"prefix": "10.0.1.0/32", "proof": "Bpf", "peers": peers}]));
    let object: NodeBGP = serde_json::from_value(json!({
        "metadata": {"name": node, "uid": node, "resourceVersion": version.to_string()},
        "spec": {"asn": 1, "routerId": "1.1.1.1", "speaker": {"path": "x"}},
        "status": {"advertisements": reports},
    }))
    .unwrap();
    world.put(object)
}

fn fold(world: &mut World, version: u64) -> Option<Vec<(String, AdvertiseStatus)>> {
    let now = Time(Timestamp::from_second(1).unwrap());
    let name = Name::new("d", "s-10.0.1.0");
    let actions = plan(&observe(world, &name), &now).actions;
    let [Action::ApplyStatus(_, body)] = actions.as_slice() else { return None };
    assert_ne!(body["status"]["peers"], json!({}), "a server-side apply would make it null");
    let status: BGPAdvertisementStatus = serde_json::from_value(body["status"].clone()).unwrap();
    advert(world, version, Some(status.clone()));
    assert_eq!(plan(&observe(world, &name), &now).actions, [], "planning again yields nothing");
    Some(status.peers.unwrap_or_default().into_iter().collect())
}

#[test]
fn the_reports_of_every_node_become_one_map_and_lost_ones_leave_it() {
    let mut world = World::default();
    advert(&mut world, 1, None);
    peer(&mut world, "p1", "n1", "g");
    peer(&mut world, "p2", "n2", "g");
    peer(&mut world, "other", "n2", "h");
    assert_eq!(fold(&mut world, 2), None, "no write before anyone carries it");
    report(&mut world, "n1", 1, Some(&["p1"]));
    report(&mut world, "n2", 1, Some(&[]));
    let (on, off) = (AdvertiseStatus::Advertised, AdvertiseStatus::NotAdvertised);
    assert_eq!(fold(&mut world, 3), Some(vec![("p1".into(), on), ("p2".into(), off)]));
    report(&mut world, "n1", 2, None);
    report(&mut world, "n2", 2, Some(&["p2"]));
    assert_eq!(fold(&mut world, 4), Some(vec![("p2".into(), on)]));
    report(&mut world, "n2", 3, None);
    assert_eq!(fold(&mut world, 5), Some(vec![]));
}

#[test]
fn only_a_different_report_touches_the_advertisement() {
    let mut world = World::default();
    advert(&mut world, 1, None);
    let touches = |keys: Vec<crate::key::Key>| {
        keys.into_iter().filter(|k| matches!(k, crate::key::Key::Advertisement(_))).count()
    };
    assert_eq!(touches(report(&mut world, "n1", 1, Some(&["p1"]))), 1);
    assert_eq!(touches(report(&mut world, "n1", 2, Some(&["p1"]))), 0);
    assert_eq!(touches(report(&mut world, "n1", 3, None)), 1);
    assert!(world.announced.is_empty());
}

#[test]
fn measured_only_the_peers_of_nodes_that_announce_are_listed() {
    let mut world = World::default();
    advert(&mut world, 1, None);
    for (name, node) in [("p1", "n1"), ("p2", "n2"), ("p3", "n3")] {
        peer(&mut world, name, node, "g");
    }
    report(&mut world, "n1", 1, Some(&["p1"]));
    report(&mut world, "n2", 1, None);
    assert_eq!(fold(&mut world, 2), Some(vec![("p1".into(), AdvertiseStatus::Advertised)]));
}
