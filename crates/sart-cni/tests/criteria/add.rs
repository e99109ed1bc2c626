//! Criteria 17 to 28: ADD.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sart_agent::cni::{AddressError, Step};
use serde_json::json;

use crate::addresses::Families;
use crate::node::{MTU, Node, assert_reaches};

#[test]
fn cni_criterion_17_the_result_names_both_links_and_indexes_its_addresses() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let result = node.added(&container);
    assert_eq!(result["cniVersion"], "1.1.0");
    let links = result["interfaces"].as_array().unwrap();
    assert_eq!(links.len(), 2);
    assert_eq!(links[0]["name"], json!(container.link()));
    assert!(links[0].get("sandbox").is_none());
    assert_eq!((&links[1]["name"], &links[1]["sandbox"]), (&json!("eth0"), &json!(container.netns())));
    let shown = container.run(&["ip", "-o", "link", "show", "eth0"]);
    assert!(shown.contains(links[1]["mac"].as_str().unwrap()), "{shown}");
    let shown = node.space.run(&["ip", "-o", "link", "show", &container.link()]).unwrap();
    assert!(shown.contains(links[0]["mac"].as_str().unwrap()), "{shown}");
    for link in links {
        assert_eq!(link["mtu"], MTU, "the uplink's");
    }
    let ips = result["ips"].as_array().unwrap();
    let addresses: Vec<_> = ips.iter().map(|ip| ip["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["10.1.0.1/32", "fd00:1::1/128"]);
    assert!(ips.iter().all(|ip| ip["interface"] == 1));
    assert_eq!((&ips[0]["gateway"], &ips[1]["gateway"]), (&json!("169.254.1.1"), &json!("fe80::1")));
}

#[test]
fn cni_criterion_18_the_routes_stand_and_older_versions_get_their_own_form() {
    let Some(node) = Node::dual() else { return };
    for version in ["0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let container = node.container();
        let mut config = node.config();
        config["cniVersion"] = json!(version);
        let result = node.call("ADD", &container, &config).result();
        assert_eq!(result["cniVersion"], version);
        let routes = result["routes"].as_array().unwrap();
        assert_eq!(routes.len(), 2);
        assert_eq!(routes[0], json!({"dst": "0.0.0.0/0", "gw": "169.254.1.1"}));
        assert_eq!(routes[1], json!({"dst": "::/0", "gw": "fe80::1"}));
        assert!(container.run(&["ip", "route"]).contains("default via 169.254.1.1 dev eth0"));
        assert!(container.run(&["ip", "-6", "route"]).contains("default via fe80::1 dev eth0"));
        let old = version.starts_with("0.");
        assert_eq!(result["ips"][0].get("version"), old.then_some(&json!("4")));
        assert_eq!(result["ips"][1].get("version"), old.then_some(&json!("6")));
        assert_eq!(result["interfaces"][0].get("mtu").is_some(), version == "1.1.0");
    }
}

#[test]
fn cni_criterion_19_a_foreign_interface_of_that_name_is_an_error_and_stays() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    container.run(&["ip", "link", "add", "eth0", "type", "bridge"]);
    let before = node.inventory();
    assert_eq!(node.add(&container).error(), 101);
    assert!(container.run(&["ip", "-d", "link", "show", "eth0"]).contains("bridge"));
    node.assert_inventory(&before, "after the refused ADD");
}

#[test]
fn cni_criterion_20_a_repeated_add_gives_the_same_and_after_del_it_works_again() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let first = node.added(&container);
    let once = node.inventory();
    assert_eq!(node.added(&container), first);
    node.assert_inventory(&once, "after the second ADD");
    container.run(&["ip", "address", "del", "10.1.0.1/32", "dev", "eth0"]);
    assert_eq!(node.add(&container).error(), 101, "not as it was");
    node.del(&container).silent();
    assert_eq!(node.added(&container)["ips"], first["ips"]);
}

