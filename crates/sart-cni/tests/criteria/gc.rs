//! Criteria 43 to 46: GC.

use serde_json::json;

use crate::node::{NETWORK, Node};

#[test]
fn cni_criterion_43_both_keys_name_what_is_valid() {
    let Some(node) = Node::dual() else { return };
    let kept = [node.container(), node.container(), node.container()];
    let results: Vec<_> = kept.iter().map(|one| node.added(one)).collect();
    let before = node.inventory();
    let stale = node.container();
    node.added(&stale);
    let item = |index: usize| json!({"containerID": kept[index].id, "ifname": "eth0"});
    let mut config = node.config();
    config["cni.dev/valid-attachments"] = json!([item(0), item(1)]);
    config["cni.dev/attachments"] = json!([item(1), item(2)]);
    node.run(&[("CNI_COMMAND", "GC")], &config.to_string()).silent();
    node.assert_inventory(&before, "after GC");
    for (container, result) in kept.iter().zip(&results) {
        node.check(container, result).silent();
    }
}

#[test]
fn cni_criterion_44_no_list_deletes_nothing_and_an_empty_one_everything() {
    let Some(node) = Node::dual() else { return };
    let before = node.inventory();
    let container = node.container();
    let result = node.added(&container);
    node.gc(None).silent();
    node.check(&container, &result).silent();
    node.gc(Some(&[])).silent();
    node.assert_inventory(&before, "after GC with an empty list");
}

#[test]
fn cni_criterion_45_only_the_own_network_is_collected_again_and_again() {
    let Some(node) = Node::dual() else { return };
    let (own, other) = (node.container(), node.container());
    node.added(&own);
    let mut config = node.config();
    config["name"] = json!("another");
    let result = node.call("ADD", &other, &config).result();
    for _ in 0..2 {
        node.gc(Some(&[])).silent();
    }
    assert_eq!(node.addresses.all().keys().map(|key| key.network.as_str()).collect::<Vec<_>>(), ["another"]);
    config["prevResult"] = result;
    node.call("CHECK", &other, &config).silent();
    assert_ne!(NETWORK, "another");
}

#[test]
fn cni_criterion_45_one_failure_does_not_keep_the_others() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use sart_agent::cni::Step;

    use crate::addresses::Families;
    let failing = Arc::new(AtomicBool::new(false));
    let once = Arc::clone(&failing);
    let fault = move |step| {
        let fails = step == Step::Left && once.swap(false, Ordering::SeqCst);
        if fails { Err("injected".to_owned()) } else { Ok(()) }
    };
    let Some(node) = Node::with(Families::Dual, 200, Some(Arc::new(fault))) else { return };
    let before = node.inventory();
    let containers: Vec<_> = (0..5).map(|_| node.container()).collect();
    containers.iter().for_each(|one| drop(node.added(one)));
    failing.store(true, Ordering::SeqCst);
    let said = node.gc(Some(&[]));
    assert_eq!(said.error(), 106);
    let document = said.json();
    assert!(document["msg"].as_str().unwrap().starts_with("1 of 5"), "{document}");
    assert_eq!(node.addresses.all().len(), 1);
    node.gc(Some(&[])).silent();
    node.assert_inventory(&before, "after the second GC");
}

#[test]
fn cni_criterion_46_gc_is_silent_and_says_try_again_without_the_agent() {
    let Some(mut node) = Node::dual() else { return };
    node.gc(Some(&[])).silent();
    node.stop();
    assert_eq!(node.gc(Some(&[])).error(), 11);
}
