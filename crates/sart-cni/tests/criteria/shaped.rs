//! Criterion 51 with our programs on the links: what Debian's bandwidth and portmap plugins do behind us works, and so does
//! what our programs do.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sart_agent::dataplane::Dataplane;
use sart_testkit::{Namespace, wait_for};
use serde_json::{Value, json};

use crate::chain::{missing, next};
use crate::node::{Container, Node};
use crate::programs::{self, open, packets, programmed};

/// Bits per second: a mebibyte takes a second, and next to nothing without a limit.
const RATE: u64 = 8_000_000;
/// What may pass at once, in bits.
const BURST: u64 = 800_000;
const SENT: usize = 600_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `test` where Debian's plugins are.
fn alone(test: impl FnOnce(PathBuf) + Send + 'static) {
    if !sart_testkit::skips(missing(&["portmap", "bandwidth"])) {
        programs::alone(test);
    }
}

/// What a runtime hands to each plugin of the chain for this pod.
struct Chain {
    ours: Value,
    next: [Value; 2],
}

impl Chain {
    fn of(node: &Node, limited: bool) -> Self {
        let mut ours = node.config();
        ours["cniVersion"] = json!("1.0.0");
        let mut next = [("portmap", json!({"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]})),
            ("bandwidth", json!({}))]
        .map(|(kind, runtime)| json!({"cniVersion": "1.0.0", "name": "sart-network", "type": kind, "runtimeConfig": runtime}));
        if limited {
            let limits = json!({"bandwidth": {"ingressRate": RATE, "ingressBurst": BURST, "egressRate": RATE, "egressBurst": BURST}});
            ours["runtimeConfig"] = limits.clone();
            next[1]["runtimeConfig"] = limits;
        }
        Self { ours, next }
    }

    fn add(&mut self, node: &Node, container: &Container) -> Value {
        let result = node.call("ADD", container, &self.ours).result();
        for config in &mut self.next {
            config["prevResult"] = result.clone();
            next(node, "ADD", container, config).result();
        }
        self.ours["prevResult"] = result.clone();
        result
    }

    fn check(&self, node: &Node, container: &Container) {
        node.call("CHECK", container, &self.ours).silent();
        if self.next[1]["runtimeConfig"].get("bandwidth").is_none() {
            // Debian's bandwidth 1.1 ends with a signal when it is asked to check what has no limits.
            return;
        }
        let checked = next(node, "CHECK", container, &self.next[1]);
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }

    fn del(&self, node: &Node, container: &Container) {
        for config in self.next.iter().rev() {
            let deleted = next(node, "DEL", container, config);
            assert_eq!(deleted.code, Some(0), "{deleted:?}");
        }
        node.call("DEL", container, &self.ours).silent();
    }
}

/// How long it takes until all these bytes have come from one namespace to a port of another one.
fn transfer(from: &Namespace, (to, at): (&Namespace, SocketAddr), dialled: SocketAddr) -> Duration {
    let listener = to.enter(|| Ok(TcpListener::bind(at)?)).unwrap();
    let begun = Instant::now();
    let connected = from.enter(|| Ok(TcpStream::connect_timeout(&dialled, Duration::from_secs(20))?));
    let mut sender = connected.unwrap_or_else(|error| panic!("{} to {dialled}: {error:#}", from.name()));
    sender.set_write_timeout(Some(PATIENCE)).unwrap();
    listener.set_nonblocking(true).unwrap();
    // The kernel has taken the connection already.
    let (mut receiver, _) = wait_for("the connection", PATIENCE, || Ok(listener.accept().ok())).unwrap();
    receiver.set_nonblocking(false).unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || sender.write_all(&vec![7; SENT]).unwrap());
        let mut bytes = Vec::new();
        receiver.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), SENT);
    });
    begun.elapsed()
}

fn port80(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse::<IpAddr>().unwrap(), 80)
}

/// The least time for the bytes at the limited rate, the burst taken off, and a fifth for what tokens do.
fn least() -> Duration {
    Duration::from_millis((SENT as u64 * 8 - BURST) * 1000 / RATE * 4 / 5)
}

