//! A node with our programs on the links of its pods; and criterion 22 for what they leave behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use sart_agent::cni::Step;
use sart_agent::dataplane::{Config, Dataplane, PodPath, embedded_object};

use crate::addresses::Families;
use crate::crash::{PATIENCE, start};
use crate::node::Node;

/// Runs `test` on a thread with mounts of its own, among them a bpffs; or says why it does not.
pub fn alone(test: impl FnOnce(PathBuf) + Send + 'static) {
    let object = embedded_object().is_none().then_some("built without a BPF object: cargo xtask build-ebpf");
    if sart_testkit::skips(sart_testkit::missing().or(object)) {
        return;
    }
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let folder = Path::new("/sys/fs/bpf");
        mount(Some("bpf"), folder, Some("bpf"), MsFlags::empty(), none).unwrap();
        test(folder.join("sart/v1"));
    });
    thread.join().unwrap();
}

/// A node whose pods get our programs.
pub fn programmed(pins: PathBuf) -> (Node, Dataplane) {
    let mut node = Node::idle(Families::Dual, 200).unwrap();
    let (dataplane, path) = open(&node, pins);
    node.serve_with(None, Arc::new(path));
    (node, dataplane)
}

/// What carries the packets, opened in the node's namespace.
pub fn open(node: &Node, pins: PathBuf) -> (Dataplane, PodPath) {
    node.space.enter(|| open_here(pins)).unwrap()
}

/// The same in the caller's.
pub fn open_here(pin_root: PathBuf) -> anyhow::Result<(Dataplane, PodPath)> {
    let mut dataplane = Dataplane::open(Config { pin_root })?;
    let path = PodPath::default();
    path.serve(&mut dataplane)?;
    Ok((dataplane, path))
}

pub fn packets(dataplane: &Dataplane, reason: &str) -> u64 {
    dataplane.counters().unwrap().reasons[reason].packets
}

#[test]
fn cni_criterion_22_the_agent_killed_at_a_step_leaves_no_program_row_or_mark_after_del() {
    alone(|pins| {
        let mut node = Node::idle(Families::Dual, 200).unwrap();
        let before = node.inventory();
        for step in [Step::Linked, Step::Attached, Step::Made, Step::Detached, Step::Unlinked] {
            let container = node.container();
            let mut agent = start(&node, (step, "die"), Some(&pins));
            if step > Step::Made {
                node.added(&container);
                node.del(&container).silent();
            } else {
                assert_eq!(node.add(&container).error(), 11, "{step:?}");
            }
            agent.wait(PATIENCE).unwrap();
            drop(agent);
            let (dataplane, path) = open(&node, pins.clone());
            let hooks = path.hooks().unwrap();
            node.serve_with(None, Arc::new(path));
            node.del(&container).silent();
            node.assert_inventory(&before, &format!("agent killed at {step:?}"));
            let left = node.space.enter(|| Ok(hooks.list()?)).unwrap();
            assert!(left.is_empty(), "agent killed at {step:?}: {left:?}");
            node.stop();
            drop(dataplane);
        }
    });
}
