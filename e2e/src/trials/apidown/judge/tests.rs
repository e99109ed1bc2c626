//! Each rule with what keeps it and what breaks it.

use std::time::Duration;

use serde_json::json;

use super::*;

fn said(exit: i32, document: Value) -> Said {
    Said { exit: Some(exit), document, took: Duration::ZERO }
}

fn to(whom: &str, address: [u8; 4]) -> (String, Ipv4Addr) {
    (whom.to_owned(), address.into())
}

fn row(pod: &str, state: &str, address: &str) -> Attachment {
    let row = json!({"pod": pod, "addresses": [{"address": address, "pool": "p"}], "link": "l", "network": "n",
                     "container": "c", "interface": "eth0", "state": state});
    serde_json::from_value(row).unwrap()
}

#[test]
fn the_first_plugin_gets_name_and_version_of_its_list_and_no_capabilities() {
    let list = json!({"cniVersion": "1.0.0", "cniVersions": ["0.4.0", "1.0.0"], "name": "n", "plugins": [
        {"type": "sart-cni", "timeout": 60, "endpoint": "unix:///s", "capabilities": {"mac": true}},
        {"type": "portmap"}]});
    let whole = json!({"cniVersion": "1.0.0", "name": "n", "type": "sart-cni", "timeout": 60, "endpoint": "unix:///s"});
    assert_eq!(netconf(&list, None).unwrap(), whole);
    assert_eq!(netconf(&list, Some(3)).unwrap()["timeout"], 3);
    assert!(netconf(&json!({"plugins": [{"type": "bridge"}]}), None).is_err());
    assert!(netconf(&json!({"plugins": [{"type": "sart-cni"}]}), None).is_err());
}

#[test]
fn an_add_gave_one_address_that_is_alone_in_its_prefix() {
    let ips = |list: Value| said(0, json!({"ips": list}));
    assert_eq!(given(&ips(json!([{"address": "10.1.0.3/32"}]))).unwrap(), Ipv4Addr::new(10, 1, 0, 3));
    assert!(given(&ips(json!([{"address": "10.1.0.3/24"}]))).is_err());
    assert!(given(&ips(json!([]))).is_err());
    assert!(given(&said(1, json!({"ips": [{"address": "10.1.0.3/32"}]}))).is_err());
    assert!(given(&Said { exit: None, document: Value::Null, took: Duration::ZERO }).is_err());
}

#[test]
fn only_a_failure_with_the_number_of_a_passing_condition_is_one() {
    to_try_again(&said(1, json!({"code": 11}))).unwrap();
    assert!(to_try_again(&said(1, json!({"code": 103}))).is_err());
    assert!(to_try_again(&said(1, Value::Null)).is_err());
    assert!(to_try_again(&said(0, json!({"code": 11}))).is_err(), "it did not fail");
    assert!(to_try_again(&Said { exit: None, document: json!({"code": 11}), took: Duration::ZERO }).is_err());
}

#[test]
fn addresses_of_the_outage_are_of_the_blocks_from_before_and_nobody_elses() {
    let blocks = BTreeSet::from(["10.1.0.0/29".parse().unwrap()]);
    let had = BTreeMap::from([(Ipv4Addr::new(10, 1, 0, 1), "n/old".to_owned())]);
    let judge =
        |given: &[(String, Ipv4Addr)]| pre_claimed(given, &blocks, &had).map_err(|error| error.to_string());
    assert_eq!(judge(&[to("a", [10, 1, 0, 2]), to("b", [10, 1, 0, 3])]), Ok(()));
    assert!(judge(&[to("a", [10, 1, 0, 8])]).unwrap_err().contains("of none of"));
    assert!(judge(&[to("a", [10, 1, 0, 1])]).unwrap_err().contains("n/old's"));
    assert!(judge(&[to("a", [10, 1, 0, 2]), to("b", [10, 1, 0, 2])]).unwrap_err().contains("to a and to b"));
}

#[test]
fn what_api_and_agent_say_differently_is_named() {
    let api = ByPod::from([("n/a".to_owned(), BTreeSet::from(["10.1.0.2".parse().unwrap()]))]);
    agree(&api, &[row("n/a", "attached", "10.1.0.2")]).unwrap();
    assert!(agree(&api, &[row("n/a", "attached", "10.1.0.3")]).is_err());
    assert!(agree(&api, &[row("n/a", "beginning", "10.1.0.2")]).is_err());
    assert!(agree(&api, &[]).is_err());
    let leaked = [row("n/a", "attached", "10.1.0.2"), row("n/b", "attached", "10.1.0.3")];
    assert!(agree(&api, &leaked).is_err(), "a pod that the API does not know");
    let twice = [row("n/a", "attached", "10.1.0.2"), row("n/a", "attached", "10.1.0.2")];
    assert!(agree(&api, &twice).is_err(), "the old container's attachment stayed");
}
