//! What upstream was seen to do wrong with Services, each held against the plan.

use super::*;

/// The Service as the cache has it after a write of its status.
fn status(world: &World, name: &str) -> Value {
    let service = world.services.get(&Name::new("d", name)).unwrap();
    serde_json::to_value(&service.status).unwrap()
}

fn condition(world: &World, name: &str) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let condition = &status(world, name)["conditions"][0];
    (text(&condition["reason"]), text(&condition["message"]))
}

fn events(actions: &[Action]) -> Vec<String> {
    let reason = |action: &Action| match action {
        Action::Warn(event) => event.reason.clone(),
        _ => None,
    };
    actions.iter().filter_map(reason).collect()
}

fn annotated(key: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {format!("sart.terassyi.net/{key}"): value}}})
}

#[test]
fn issue_7_1_9_however_often_the_status_write_fails_no_second_address_is_taken() {
    let mut world = world();
    service(&mut world, "a", json!({}));
    let claim = decide(&world, "a").actions;
    model_apply(&mut world, claim);
    for _ in 0..5 {
        let retried = decide(&world, "a").actions;
        assert!(!retried.iter().any(|action| matches!(action, Action::Claim(_))), "{retried:?}");
    }
    settle(&mut world, "a");
    assert_eq!((address(&world, "a"), world.claimed.len()), (vec!["10.0.1.0".to_owned()], 1));
}

#[test]
fn issue_7_1_11_a_stale_record_never_frees_what_another_service_owns() {
    let mut world = world();
    service(&mut world, "owner", json!({}));
    settle(&mut world, "owner");
    let mut stale = status(&world, "owner");
    stale["conditions"][0]["lastTransitionTime"] = json!("2024-01-01T00:00:00Z");
    service(&mut world, "former", json!({"spec": {"type": "ClusterIP"}, "status": stale}));
    settle(&mut world, "former");
    assert!(address(&world, "former").is_empty());
    assert_eq!((address(&world, "owner"), world.claimed.len()), (vec!["10.0.1.0".to_owned()], 1));
    assert_eq!(world.adverts.values().count(), 1);
}

#[test]
fn measured_an_unknown_pool_is_told_by_condition_and_event() {
    let mut world = world();
    service(&mut world, "a", annotated("addresspool", "nosuch"));
    let actions = decide(&world, "a").actions;
    assert_eq!(events(&actions), ["PoolNotFound"]);
    model_apply(&mut world, actions);
    let (reason, message) = condition(&world, "a");
    assert_eq!(reason, "PoolNotFound");
    assert!(message.contains("nosuch"), "{message}");
}

#[test]
fn measured_a_wrong_address_is_told_and_no_other_is_given() {
    let mut world = world();
    service(&mut world, "first", annotated("loadBalancerIPs", "10.0.1.5"));
    settle(&mut world, "first");
    for (name, address_asked, reason) in [
        ("taken", "10.0.1.5", "AddressTaken"),
        ("outside", "192.0.2.1", "AddressOutsidePool"),
        ("garbage", "ten", "InvalidAddress"),
    ] {
        service(&mut world, name, annotated("loadBalancerIPs", address_asked));
        assert_eq!(events(&decide(&world, name).actions), [reason]);
        settle(&mut world, name);
        assert_eq!((address(&world, name), condition(&world, name).0), (Vec::new(), reason.to_owned()));
    }
    assert_eq!(world.claimed.len(), 1);
}

#[test]
fn measured_a_service_of_another_load_balancer_class_is_left_alone() {
    let mut world = world();
    service(&mut world, "theirs", json!({"spec": {"loadBalancerClass": "example.com/other"}}));
    assert_eq!(decide(&world, "theirs").actions, []);
    service(&mut world, "ours", json!({"spec": {"loadBalancerClass": "sart.terassyi.net/lb"}}));
    settle(&mut world, "ours");
    assert_eq!(address(&world, "ours"), ["10.0.1.0"]);
}

#[test]
fn measured_load_balancer_ip_is_honoured() {
    let mut world = world();
    service(&mut world, "a", json!({"spec": {"loadBalancerIP": "10.0.1.10"}}));
    settle(&mut world, "a");
    assert_eq!(address(&world, "a"), ["10.0.1.10"]);
}

#[test]
fn measured_an_ipv6_service_gets_an_ipv6_address_and_a_prefix_of_128() {
    let mut world = world();
    service(&mut world, "a", json!({"spec": {"ipFamilies": ["IPv6"]}}));
    settle(&mut world, "a");
    assert_eq!(condition(&world, "a").0, "NoDefaultPool", "an IPv4 pool serves no IPv6 Service");
    pool(&mut world, "six", "fd00::/120", true);
    settle(&mut world, "a");
    assert_eq!(address(&world, "a"), ["fd00::"]);
    let prefixes: Vec<_> = world.adverts.values().map(|advert| advert.spec.cidr.clone()).collect();
    assert_eq!(prefixes, ["fd00::/128"]);
}

#[test]
fn measured_nothing_written_for_a_service_has_a_finalizer() {
    let mut world = world();
    service(&mut world, "a", json!({}));
    for _ in 0..3 {
        let actions = decide(&world, "a").actions;
        for action in &actions {
            let (Action::Claim(body) | Action::Apply(_, body) | Action::ApplyStatus(_, body)) = action else {
                panic!("a new Service deletes nothing: {action:?}")
            };
            assert_eq!(body["metadata"].get("finalizers"), None, "{body}");
        }
        model_apply(&mut world, actions);
    }
    assert_eq!(world.adverts.values().count(), 1);
}
