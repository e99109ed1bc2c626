//! The real kernel loads, tests, pins and attaches the programs. Each test has a bpffs, and where it needs one a network
//! namespace, of its own; both go with its thread.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "bpf_dataplane/pods.rs"]
mod pods;
#[path = "bpf_dataplane/rights.rs"]
mod rights;
#[path = "bpf_dataplane/uplinks.rs"]
mod uplinks;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use sart_agent::dataplane::{Config, Dataplane, embedded_object};
use sart_dataplane::desired::{DesiredTables, DesiredVip, Endpoint, Protocol, ServiceRef, VipId, identity};

const VIP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// What each wait may take on a loaded machine.
const LONG: Duration = Duration::from_secs(30);

/// Runs `test` on a thread with namespaces of its own, or says why it does not.
fn alone(test: impl FnOnce(Config) + Send + 'static) {
    let object = embedded_object().is_none().then_some("built without a BPF object: cargo xtask build-ebpf");
    if sart_testkit::skips(sart_testkit::missing().or(object)) {
        return;
    }
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let folder = PathBuf::from("/sys/fs/bpf");
        mount(Some("bpf"), &folder, Some("bpf"), MsFlags::empty(), none).unwrap();
        run("ip link set lo up");
        test(Config { pin_root: folder.join("sart/v1") });
    });
    thread.join().unwrap();
}

fn run(line: &str) {
    let mut words = line.split_whitespace();
    let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{line}");
}

fn tables(endpoints: &[(Ipv4Addr, &str)]) -> DesiredTables {
    let vip = |protocol| DesiredVip {
        id: VipId { addr: VIP, port: 80, protocol },
        service: ServiceRef { namespace: "default".into(), name: "app".into() },
        endpoints: endpoints
            .iter()
            .map(|(addr, uid)| Endpoint { addr: *addr, port: 8080, identity: identity(uid), draining: false })
            .collect(),
    };
    DesiredTables { vips: vec![vip(Protocol::Tcp), vip(Protocol::Udp)] }
}

#[test]
fn a_second_agent_finds_the_rows_of_the_first_and_changes_nothing() {
    alone(|config| {
        let desired = tables(&[(Ipv4Addr::new(10, 0, 0, 9), "a")]);
        let mut first = Dataplane::open(config.clone()).unwrap();
        let before = first.apply(&desired).programmed;
        assert_eq!(before.len(), 2);
        drop(first);
        let mut second = Dataplane::open(config.clone()).unwrap();
        assert!(second.degraded().is_none());
        let after = second.apply(&desired).programmed;
        for (id, generation) in before {
            assert_eq!(generation.unwrap(), *after[&id].as_ref().unwrap(), "{id} kept its generation");
        }
        drop(second);
        Dataplane::remove_all(&config.pin_root).unwrap();
        assert!(!config.pin_root.exists());
    });
}

#[test]
fn a_pinned_map_of_another_layout_is_refused_by_name() {
    alone(|config| {
        drop(Dataplane::open(config.clone()).unwrap());
        let maps = config.pin_root.join("maps");
        fs::rename(maps.join("CONFIG"), maps.join("BACKENDS")).unwrap();
        let error = Dataplane::open(config).unwrap_err();
        assert_eq!(error.reason(), "IncompatiblePin");
        assert!(error.to_string().contains("maps/BACKENDS"), "{error}");
        assert!(error.to_string().contains("65536 entries"), "{error}");
    });
}

#[test]
fn an_object_the_kernel_refuses_leaves_the_programs_that_run() {
    alone(|config| {
        drop(Dataplane::open(config.clone()).unwrap());
        let mut object = embedded_object().unwrap().to_vec();
        // The program that user space asks for has another name in this object.
        let name = b"up_out";
        let places: Vec<usize> =
            (0..object.len() - name.len()).filter(|at| object[*at..].starts_with(name)).collect();
        assert!(!places.is_empty());
        for place in places {
            object[place] = b'x';
        }
        let kept = Dataplane::open_with(&config, &object).unwrap();
        assert_eq!(kept.degraded().unwrap().reason(), "VerifierRefused");
    });
}

/// client 192.0.2.2 — 192.0.2.1 node 10.0.0.1 — 10.0.0.9 pod. The caller's namespace is the client.
struct Net {
    node: String,
    pod: String,
}

impl Net {
    fn up() -> Self {
        let id = std::process::id();
        let net = Self { node: format!("sartdp{id}n"), pod: format!("sartdp{id}p") };
        run("mount -t tmpfs tmpfs /run");
        for name in [&net.node, &net.pod] {
            run(&format!("ip netns add {name}"));
        }
        let (node, pod) = (&net.node, &net.pod);
        net.connect();
        run(&format!("ip -n {node} link add p0 type veth peer name eth0 netns {pod}"));
        run(&format!("ip -n {node} addr add 10.0.0.1/24 dev p0"));
        run(&format!("ip -n {node} link set p0 up"));
        run(&format!("ip -n {pod} addr add 10.0.0.9/24 dev eth0"));
        run(&format!("ip -n {pod} addr add 10.0.0.10/24 dev eth0"));
        run(&format!("ip -n {pod} link set lo up"));
        run(&format!("ip -n {pod} link set eth0 up"));
        run(&format!("ip -n {pod} route add default via 10.0.0.1"));
        run(&format!("ip netns exec {node} sysctl -qw net.ipv4.ip_forward=1"));
        net
    }

