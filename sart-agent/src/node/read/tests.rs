//! How objects are read where a field is missing or wrong.

use super::*;
use serde_json::{Value, json};

fn endpoints(conditions: Value) -> SliceFact {
    let object: EndpointSlice = serde_json::from_value(json!({
        "metadata": {"name": "web-1", "namespace": "ns", "labels": {SERVICE_NAME: "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": ["10.1.0.1"], "nodeName": "node0", "conditions": conditions}],
    }))
    .unwrap();
    slice(&object, "node0").unwrap().1
}

fn balancer(spec: Value) -> Option<ServiceFact> {
    let mut object =
        json!({"metadata": {"name": "web", "namespace": "ns"}, "spec": {"type": "LoadBalancer"}});
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    service(&serde_json::from_value(object).unwrap())
}

/// Conditions, whether the endpoint is here, and whether it counts as ready.
#[test]
fn issue_7_2_unset_conditions_of_an_endpoint_have_the_meaning_the_api_gives_them() {
    for (conditions, here, ready) in [
        (json!({}), true, true),
        (json!({"ready": true}), true, true),
        (json!({"serving": true}), true, true),
        (json!({"ready": true, "terminating": true}), true, true),
        (json!({"terminating": true}), true, true),
        (json!({"ready": false, "serving": true, "terminating": true}), true, false),
        (json!({"ready": false, "serving": true}), false, false),
        (json!({"ready": false}), false, false),
        (json!({"ready": false, "terminating": true}), false, false),
    ] {
        let fact = endpoints(conditions.clone());
        let local: Vec<bool> = fact.local.iter().map(|endpoint| endpoint.ready).collect();
        assert_eq!(local, if here { vec![ready] } else { Vec::new() }, "{conditions}");
        assert_eq!(fact.ready_anywhere, ready, "{conditions}");
    }
}

#[test]
fn issue_7_2_a_node_excluded_from_load_balancing_is_read_so_whatever_the_labels_value() {
    for value in ["", "true", "false"] {
        let object = json!({"metadata": {"name": "node0", "labels": {EXCLUDE: value}}});
        assert!(node(&serde_json::from_value(object).unwrap()).excluded);
    }
    assert!(!node(&Node::default()).excluded);
}

#[test]
fn measured_a_service_of_another_class_or_type_is_not_announced() {
    assert!(balancer(json!({})).is_some());
    assert!(balancer(json!({"loadBalancerClass": "sart.terassyi.net/lb"})).is_some());
    assert_eq!(balancer(json!({"loadBalancerClass": "example.com/other"})), None);
    assert_eq!(balancer(json!({"type": "ClusterIP"})), None);
}