#[test]
fn cni_criterion_21_a_failure_at_any_step_leaves_nothing() {
    let failing: Arc<Mutex<Option<Step>>> = Arc::default();
    let chosen = Arc::clone(&failing);
    let fault = move |step| match *chosen.lock().unwrap() {
        Some(fails) if fails == step => Err(format!("injected at {step:?}")),
        _ => Ok(()),
    };
    let Some(node) = Node::with(Families::Dual, 200, Some(Arc::new(fault))) else { return };
    let container = node.container();
    let before = node.inventory();
    for step in Step::ALL.into_iter().filter(|step| *step <= Step::Made) {
        *failing.lock().unwrap() = Some(step);
        let said = node.add(&container);
        assert_eq!(said.error(), 100, "{step:?}: {said:?}");
        node.assert_inventory(&before, &format!("after a fault at {step:?}"));
        assert!(!container.run(&["ip", "link"]).contains("eth0"), "{step:?}");
    }
    *failing.lock().unwrap() = None;
    node.added(&container);
}

#[test]
fn cni_criterion_23_no_address_has_its_code_in_bounded_time_and_leaves_nothing() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let before = node.inventory();
    for (refusal, code) in [
        (AddressError::PodGone("the pod test/pod is gone".into()), 3),
        (AddressError::NoPool("no pool `x`; create it".into()), 102),
        (AddressError::Exhausted("pool default: 8 of 8 blocks are taken; enlarge it".into()), 11),
        (AddressError::Pending("block request default-node0 is not answered".into()), 11),
    ] {
        let details = refusal.to_string();
        node.addresses.refuse(Some(refusal));
        let said = node.add(&container);
        assert_eq!(said.error(), code);
        assert_eq!(said.json()["details"], details);
        node.assert_inventory(&before, &details);
    }
    // No agent at all.
    let Some(node) = Node::idle(Families::Dual, 1) else { return };
    let begun = Instant::now();
    assert_eq!(node.add(&node.container()).error(), 11);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn cni_criterion_24_a_hundred_at_once_get_a_hundred_addresses() {
    let Some(node) = Node::dual() else { return };
    let before = node.inventory();
    let containers: Vec<_> = (0..100).map(|_| node.container()).collect();
    let results: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = containers.iter().map(|one| scope.spawn(|| node.added(one))).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let addresses: BTreeSet<_> = results
        .iter()
        .flat_map(|result| result["ips"].as_array().unwrap())
        .map(|ip| ip["address"].to_string())
        .collect();
    assert_eq!(addresses.len(), 200);
    for (container, result) in containers.iter().zip(&results).step_by(10) {
        node.check(container, result).silent();
    }
    std::thread::scope(|scope| {
        containers.iter().for_each(|one| drop(scope.spawn(|| node.del(one).silent())));
    });
    node.assert_inventory(&before, "after a hundred ADDs and DELs at once");
}

#[test]
fn cni_criterion_25_prev_result_is_refused_by_the_first_plugin_of_a_chain() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let before = node.inventory();
    let mut config = node.config();
    config["prevResult"] = json!({"cniVersion": "1.1.0", "interfaces": [], "ips": []});
    assert_eq!(node.call("ADD", &container, &config).error(), 7);
    node.assert_inventory(&before, "after the refused chain");
    config["prevResult"] = json!(null);
    node.call("ADD", &container, &config).result();
}

#[test]
fn cni_criterion_26_dns_is_handed_through_or_absent() {
    let Some(node) = Node::dual() else { return };
    assert!(node.added(&node.container()).get("dns").is_none());
    let dns =
        json!({"nameservers": ["10.96.0.10"], "domain": "d", "search": ["a", "b"], "options": ["ndots:5"]});
    let mut config = node.config();
    config["dns"] = dns.clone();
    assert_eq!(node.call("ADD", &node.container(), &config).result()["dns"], dns);
    let mut config = node.config();
    config["ipam"] = json!({"dns": dns});
    assert_eq!(node.call("ADD", &node.container(), &config).result()["dns"], dns);
}

