//! What `sart cni check` and `repair` see of a node, and mend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use sart_agent::cni::Step;
use sart_agent::cni::audit::Audit;

use crate::addresses::Families;
use crate::node::Node;

fn audit(node: &Node) -> Audit {
    node.space.enter(|| Ok(node.server.as_ref().unwrap().machine().audit()?)).unwrap()
}

fn repair(node: &Node) -> Audit {
    node.space.enter(|| Ok(node.server.as_ref().unwrap().machine().repair()?)).unwrap()
}

fn words(audit: &Audit) -> Vec<&str> {
    audit.findings.iter().map(|(finding, _)| finding.reason).collect()
}

fn mended(audit: &Audit) -> bool {
    audit.findings.iter().all(|(_, mended)| mended == &Some(Ok(())))
}

#[test]
fn a_node_where_all_agrees_has_no_findings() {
    let Some(node) = Node::dual() else { return };
    let containers = [node.container(), node.container()];
    containers.iter().for_each(|one| drop(node.added(one)));
    assert_eq!(audit(&node), Audit { attachments: 2, ..Audit::default() });
    node.del(&containers[0]).silent();
    assert_eq!(audit(&node), Audit { attachments: 1, ..Audit::default() });
}

#[test]
fn lost_routes_and_addresses_are_found_and_put_back() {
    let Some(node) = Node::dual() else { return };
    let (unrouted, unheld) = (node.container(), node.container());
    let results = [node.added(&unrouted), node.added(&unheld)];
    node.space.run(&["ip", "-6", "route", "flush", "dev", &unrouted.link(), "proto", "188"]).unwrap();
    node.addresses.lose(&unheld.key());
    let before = audit(&node);
    assert_eq!(words(&before), ["MissingRoute", "UnheldAddress"]);
    assert!(before.findings.iter().all(|(_, mended)| mended.is_none()), "a check mends nothing");
    assert_eq!(words(&audit(&node)), words(&before));
    let repaired = repair(&node);
    assert_eq!(words(&repaired), words(&before));
    assert!(mended(&repaired), "{repaired:?}");
    assert_eq!(words(&audit(&node)), Vec::<&str>::new());
    node.check(&unrouted, &results[0]).silent();
    node.check(&unheld, &results[1]).silent();
}

#[test]
fn a_pod_whose_link_is_gone_is_let_go_and_nothing_is_left() {
    let Some(node) = Node::dual() else { return };
    let (kept, lost) = (node.container(), node.container());
    let result = node.added(&kept);
    let before = node.inventory();
    node.added(&lost);
    node.space.run(&["ip", "link", "del", &lost.link()]).unwrap();
    let repaired = repair(&node);
    assert_eq!(words(&repaired), ["MissingLink"]);
    assert!(mended(&repaired), "{repaired:?}");
    node.assert_inventory(&before, "after the repair");
    assert_eq!(words(&audit(&node)), Vec::<&str>::new());
    node.check(&kept, &result).silent();
}

#[test]
fn a_route_that_leads_to_no_pod_goes() {
    let Some(node) = Node::dual() else { return };
    let stale = ["route", "add", "10.1.77.7", "dev", "eth0", "proto", "188"];
    node.space.run(&[&["ip"][..], &stale].concat()).unwrap();
    let repaired = repair(&node);
    assert_eq!(words(&repaired), ["StaleRoute"]);
    assert!(mended(&repaired), "{repaired:?}");
    assert_eq!(words(&audit(&node)), Vec::<&str>::new());
}

#[test]
fn an_add_under_way_is_busy_and_no_finding_and_no_repair_touches_it() {
    let (reached, at_step) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let (once, gate) = (AtomicBool::new(true), std::sync::Mutex::new(gate));
    let fault = move |step| {
        if step == Step::Configured && once.swap(false, Ordering::SeqCst) {
            reached.send(()).map_err(|error| error.to_string())?;
            // An end also where the test ends early.
            let waited = gate.lock().unwrap().recv_timeout(Duration::from_secs(60));
            waited.map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    let Some(node) = Node::with(Families::Dual, 200, Some(Arc::new(fault))) else { return };
    let container = node.container();
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| node.add(&container));
        at_step.recv_timeout(Duration::from_secs(60)).unwrap();
        let during = repair(&node);
        go.send(()).unwrap();
        assert_eq!((words(&during), during.busy), (Vec::new(), 1));
        let result = adding.join().unwrap().result();
        node.check(&container, &result).silent();
    });
    assert_eq!(audit(&node), Audit { attachments: 1, ..Audit::default() });
}
