//! Criteria 51 to 54 as far as they are ours, and upstream's defects of this half.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use sart_agent::cni::Step;

use crate::addresses::Families;
use crate::node::Node;
use crate::status::{Gate, wait_for_connections};

#[test]
fn cni_criterion_52_the_timeout_of_the_configuration_ends_an_add() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let fault = move |step| {
        if step == Step::Begun {
            held.wait();
        }
        Ok(())
    };
    let Some(node) = Node::with(Families::Dual, 200, Some(Arc::new(fault))) else { return };
    let before = node.inventory();
    let container = node.container();
    let mut config = node.config();
    config["timeout"] = 1.into();
    let begun = Instant::now();
    assert_eq!(node.call("ADD", &container, &config).error(), 11);
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    // The runtime deletes what failed: it waits for the ADD to end, and nothing is left.
    std::thread::scope(|scope| {
        let deleting = scope.spawn(|| node.del(&container));
        let both = wait_for_connections(&node, 2);
        gate.open();
        both.unwrap();
        deleting.join().unwrap().silent();
    });
    node.assert_inventory(&before, "after an ADD cut short and its DEL");
}

/// Upstream's threads went into the pods' namespaces, and some stayed.
#[test]
fn cni_criterion_53_no_thread_of_the_agent_is_ever_in_a_pods_namespace() {
    let Some(node) = Node::dual() else { return };
    let inode = |path: String| std::fs::metadata(path).map(|found| found.ino()).ok();
    let pods: Vec<_> = (0..10).map(|_| node.container()).collect();
    let spaces: Vec<_> = pods.iter().filter_map(|pod| inode(pod.netns())).collect();
    std::thread::scope(|scope| {
        for pod in &pods {
            scope.spawn(|| {
                for _ in 0..3 {
                    let result = node.added(pod);
                    node.check(pod, &result).silent();
                    node.del(pod).silent();
                }
            });
        }
    });
    for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Some(space) = inode(format!("{}/ns/net", thread.path().display())) else { continue };
        assert!(!spaces.contains(&space), "{:?} is in a pod's namespace", thread.path());
    }
}

#[test]
fn measured_eight_adds_at_once_leave_no_thread_in_a_pods_namespace() {
    cni_criterion_53_no_thread_of_the_agent_is_ever_in_a_pods_namespace();
}

#[test]
fn cni_criterion_54_dumps_hold_while_links_come_and_go() {
    let Some(node) = Node::dual() else { return };
    let stopped = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // It ends by itself should the test fail beside it.
            for _ in 0..2000 {
                if stopped.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                node.space
                    .run(&["ip", "link", "add", "churn0", "type", "veth", "peer", "name", "churn1"])
                    .unwrap();
                node.space.run(&["ip", "link", "del", "churn0"]).unwrap();
            }
        });
        for _ in 0..10 {
            let container = node.container();
            let result = node.added(&container);
            node.check(&container, &result).silent();
            node.gc(Some(&[&container])).silent();
            node.del(&container).silent();
        }
        stopped.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[test]
fn a_caller_that_makes_no_sense_costs_nothing_and_only_root_may_ask() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::process::CommandExt as _;
    let Some(node) = Node::dual() else { return };
    for bytes in [&b"\xff\xff\xff\xff"[..], b"\x05\x00\x00\x00hello", b"\x01", b""] {
        let mut stream = UnixStream::connect(node.path("cni.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.is_empty(), "{bytes:?}");
    }
    node.says_yes();
    // As another user, through a folder and a socket opened to everybody.
    for path in [node.dir.path().to_owned(), node.path("cni.sock")] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(path, open).unwrap();
    }
    // Where this was built may be closed to that user, as root's home is. A program that this process writes itself could
    // not be run while a test beside it is between fork(2) and execve(2): ETXTBSY.
    let plugin = node.path("sart-cni");
    let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_sart-cni")).arg(&plugin).status();
    assert!(copied.unwrap().success());
    let mut command = std::process::Command::new(plugin);
    command.env_clear().env("CNI_COMMAND", "STATUS").uid(65534).gid(65534);
    let said = crate::node::said(command, node.config().to_string().as_bytes());
    assert_eq!(said.error(), 50, "{said:?}");
}

#[test]
fn measured_a_restart_then_del_frees_the_address_and_a_second_del_is_no_error() {
    let Some(mut node) = Node::dual() else { return };
    let before = node.inventory();
    let container = node.container();
    let result = node.added(&container);
    node.stop();
    node.serve(None);
    assert_eq!(node.server.as_ref().unwrap().summary().adopted, 1);
    assert!(node.addresses.all().contains_key(&container.key()));
    node.check(&container, &result).silent();
    node.del(&container).silent();
    node.del(&container).silent();
    node.assert_inventory(&before, "after restart and DEL");
}

#[test]
fn measured_eight_adds_in_parallel_are_not_serialised() {
    const AT_ONCE: usize = 8;
    // Each ADD waits in the middle for all the others: one after the other they would wait in vain.
    let crowd = (Mutex::new(0), Condvar::new());
    let fault = move |step| {
        if step != Step::Allocated {
            return Ok(());
        }
        let mut there = crowd.0.lock().unwrap();
        *there += 1;
        crowd.1.notify_all();
        let alone = |there: &mut usize| *there < AT_ONCE;
        let there = crowd.1.wait_timeout_while(there, Duration::from_secs(25), alone).unwrap().0;
        if *there < AT_ONCE { Err("the others did not come".into()) } else { Ok(()) }
    };
    let Some(node) = Node::with(Families::Dual, 200, Some(Arc::new(fault))) else { return };
    let containers: Vec<_> = (0..AT_ONCE).map(|_| node.container()).collect();
    std::thread::scope(|scope| containers.iter().for_each(|one| drop(scope.spawn(|| node.added(one)))));
    assert_eq!(node.addresses.all().len(), AT_ONCE);
}

#[test]
fn issue_7_1_13_a_failed_add_leaves_the_agents_sockets_where_they_were() {
    let Some(node) = Node::dual() else { return };
    let bad = node.container();
    bad.run(&["ip", "link", "add", "eth0", "type", "bridge"]);
    for _ in 0..8 {
        assert_eq!(node.add(&bad).error(), 101);
    }
    let good = node.container();
    let result = node.added(&good);
    assert!(node.space.run(&["ip", "link"]).unwrap().contains(&good.link()));
    node.check(&good, &result).silent();
}