#[test]
fn cni_criterion_27_a_mac_is_honoured_and_addresses_are_refused_not_ignored() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let before = node.inventory();
    let mut config = node.config();
    config["runtimeConfig"] = json!({"ips": ["10.1.0.77/32"]});
    assert_eq!(node.call("ADD", &container, &config).error(), 7);
    for mac in ["01:00:00:00:00:01", "02:00", "zz:00:00:00:00:01", "02:00:00:00:00:01:02"] {
        config["runtimeConfig"] = json!({"mac": mac});
        assert_eq!(node.call("ADD", &container, &config).error(), 7, "{mac}");
    }
    node.assert_inventory(&before, "after refused requests");
    config["runtimeConfig"] = json!({"ips": [], "mac": "02:11:22:33:44:55"});
    let result = node.call("ADD", &container, &config).result();
    assert_eq!(result["interfaces"][1]["mac"], "02:11:22:33:44:55");
    assert!(container.run(&["ip", "link", "show", "eth0"]).contains("02:11:22:33:44:55"));
    node.check(&container, &result).silent();
}

#[test]
fn cni_criterion_28_every_family_works_at_once_from_node_pod_and_far_side() {
    for families in [Families::V4, Families::V6, Families::Dual] {
        let Some(node) = Node::with(families, 10, None) else { return };
        let (one, two) = (node.container(), node.container());
        let (first, second) = (node.added(&one), node.added(&two));
        // Not one second of duplicate address detection: nothing is tentative when ADD returns.
        let shown = one.run(&["ip", "-6", "address", "show", "dev", "eth0", "scope", "global"]);
        assert!(!shown.contains("tentative"), "{shown}");
        for (ip, other) in first["ips"].as_array().unwrap().iter().zip(second["ips"].as_array().unwrap()) {
            let (own, address) = (bare(&ip["address"]), bare(&other["address"]));
            let out = if own.contains(':') { "fd00:20::1" } else { "172.20.0.1" };
            assert_reaches(&node.space, (&one.space, &own));
            assert_reaches(&one.space, (&two.space, &address));
            assert_reaches(node.router(), (&one.space, &own));
            assert_reaches(&one.space, (node.router(), out));
        }
        if families == Families::V6 {
            assert!(!one.run(&["ip", "-4", "address", "show", "dev", "eth0"]).contains("inet"));
        }
    }
}

#[test]
fn n8_an_ipv6_only_pod_has_one_128_a_link_local_gateway_and_pings_its_neighbour_and_beyond_at_once() {
    let Some(node) = Node::with(Families::V6, 10, None) else { return };
    let (one, two) = (node.container(), node.container());
    let result = node.added(&one);
    node.added(&two);
    assert_eq!(result["ips"], json!([{"address": "fd00:1::1/128", "gateway": "fe80::1", "interface": 1}]));
    assert_eq!(result["routes"], json!([{"dst": "::/0", "gw": "fe80::1"}]));
    let shown = one.run(&["ip", "-6", "address", "show", "dev", "eth0", "scope", "global"]);
    assert!(
        shown.contains("fd00:1::1/128") && shown.contains("nodad") && !shown.contains("tentative"),
        "{shown}"
    );
    assert!(one.run(&["ip", "-6", "route"]).contains("default via fe80::1 dev eth0"));
    assert!(!one.run(&["ip", "-4", "address", "show", "dev", "eth0"]).contains("inet"));
    assert_eq!(node.space.run(&["ip", "-4", "route", "show", "proto", "188"]).unwrap(), "");
    // A pod of this node, the far side of the uplink, and back.
    let ping = |from: &sart_testkit::Namespace, to: &str| {
        from.run(&["ping", "-6", "-n", "-c", "1", "-W", "20", to]).unwrap();
    };
    ping(&one.space, "fd00:1::2");
    ping(&one.space, "fd00:20::1");
    ping(node.router(), "fd00:1::1");
    node.check(&one, &result).silent();
}

fn bare(cidr: &serde_json::Value) -> String {
    cidr.as_str().unwrap().split('/').next().unwrap().to_owned()
}
