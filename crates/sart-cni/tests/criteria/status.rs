//! Criteria 40 to 42: STATUS.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use sart_agent::cni::{PodPort, PodPorts, PortError, PortProof, Step};
use sart_testkit::wait_for;

use crate::addresses::Families;
use crate::node::Node;

#[test]
fn cni_criterion_40_status_says_yes_only_when_add_would_work() {
    let Some(mut node) = Node::with(Families::Dual, 1, None) else { return };
    node.says_yes();
    let container = node.container();
    node.added(&container);
    assert_eq!(node.status().error(), 50, "no address is left");
    node.del(&container).silent();
    node.says_yes();
    node.addresses.set_ready(false);
    assert_eq!(node.status().error(), 50);
    node.addresses.set_ready(true);
    node.stop();
    assert_eq!(node.status().error(), 50, "nobody serves");
}

/// A dataplane that lost its programs.
struct Impaired;

impl PodPorts for Impaired {
    fn attach(&self, _: &PodPort) -> Result<PortProof, PortError> {
        Ok(PortProof::Bpf)
    }

    fn detach(&self, _: &PodPort) -> Result<(), PortError> {
        Ok(())
    }

    fn check(&self, _: &PodPort) -> Result<PortProof, PortError> {
        Ok(PortProof::Bpf)
    }

    fn ready(&self) -> Result<(), PortError> {
        Err(PortError { link: String::new(), message: "pod_in is missing on 3 links".into() })
    }
}

#[test]
fn cni_criterion_41_impaired_pods_have_a_code_of_their_own() {
    let Some(mut node) = Node::idle(Families::Dual, 10) else { return };
    node.serve_with(None, Arc::new(Impaired));
    let said = node.status();
    assert_eq!(said.error(), 51);
    assert!(said.json()["details"].as_str().unwrap().contains("3 links"));
    // STATUS fails, ADD and DEL go on (criterion 42).
    let container = node.container();
    node.added(&container);
    node.del(&container).silent();
}

/// Holds every ADD until it is let go.
#[derive(Default)]
pub struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub fn wait(&self) {
        let open = self.open.lock().unwrap();
        let limit = Duration::from_secs(60);
        drop(self.changed.wait_timeout_while(open, limit, |open| !*open).unwrap());
    }

    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// Waits until the node's agent holds that many connections. The kernel lists an accepted socket under the path of its
/// listener (proc(5), `/proc/net/unix`); descriptors of this process would be those of other tests too.
pub fn wait_for_connections(node: &Node, wanted: usize) -> anyhow::Result<()> {
    let path = node.path("cni.sock").display().to_string();
    wait_for("the connections to the agent", Duration::from_secs(30), || {
        let table = node.space.enter(|| Ok(std::fs::read_to_string("/proc/thread-self/net/unix")?))?;
        let sockets = table.lines().filter(|line| line.ends_with(&path)).count();
        anyhow::ensure!(sockets == wanted + 1, "{sockets} sockets, the listener among them");
        Ok(Some(()))
    })
}

#[test]
fn cni_criterion_42_status_answers_while_adds_wait_and_costs_nothing() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let fault = move |step| {
        if step == Step::Begun {
            held.wait();
        }
        Ok(())
    };
    let Some(node) = Node::with(Families::Dual, 200, Some(Arc::new(fault))) else { return };
    let containers: Vec<_> = (0..8).map(|_| node.container()).collect();
    std::thread::scope(|scope| {
        for one in &containers {
            scope.spawn(|| node.added(one));
        }
        let arrived = wait_for_connections(&node, 8);
        let begun = Instant::now();
        for _ in 0..50 {
            node.says_yes();
        }
        let took = begun.elapsed();
        let kept = wait_for_connections(&node, 8);
        gate.open();
        arrived.unwrap();
        kept.unwrap();
        assert!(took < Duration::from_secs(50), "{took:?}");
    });
    assert_eq!(node.addresses.all().len(), 8);
}
