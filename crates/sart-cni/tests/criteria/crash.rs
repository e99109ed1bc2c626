//! Criterion 22: SIGKILL of plugin or agent at every step, then DEL: nothing is left. The agent is this test's own binary,
//! started again as a process of its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use sart_agent::cni::{PlainRouting, PodPorts, Server, Settings, Step};
use sart_testkit::{Process, wait_for};

use crate::addresses::{Families, Ranges};
use crate::node::{Container, Node};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the child does when it reaches the step named by `SART_TEST_STEP`.
fn child_fault(step: Step, wanted: &str, how: &str, dir: &std::path::Path) -> Result<(), String> {
    if format!("{step:?}") != wanted {
        return Ok(());
    }
    if how == "die" {
        nix::sys::signal::raise(Signal::SIGKILL).map_err(|error| error.to_string())?;
    }
    std::fs::write(dir.join("reached"), b"").map_err(|error| error.to_string())?;
    wait_for("the test to let the agent go on", PATIENCE, || Ok(dir.join("go").exists().then_some(())))
        .map_err(|error| error.to_string())
}

/// Not a test: the agent of the tests below.
#[test]
fn agent_process() {
    let Some(dir) = std::env::var_os("SART_TEST_DIR").map(std::path::PathBuf::from) else { return };
    let (step, how) = (std::env::var("SART_TEST_STEP").unwrap(), std::env::var("SART_TEST_HOW").unwrap());
    let own = dir.clone();
    let fault = move |reached| child_fault(reached, &step, &how, &own);
    let settings = Settings {
        socket: dir.join("cni.sock"),
        state: dir.join("state"),
        metrics: sart_agent::cni::Metrics::default(),
        fault: Some(Arc::new(fault)),
    };
    let opened =
        std::env::var_os("SART_TEST_PINS").map(|pins| crate::programs::open_here(pins.into()).unwrap());
    let (_dataplane, ports): (_, Arc<dyn PodPorts>) = match opened {
        Some((dataplane, path)) => (Some(dataplane), Arc::new(path)),
        None => (None, Arc::new(PlainRouting { why: "a test".into() })),
    };
    let server = Server::start(settings, Arc::new(Ranges::new(Families::Dual, 200)), ports).unwrap();
    // Until the test ends us, and not for ever without it.
    std::thread::sleep(PATIENCE * 2);
    drop(server);
}

/// The agent as a process of its own, which does `how` at the step; with programs where pins are given.
pub fn start(node: &Node, (step, how): (Step, &str), pins: Option<&Path>) -> Process {
    for file in ["reached", "go"] {
        let _absent = std::fs::remove_file(node.path(file));
    }
    let own = std::env::current_exe().unwrap();
    let mut command: Command = node.space.command(own.to_str().unwrap());
    command.args(["--exact", "crash::agent_process", "--nocapture"]);
    command.env("SART_TEST_DIR", node.dir.path()).env("SART_TEST_STEP", format!("{step:?}"));
    command.env("SART_TEST_HOW", how);
    if let Some(pins) = pins {
        command.env("SART_TEST_PINS", pins);
    }
    let mut process = Process::start(command, &node.path("agent.log")).unwrap();
    wait_for("the agent to serve", PATIENCE, || {
        anyhow::ensure!(process.is_running()?, "it ended: {}", process.log());
        Ok((node.status().code == Some(0)).then_some(()))
    })
    .unwrap();
    process
}

/// After a crash: the agent starts again, the runtime deletes, and nothing is left.
fn assert_del_cleans(
    node: &mut Node,
    container: &Container,
    before: &std::collections::BTreeSet<String>,
    when: &str,
) {
    node.serve(None);
    node.del(container).silent();
    node.assert_inventory(before, when);
    assert!(!container.run(&["ip", "link"]).contains("eth0"), "{when}");
    node.stop();
}

fn adding(step: Step) -> bool {
    step <= Step::Made
}

#[test]
fn cni_criterion_22_the_agent_killed_at_any_step_leaves_nothing_after_del() {
    let Some(mut node) = Node::idle(Families::Dual, 200) else { return };
    let before = node.inventory();
    for step in Step::ALL {
        let container = node.container();
        let mut agent = start(&node, (step, "die"), None);
        let added = node.add(&container);
        if adding(step) {
            assert_eq!(added.error(), 11, "{step:?}");
            agent.wait(PATIENCE).unwrap();
            // The agent is still down: DEL is remembered.
            node.del(&container).silent();
        } else {
            added.result();
            node.del(&container).silent();
            agent.wait(PATIENCE).unwrap();
        }
        drop(agent);
        assert_del_cleans(&mut node, &container, &before, &format!("agent killed at {step:?}"));
    }
}

#[test]
fn cni_criterion_22_the_plugin_killed_at_any_step_leaves_nothing_after_del() {
    let Some(mut node) = Node::idle(Families::Dual, 200) else { return };
    let before = node.inventory();
    for step in Step::ALL {
        let container = node.container();
        let agent = start(&node, (step, "wait"), None);
        if !adding(step) {
            node.added(&container);
        }
        let netns = container.netns();
        let verb = if adding(step) { "ADD" } else { "DEL" };
        let environment = [
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", container.id.as_str()),
            ("CNI_NETNS", &netns),
            ("CNI_IFNAME", "eth0"),
        ];
        kill_when_reached(&node, &environment);
        std::fs::write(node.path("go"), b"").unwrap();
        // The runtime deletes at once: DEL waits for the turn of the ADD that still runs.
        node.del(&container).silent();
        node.del(&container).silent();
        drop(agent);
        assert_del_cleans(&mut node, &container, &before, &format!("plugin killed at {step:?}"));
    }
}

fn kill_when_reached(node: &Node, environment: &[(&str, &str)]) {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut plugin = node.plugin(environment);
    let mut child = plugin.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(node.config().to_string().as_bytes()).unwrap();
    let reached =
        wait_for("the agent to reach the step", PATIENCE, || Ok(node.path("reached").exists().then_some(())));
    child.kill().unwrap();
    child.wait().unwrap();
    reached.unwrap();
}

#[test]
fn a_node_that_rebooted_has_no_pods_and_its_addresses_cool_down() {
    let Some(mut node) = Node::dual() else { return };
    let before = node.inventory();
    let containers: Vec<_> = (0..3).map(|_| node.container()).collect();
    containers.iter().for_each(|one| drop(node.added(one)));
    node.stop();
    // What a reboot does to the kernel; the state folder stays.
    for one in &containers {
        node.space.run(&["ip", "link", "del", &one.link()]).unwrap();
    }
    node.serve(None);
    assert_eq!(node.server.as_ref().unwrap().summary().released, 3);
    assert_eq!(node.addresses.cooling().len(), 6);
    containers.iter().for_each(|one| node.del(one).silent());
    node.assert_inventory(&before, "after the reboot");
}

#[test]
fn a_lost_journal_is_made_again_from_the_kernel() {
    let Some(mut node) = Node::dual() else { return };
    let container = node.container();
    let result = node.added(&container);
    node.stop();
    std::fs::remove_dir_all(node.path("state")).unwrap();
    node.serve(None);
    assert_eq!(node.server.as_ref().unwrap().summary().adopted, 1);
    let held: Vec<_> =
        node.addresses.all().into_values().flatten().map(|one| one.address.to_string()).collect();
    assert_eq!(held, ["10.1.0.1", "fd00:1::1"]);
    node.check(&container, &result).silent();
    let other = node.added(&node.container());
    assert_eq!(other["ips"][0]["address"], "10.1.0.2/32");
}
