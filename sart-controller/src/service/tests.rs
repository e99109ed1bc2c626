//! The decisions about Services, case by case, and the fixpoint: planning again after applying yields nothing.

mod regressions;

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::key::Name;
use crate::world::World;
use crate::write::Action;
use crate::write::Plan;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use sart_api::{AddressClaim, AddressPool, BGPAdvertisement};
use serde_json::{Value, json};

static VERSION: AtomicU64 = AtomicU64::new(10);

fn next_version() -> u64 {
    VERSION.fetch_add(1, Ordering::Relaxed)
}

fn now() -> Time {
    Time(Timestamp::from_second(1000).unwrap())
}

fn pool(world: &mut World, name: &str, cidr: &str, auto: bool) {
    let pool: AddressPool = serde_json::from_value(json!({
        "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
        "spec": {"cidr": cidr, "type": "service", "autoAssign": auto},
        "status": {"conditions": [{"type": "Accepted", "status": "True"}]},
    }))
    .unwrap();
    world.put(pool);
}

fn service(world: &mut World, name: &str, patch: Value) {
    let version = next_version();
    let mut object = json!({
        "metadata": {"name": name, "namespace": "d", "uid": format!("u-{name}"), "resourceVersion": version.to_string()},
        "spec": {"type": "LoadBalancer", "ipFamilies": ["IPv4"]},
    });
    merge(&mut object, patch);
    world.put(serde_json::from_value::<Service>(object).unwrap());
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn world() -> World {
    let mut world = World::default();
    pool(&mut world, "default", "10.0.1.0/24", true);
    pool(&mut world, "tiny", "10.9.0.0/32", false);
    world
}

fn decide(world: &World, name: &str) -> Plan {
    plan(&observe(world, &Name::new("d", name)), &now())
}

/// What the API server would do with the actions.
fn model_apply(world: &mut World, actions: Vec<Action>) {
    for action in actions {
        let version = next_version();
        let stamp = |mut body: Value| {
            let name = body["metadata"]["name"].clone();
            body["metadata"]["resourceVersion"] = json!(version.to_string());
            if body["metadata"]["uid"].is_null() {
                body["metadata"]["uid"] = json!(format!("{}-{version}", name.as_str().unwrap()));
            }
            body
        };
        match action {
            Action::Claim(body) => {
                world.put(serde_json::from_value::<AddressClaim>(stamp(body)).unwrap());
            }
            Action::Apply(_, body) => {
                world.put(serde_json::from_value::<BGPAdvertisement>(stamp(body)).unwrap());
            }
            Action::ApplyStatus(target, body) => {
                let current = world.services.get(&target.name).unwrap();
                let mut object = serde_json::to_value(&**current).unwrap();
                object["metadata"]["resourceVersion"] = json!(version.to_string());
                object["status"] = body["status"].clone();
                world.put(serde_json::from_value::<Service>(object).unwrap());
            }
            Action::Delete(target, uid) => {
                world.remove::<BGPAdvertisement>(&target.name, &uid);
            }
            Action::Release { claim, uid, .. } => {
                world.remove::<AddressClaim>(&Name::cluster(&claim), &uid);
            }
            Action::Warn(_) => {}
            Action::Create(..) | Action::Reclaim { .. } => panic!("Services never plan {action:?}"),
        }
    }
}

/// Plans and applies until nothing is left to do; returns the number of writes.
fn settle(world: &mut World, name: &str) -> usize {
    let mut writes = 0;
    for _ in 0..10 {
        let actions = decide(world, name).actions;
        if actions.is_empty() {
            return writes;
        }
        writes += actions.len();
        model_apply(world, actions);
    }
    panic!("no fixpoint after ten plans: {:?}", decide(world, name));
}

fn address(world: &World, name: &str) -> Vec<String> {
    let service = world.services.get(&Name::new("d", name)).unwrap();
    crate::meta::recorded(service).iter().map(ToString::to_string).collect()
}

#[test]
fn a_service_is_settled_by_three_writes_claim_first() {
    let mut world = world();
    service(&mut world, "a", json!({}));
    let first = decide(&world, "a").actions;
    assert!(matches!(first.as_slice(), [Action::Claim(_)]), "{first:?}");
    assert_eq!(settle(&mut world, "a"), 3);
    assert_eq!(address(&world, "a"), ["10.0.1.0"]);
}

#[test]
fn a_deleted_service_loses_its_advertisement_before_its_claim() {
    let mut world = world();
    service(&mut world, "a", json!({}));
    settle(&mut world, "a");
    world.remove::<Service>(&Name::new("d", "a"), "u-a");
    let first = decide(&world, "a").actions;
    assert!(matches!(first.as_slice(), [Action::Delete(..)]), "{first:?}");
    assert_eq!(settle(&mut world, "a"), 2);
    assert!(world.claimed.is_empty() && world.adverts.values().count() == 0);
}

#[test]
fn measured_two_services_never_plan_the_same_address() {
    let mut world = world();
    service(&mut world, "a", json!({}));
    service(&mut world, "b", json!({}));
    world.reserved.insert("10.0.1.0".parse().unwrap(), Name::new("d", "a"));
    settle(&mut world, "b");
    assert_eq!(address(&world, "b"), ["10.0.1.1"]);
}

#[test]
fn issue_7_1_10_of_two_services_that_record_one_address_the_older_keeps_it() {
    let mut world = world();
    let status = json!({"loadBalancer": {"ingress": [{"ip": "10.0.1.5"}]}});
    for (name, created) in [("old", "2024-01-01T00:00:00Z"), ("new", "2024-01-02T00:00:00Z")] {
        service(&mut world, name, json!({"metadata": {"creationTimestamp": created}, "status": status}));
    }
    settle(&mut world, "new");
    settle(&mut world, "old");
    assert_eq!(
        (address(&world, "old"), address(&world, "new")),
        (vec!["10.0.1.5".into()], vec!["10.0.1.0".into()])
    );
}

#[test]
fn issue_7_1_11_an_address_given_to_another_service_is_not_freed_by_its_former_owner() {
    let mut world = world();
    service(&mut world, "a", json!({}));
    settle(&mut world, "a");
    service(
        &mut world,
        "a",
        json!({"spec": {"type": "ClusterIP"}, "status": {"conditions": [
        {"type": "sart.terassyi.net/Allocated", "status": "True", "reason": "Allocated", "message": "",
         "lastTransitionTime": "2024-01-01T00:00:00Z"}]}}),
    );
    assert_eq!(settle(&mut world, "a"), 3, "status, advertisement, claim");
    service(&mut world, "b", json!({}));
    settle(&mut world, "b");
    assert_eq!(address(&world, "b"), ["10.0.1.0"]);
    assert!(decide(&world, "a").actions.is_empty());
    world.remove::<Service>(&Name::new("d", "a"), "u-a");
    assert!(decide(&world, "a").actions.is_empty());
}

#[test]
fn a_refused_request_keeps_what_the_service_has_and_warns_once() {
    let mut world = world();
    service(&mut world, "a", json!({}));
    settle(&mut world, "a");
    let held = serde_json::to_value(&**world.services.get(&Name::new("d", "a")).unwrap()).unwrap();
    let pool = json!({"sart.terassyi.net/addresspool": "nosuch"});
    service(&mut world, "a", json!({"status": held["status"], "metadata": {"annotations": pool}}));
    let plan = decide(&world, "a");
    assert!(plan.waits);
    let warnings = plan.actions.iter().filter(|a| matches!(a, Action::Warn(_))).count();
    assert_eq!((plan.actions.len(), warnings), (2, 1), "{plan:?}");
    model_apply(&mut world, plan.actions);
    assert!(decide(&world, "a").actions.is_empty());
    assert_eq!(address(&world, "a"), ["10.0.1.0"]);
}

#[test]
fn issue_7_1_9_a_service_that_fails_in_one_pool_claims_nothing() {
    let mut world = world();
    service(
        &mut world,
        "first",
        json!({"metadata": {"annotations": {"sart.terassyi.net/addresspool": "tiny"}}}),
    );
    settle(&mut world, "first");
    let both = json!({"metadata": {"annotations": {"sart.terassyi.net/addresspool": "default,tiny"}}});
    service(&mut world, "second", both);
    settle(&mut world, "second");
    assert_eq!(world.claimed.len(), 1);
    assert!(decide(&world, "second").waits);
}

#[test]
fn a_reserved_address_is_given_to_no_one() {
    let mut world = world();
    let claim = json!({"metadata": {"name": "v4-10-0-1-0", "uid": "r", "resourceVersion": "1"}, "spec": {"address": "10.0.1.0"}});
    world.put(serde_json::from_value::<AddressClaim>(claim).unwrap());
    service(&mut world, "a", json!({}));
    settle(&mut world, "a");
    assert_eq!(address(&world, "a"), ["10.0.1.1"]);
}

#[test]
fn services_of_other_classes_and_types_are_not_touched() {
    let mut world = world();
    service(&mut world, "a", json!({"spec": {"loadBalancerClass": "example.com/other"}}));
    service(&mut world, "b", json!({"spec": {"type": "ClusterIP"}}));
    assert!(decide(&world, "a").actions.is_empty() && decide(&world, "b").actions.is_empty());
}