#[test]
fn cni_criterion_51_a_pod_with_limits_is_limited_both_ways_and_still_may_not_spoof() {
    alone(|pins| {
        let (mut node, dataplane) = programmed(pins.clone());
        let (limited, free) = (node.container(), node.container());
        let before = node.inventory();
        node.added(&free);
        let mut chain = Chain::of(&node, true);
        chain.add(&node, &limited);
        let (own, other) = (port80("10.1.0.2"), port80("10.1.0.1"));
        let spaces = (&limited.space, &free.space);
        // From a pod of the same node, to it, and from beyond the node, there by the node's own port.
        for (from, to, dialled) in [
            (spaces.1, (spaces.0, own), own),
            (spaces.0, (spaces.1, other), other),
            (node.router(), (spaces.0, own), SocketAddr::from(([172, 20, 0, 2], 8080))),
            (spaces.1, (spaces.0, port80("fd00:1::2")), port80("fd00:1::2")),
        ] {
            let took = transfer(from, to, dialled);
            assert!(took >= least(), "{} bytes from {} in {took:?}", SENT, from.name());
        }
        assert_spoof_dropped(&dataplane, &limited, &free);
        assert_eq!(packets(&dataplane, "pod_peer"), 0, "nothing of it passes by the disciplines");
        chain.check(&node, &limited);

        // An agent that starts again leaves the disciplines alone, and the programs with them.
        node.stop();
        let (dataplane, path) = open(&node, pins);
        node.serve_with(None, std::sync::Arc::new(path));
        chain.check(&node, &limited);
        assert!(transfer(spaces.1, (spaces.0, own), own) >= least());
        assert_spoof_dropped(&dataplane, &limited, &free);
        chain.del(&node, &limited);
        node.del(&free).silent();
        node.assert_inventory(&before, "after DEL of the chain");
    });
}

/// A datagram with another source does not arrive, one with its own does.
fn assert_spoof_dropped(dataplane: &Dataplane, pod: &Container, other: &Container) {
    let listener = other.space.enter(|| Ok(UdpSocket::bind("10.1.0.1:9")?)).unwrap();
    listener.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let before = packets(dataplane, "pod_spoof_ipv4");
    pod.run(&["ip", "address", "replace", "10.1.0.77/32", "dev", "eth0"]);
    for source in ["10.1.0.77:0", "10.1.0.2:0"] {
        let socket = pod.space.enter(|| Ok(UdpSocket::bind(source)?)).unwrap();
        socket.send_to(source.as_bytes(), "10.1.0.1:9").unwrap();
    }
    let mut buffer = [0; 64];
    // A read with a time limit is not taken up again after a stop of the process (signal(7)).
    let heard = wait_for("the datagram", PATIENCE, || match listener.recv_from(&mut buffer) {
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        heard => Ok(Some(heard?)),
    });
    let (_, from) = heard.unwrap();
    assert_eq!(from.ip().to_string(), "10.1.0.2");
    assert_eq!(packets(dataplane, "pod_spoof_ipv4"), before + 1);
}

#[test]
fn cni_criterion_51_a_host_port_leads_through_our_programs_to_a_pod_without_limits() {
    alone(|pins| {
        let (node, dataplane) = programmed(pins);
        let before = node.inventory();
        let (pod, other) = (node.container(), node.container());
        let mut chain = Chain::of(&node, false);
        chain.add(&node, &pod);
        node.added(&other);
        let at = port80("10.1.0.1");
        for from in [node.router(), &other.space] {
            transfer(from, (&pod.space, at), SocketAddr::from(([172, 20, 0, 2], 8080)));
        }
        assert!(packets(&dataplane, "pod_from_stack") > 0, "the node's own pod came by the translation");
        transfer(&other.space, (&pod.space, at), at);
        assert!(packets(&dataplane, "pod_peer") > 0, "straight where nothing is translated");
        chain.check(&node, &pod);
        chain.del(&node, &pod);
        node.del(&other).silent();
        node.assert_inventory(&before, "after DEL of the chain");
    });
}
