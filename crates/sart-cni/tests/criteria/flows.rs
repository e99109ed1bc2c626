//! Criterion 35: what the kernel tracks of a pod that is gone.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sart_testkit::{Namespace, wait_for};

use crate::node::{Container, Node};

const PORT: u16 = 5300;
const PATIENCE: Duration = Duration::from_secs(40);
/// Addresses of the node beyond its uplink.
const NODE: [&str; 2] = ["172.20.0.2", "fd00:20::2"];

/// Answers every datagram with the name of its pod until dropped.
struct Echo {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Echo {
    fn start(container: &Container, addresses: &[&str]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |address: &&str| {
            let at = SocketAddr::new(address.parse().unwrap(), PORT);
            let socket = container.space.enter(|| Ok(UdpSocket::bind(at)?)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let (stopped, name) = (Arc::clone(&stop), container.id.clone());
            std::thread::spawn(move || {
                while !stopped.load(Ordering::SeqCst) {
                    if let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
                        let _refused = socket.send_to(name.as_bytes(), from);
                    }
                }
            })
        };
        let threads = addresses.iter().map(start).collect();
        Self { stop, threads }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Leads the port of the node to these addresses, as a host port's rules do.
fn lead(node: &Node, addresses: Option<[&str; 2]>) {
    let mut rules =
        "table ip hostport\ndelete table ip hostport\ntable ip6 hostport\ndelete table ip6 hostport\n"
            .to_owned();
    for ((family, own), to) in ["ip", "ip6"].into_iter().zip(NODE).zip(addresses.iter().flatten()) {
        let rule = format!("{family} daddr {own} udp dport {PORT} dnat to {to}");
        rules += &format!(
            "table {family} hostport {{\nchain in {{\ntype nat hook prerouting priority dstnat\n{rule}\n}}\n}}\n"
        );
    }
    let file = node.path("rules.nft");
    std::fs::write(&file, rules).unwrap();
    node.space.run(&["nft", "-f", file.to_str().unwrap()]).unwrap();
    // No flow ends by itself while the test looks, however long that takes.
    for timeout in ["udp_timeout", "udp_timeout_stream"] {
        node.space.sysctl(&format!("net.netfilter.nf_conntrack_{timeout}"), "600").unwrap();
    }
}

/// A client beyond the uplink that stays on one port, and so in one tracked flow.
fn client(space: &Namespace, node: &str) -> UdpSocket {
    let to = SocketAddr::new(node.parse().unwrap(), PORT);
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = space.enter(|| Ok(UdpSocket::bind((any, 0))?)).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket
}

/// Sends until this pod answers.
fn answered_by(socket: &UdpSocket, container: &Container) {
    wait_for("an answer of the right pod", PATIENCE, || {
        let _refused = socket.send(b"who is there?");
        let mut buffer = [0; 64];
        let Ok(length) = socket.recv(&mut buffer) else { return Ok(None) };
        Ok((&buffer[..length] == container.id.as_bytes()).then_some(()))
    })
    .unwrap();
}

/// Entries that name the address.
fn tracked(node: &Node, address: &str) -> usize {
    let of = |family| node.space.run(&["conntrack", "-L", "-f", family]).unwrap();
    let all = of("ipv4") + &of("ipv6");
    all.lines()
        .filter(|line| line.split_whitespace().any(|word| word.ends_with(&format!("={address}"))))
        .count()
}

fn tools() -> bool {
    let found = |tool| ["/usr/sbin", "/sbin"].iter().any(|dir| std::path::Path::new(dir).join(tool).exists());
    ["conntrack", "nft"].into_iter().all(found)
}

#[test]
fn cni_criterion_35_del_forgets_the_flows_of_the_pod_although_a_client_goes_on_feeding_them() {
    let missing = (!tools()).then_some("conntrack or nft is not installed");
    if sart_testkit::skips(missing) {
        return;
    }
    let Some(node) = Node::dual() else { return };
    let (old, next) = (node.container(), node.container());
    node.added(&old);
    node.added(&next);
    let (old_addresses, next_addresses) = (["10.1.0.1", "fd00:1::1"], ["10.1.0.2", "fd00:1::2"]);
    let echoes = [Echo::start(&old, &old_addresses), Echo::start(&next, &next_addresses)];
    lead(&node, Some(old_addresses));
    let clients = NODE.map(|address| client(node.router(), address));
    clients.iter().for_each(|socket| answered_by(socket, &old));
    // A flow of the pod that stays, and a connection to the one that goes: both stay.
    for address in next_addresses {
        answered_by(&client(node.router(), address), &next);
    }
    crate::node::assert_reaches(node.router(), (&old.space, old_addresses[0]));
    assert_eq!(old_addresses.map(|address| tracked(&node, address)), [2, 1]);
    assert_eq!(next_addresses.map(|address| tracked(&node, address)), [1, 1]);

    // The port is another pod's now, but the kernel goes on leading this flow to the old one, for as long as it is fed.
    lead(&node, Some(next_addresses));
    clients.iter().for_each(|socket| answered_by(socket, &old));
    node.del(&old).silent();
    clients.iter().for_each(|socket| answered_by(socket, &next));
    assert_eq!(
        old_addresses.map(|address| tracked(&node, address)),
        [1, 0],
        "the connection has an end of its own"
    );
    assert_eq!(next_addresses.map(|address| tracked(&node, address)), [2, 2]);
    drop(echoes);
}

#[test]
fn cni_criterion_35_flows_that_a_killed_agent_did_not_forget_are_forgotten_by_the_next_one() {
    let missing = (!tools()).then_some("conntrack or nft is not installed");
    if sart_testkit::skips(missing) {
        return;
    }
    let Some(mut node) = Node::dual() else { return };
    let (old, kept) = (node.container(), node.container());
    node.added(&old);
    node.added(&kept);
    lead(&node, Some(["10.1.0.2", "fd00:1::2"]));
    let echoes = [Echo::start(&old, &["10.1.0.1"]), Echo::start(&kept, &["10.1.0.2"])];
    for (address, pod) in [("10.1.0.1", &old), ("10.1.0.2", &kept)] {
        node.router().run(&["ip", "route", "replace", address, "via", "172.20.0.2"]).unwrap();
        answered_by(&client(node.router(), address), pod);
    }
    node.stop();
    node.del(&old).silent();
    assert_eq!(tracked(&node, "10.1.0.1"), 1, "nobody is there to forget it");
    node.serve(None);
    wait_for("the flow to be forgotten", PATIENCE, || Ok((tracked(&node, "10.1.0.1") == 0).then_some(())))
        .unwrap();
    assert_eq!(tracked(&node, "10.1.0.2"), 1, "of a pod that lives");
    drop(echoes);
}
