//! Two pods of one node, attached as the CNI server attaches them: routed links, netfilter between them as kube-proxy sets
//! it up, and programs on the host's ends.

#[path = "pods/latency.rs"]
mod latency;
#[path = "pods/lifetime.rs"]
mod lifetime;
#[path = "pods/paths.rs"]
mod paths;
#[path = "pods/spoof.rs"]
mod spoof;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use sart_agent::cni::{PodPort, PodPorts, PortProof};
use sart_agent::dataplane::{Counters, PodPath};

use super::*;

const A: (Ipv4Addr, Ipv6Addr) = (Ipv4Addr::new(10, 1, 0, 2), Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 2));
const B: (Ipv4Addr, Ipv6Addr) = (Ipv4Addr::new(10, 1, 0, 3), Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 3));
const HOST_MAC: [u8; 6] = [0xee; 6];
const GATEWAY: (&str, &str) = ("169.254.1.1", "fe80::1");

fn both(addresses: (Ipv4Addr, Ipv6Addr)) -> [IpAddr; 2] {
    [addresses.0.into(), addresses.1.into()]
}

/// A node and two pods, without programs.
struct Node {
    node: String,
    pods: [Pod; 2],
}

struct Pod {
    netns: String,
    link: &'static str,
    mac: [u8; 6],
    addresses: (Ipv4Addr, Ipv6Addr),
}

impl Node {
    fn up() -> Self {
        let id = std::process::id();
        run("mount -t tmpfs tmpfs /run");
        let pod = |name: &str, link, last, addresses| Pod {
            netns: format!("sartpp{id}{name}"),
            link,
            mac: mac(last),
            addresses,
        };
        let node = Self { node: format!("sartpp{id}n"), pods: [pod("a", "va", 1, A), pod("b", "vb", 2, B)] };
        run(&format!("ip netns add {}", node.node));
        node.on("ip link set lo up");
        node.on("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        for pod in &node.pods {
            node.plug(pod);
        }
        node
    }

    fn on(&self, line: &str) {
        run(&format!("ip netns exec {} {line}", self.node));
    }

    /// As in docs/adr: a /32 and a /128 with a gateway on the link.
    fn plug(&self, pod: &Pod) {
        let Pod { netns, link, addresses, .. } = pod;
        run(&format!("ip netns add {netns}"));
        let macs = (text(HOST_MAC), text(pod.mac));
        self.on(&format!(
            "ip link add {link} address {} type veth peer name eth0 address {} netns {netns}",
            macs.0, macs.1
        ));
        for (family, address, gateway, length) in
            [("-4", addresses.0.to_string(), GATEWAY.0, 32), ("-6", addresses.1.to_string(), GATEWAY.1, 128)]
        {
            let nodad = if length == 128 { "nodad" } else { "" };
            run(&format!("ip -n {netns} {family} addr add {address}/{length} dev eth0 {nodad}"));
            run(&format!("ip -n {netns} link set lo up"));
            run(&format!("ip -n {netns} link set eth0 up"));
            let neighbour = "nud permanent dev eth0";
            run(&format!("ip -n {netns} {family} neigh replace {gateway} lladdr {} {neighbour}", macs.0));
            run(&format!("ip -n {netns} {family} route add default via {gateway} dev eth0 onlink"));
            self.on(&format!("ip link set {link} up"));
            self.on(&format!("ip {family} route add {address}/{length} dev {link}"));
            self.on(&format!(
                "ip {family} neigh replace {address} lladdr {} nud permanent dev {link}",
                macs.1
            ));
        }
    }

    /// Runs `job` in the node's network namespace.
    fn inside<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        inside(&self.node, job).join().unwrap()
    }

    fn ports(&self) -> Vec<PodPort> {
        let links: Vec<_> = self.pods.iter().map(|pod| (pod.link, pod.mac, both(pod.addresses))).collect();
        self.inside(move || {
            links.into_iter().map(|(link, mac, addresses)| port(link, mac, addresses)).collect()
        })
    }

    /// Opens the dataplane and attaches both pods.
    fn attach(&self, config: &Config) -> (Dataplane, PodPath) {
        self.attach_all(config, self.ports())
    }

    fn attach_all(&self, config: &Config, ports: Vec<PodPort>) -> (Dataplane, PodPath) {
        let config = config.clone();
        self.inside(move || {
            let mut dataplane = Dataplane::open(config).unwrap();
            let path = PodPath::default();
            assert!(path.ready().is_err(), "nothing is promised before it is open");
            path.serve(&mut dataplane).unwrap();
            for port in &ports {
                assert_eq!(path.attach(port), Ok(PortProof::Bpf));
                assert_eq!(path.check(port), Ok(PortProof::Bpf));
            }
            (dataplane, path)
        })
    }
}

/// A pod's port; in the node's network namespace.
fn port(link: &str, pod_mac: [u8; 6], addresses: [IpAddr; 2]) -> PodPort {
    PodPort {
        ifindex: nix::net::if_::if_nametoindex(link).unwrap(),
        link: link.to_owned(),
        host_mac: HOST_MAC,
        pod_ifindex: 2,
        pod_mac,
        addresses: addresses.to_vec(),
        shaped: false,
    }
}

const fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn packets(dataplane: &Dataplane, reason: &str) -> u64 {
    let Counters { reasons, .. } = dataplane.counters().unwrap();
    reasons[reason].packets
}

/// Echoes TCP streams and datagrams on port 8080 of a pod until its test ends.
fn echo(pod: &Pod) {
    let addresses = both(pod.addresses);
    inside(&pod.netns, move || {
        for address in addresses {
            let at = SocketAddr::from((address, 8080));
            let (listener, socket) = (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap());
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
                }
            });
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let _refused = socket.send_to(&buffer[..length], from);
                }
            });
        }
    })
    .join()
    .unwrap();
}

/// An open connection of the calling thread's namespace.
fn dial(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LONG))?;
    Ok(stream)
}

/// Sends bytes and waits for the echo.
fn ping(stream: &mut TcpStream, bytes: &[u8]) {
    std::io::Write::write_all(stream, bytes).unwrap();
    let mut answer = vec![0; bytes.len()];
    std::io::Read::read_exact(stream, &mut answer).unwrap();
    assert_eq!(answer, bytes);
}

/// A socket that hears `to` only, so that an answer from another address is none.
fn datagrams(from: impl Into<IpAddr>, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((from.into(), 0)).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket
}

/// Whether a datagram is echoed; asks again, because datagrams may be lost.
fn echoes(socket: &UdpSocket) -> bool {
    (0..10).any(|_| {
        let _refused = socket.send(b"hello");
        let mut buffer = [0; 16];
        socket.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == b"hello")
    })
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