    /// The link between client and node, now or again.
    fn connect(&self) {
        let node = &self.node;
        run(&format!("ip link add c0 type veth peer name up0 netns {node}"));
        run("ip addr add 192.0.2.2/24 dev c0");
        run("ip link set c0 up");
        run(&format!("ip -n {node} addr add 192.0.2.1/24 dev up0"));
        run(&format!("ip -n {node} link set up0 up"));
        run("ip route add default via 192.0.2.1");
    }
}

/// Runs `job` on a thread inside a named network namespace.
fn inside<T: Send + 'static>(
    name: &str,
    job: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let file = fs::File::open(Path::new("/run/netns").join(name)).unwrap();
    std::thread::spawn(move || {
        nix::sched::setns(file, CloneFlags::CLONE_NEWNET).unwrap();
        job()
    })
}

fn serve(net: &Net) {
    inside(&net.pod, || {
        for addr in ["10.0.0.9:8080", "10.0.0.10:8080"] {
            let listener = TcpListener::bind(addr).unwrap();
            let socket = UdpSocket::bind(addr).unwrap();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let stream = stream.unwrap();
                    let said =
                        format!("{} {}", stream.local_addr().unwrap().ip(), stream.peer_addr().unwrap().ip());
                    std::io::Write::write_all(&mut &stream, said.as_bytes()).unwrap();
                }
            });
            std::thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    socket.send_to(&buffer[..length], from).unwrap();
                }
            });
        }
    })
    .join()
    .unwrap();
}

fn ask() -> String {
    let stream = TcpStream::connect_timeout(&(VIP, 80).into(), LONG).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    std::io::read_to_string(stream).unwrap()
}

/// The next datagram. A read with a time limit is not taken up again after a stop of the process (signal(7)).
fn heard(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 64];
    loop {
        match socket.recv(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            length => return buffer[..length.unwrap()].to_vec(),
        }
    }
}

fn open_in(net: &Net, config: &Config, desired: &DesiredTables) -> Dataplane {
    let (config, desired) = (config.clone(), desired.clone());
    inside(&net.node, move || {
        let mut dataplane = Dataplane::open(config).unwrap();
        let results = dataplane.set_uplinks(&["up0".to_owned()]);
        assert!(results["up0"].is_ok(), "{results:?}");
        assert!(dataplane.apply(&desired).programmed.values().all(Result::is_ok));
        dataplane
    })
    .join()
    .unwrap()
}

#[test]
fn tcp_and_udp_reach_the_pods_through_the_vip_and_outlive_the_agent_and_its_upgrade() {
    alone(|config| {
        let net = Net::up();
        serve(&net);
        let both = tables(&[(Ipv4Addr::new(10, 0, 0, 9), "a"), (Ipv4Addr::new(10, 0, 0, 10), "b")]);
        let dataplane = open_in(&net, &config, &both);
        let answers: std::collections::BTreeSet<String> = (0..40).map(|_| ask()).collect();
        assert_eq!(
            answers.into_iter().collect::<Vec<_>>(),
            ["10.0.0.10 192.0.2.2", "10.0.0.9 192.0.2.2"],
            "both pods are hit and see the client's own address"
        );
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect((VIP, 80)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.send(b"echo").unwrap();
        assert_eq!(heard(&socket), b"echo");
        let counters = dataplane.counters().unwrap();
        assert!(counters.reasons["new_flow"].packets >= 41 && counters.reasons["reply"].packets > 41);
        assert!(counters.reasons["xdp_vip"].packets > 0, "{counters:?}");
        drop(dataplane);
        ask();
        // An upgrade swaps the programs in the pinned links, while connections are made all the time.
        let (one, done) = (config.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let stop = done.clone();
        let desired = both.clone();
        let upgrade = inside(&net.node, move || {
            for _ in 0..3 {
                let mut next = Dataplane::open(one.clone()).unwrap();
                assert!(next.set_uplinks(&["up0".to_owned()])["up0"].is_ok());
                assert!(next.apply(&desired).programmed.values().all(Result::is_ok));
            }
            stop.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        let mut asked = 0;
        while !done.load(std::sync::atomic::Ordering::SeqCst) || asked < 200 {
            ask();
            asked += 1;
        }
        upgrade.join().unwrap();
        println!("{asked} connections during three upgrades, none lost");
    });
}

#[test]
fn a_replaced_pod_gets_the_new_flows_and_none_of_the_old() {
    alone(|config| {
        let net = Net::up();
        serve(&net);
        let mut dataplane = open_in(&net, &config, &tables(&[(Ipv4Addr::new(10, 0, 0, 9), "a")]));
        assert!(ask().starts_with("10.0.0.9 "));
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect((VIP, 80)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.send(b"one").unwrap();
        assert_eq!(heard(&socket), b"one");
        let applied = dataplane.apply(&tables(&[(Ipv4Addr::new(10, 0, 0, 10), "b")]));
        assert!(applied.programmed.values().all(Result::is_ok));
        assert!(ask().starts_with("10.0.0.10 "));
        socket.send(b"two").unwrap();
        assert_eq!(heard(&socket), b"two", "the same UDP flow goes on with the other pod");
        assert_eq!(dataplane.counters().unwrap().reasons["reselected"].packets, 1);
    });
}
