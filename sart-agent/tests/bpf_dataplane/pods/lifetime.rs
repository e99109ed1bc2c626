//! Ports come and go; programs outlive the agent and change under the traffic; nothing stays behind.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aya::maps::{HashMap, Map, MapData, MapType, PerCpuArray};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::loaded_links;
use sart_agent::dataplane::Attached;
use sart_ebpf_common::layout::PodFlowKey;
use sart_ebpf_common::reason::Reason;

use super::*;

const PINS: &str = "SART_TEST_PINS";

/// The marks of pods and their inodes: one that was removed and made again has another.
fn marks(config: &Config) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(config.pin_root.join("pods")).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().ino())).collect()
}

/// Ids of the links behind the marks.
fn link_ids(config: &Config) -> Vec<u32> {
    let id = |mark: &String| {
        let link = PinnedLink::from_pin(config.pin_root.join("pods").join(mark)).unwrap();
        FdLink::from(link).info().unwrap().id()
    };
    marks(config).keys().map(id).collect()
}

fn listed(path: &PodPath) -> BTreeMap<u32, Attached> {
    path.hooks().unwrap().list().unwrap()
}

/// Redirected packets, read while no agent runs.
fn redirected(config: &Config) -> u64 {
    let pin = MapData::from_pin(config.pin_root.join("maps/REASONS")).unwrap();
    let map = PerCpuArray::<_, [u64; 2]>::try_from(Map::from_map_data(pin).unwrap()).unwrap();
    map.get(&Reason::PodPeer.index(), 0).unwrap().iter().map(|[packets, _]| packets).sum()
}

fn to_b() -> SocketAddr {
    (B.0, 8080).into()
}

/// Detaches all ports twice; neither list nor marks know them any more.
fn detach(config: &Config, node: &Node, path: PodPath) -> PodPath {
    let ports = node.ports();
    let path = node.inside(move || {
        let before = listed(&path);
        assert!(before.values().all(|port| port.hooked && port.device && port.addresses.len() == 2));
        for port in &ports {
            path.detach(port).unwrap();
            assert!(path.check(port).is_err(), "{} is not attached any more", port.link);
            path.detach(port).unwrap();
        }
        path
    });
    assert_eq!(listed(&path), BTreeMap::new());
    assert_eq!(marks(config), BTreeMap::new());
    path
}

fn filters(node: &Node, link: &str) -> String {
    let of = |way| {
        let command = ["-n", &node.node, "filter", "show", "dev", link, way];
        String::from_utf8(Command::new("tc").args(command).output().unwrap().stdout).unwrap()
    };
    of("ingress") + &of("egress")
}

#[test]
fn measured_a_detached_port_leaves_neither_filter_nor_row_nor_mark() {
    alone(|config| {
        let node = Node::up();
        let (dataplane, path) = node.attach(&config);
        for name in ["pod_in", "pod_out"] {
            assert_eq!(filters(&node, "va").matches(&format!("handle 0x1 {name}")).count(), 1);
        }
        let path = detach(&config, &node, path);
        assert_eq!(filters(&node, "va") + &filters(&node, "vb"), "");
        drop((dataplane, path));
        Dataplane::remove_all(&config.pin_root).unwrap();
        assert!(!config.pin_root.exists());
    });
}

#[test]
fn a_link_that_another_plugin_shapes_is_attached_beside_its_disciplines_and_leaves_no_link() {
    alone(|config| {
        let node = Node::up();
        echo(&node.pods[1]);
        let shaped = |port| PodPort { shaped: true, ..port };
        let (dataplane, path) = node.attach_all(&config, node.ports().into_iter().map(shaped).collect());
        // As the bandwidth plugin does.
        node.on("tc qdisc add dev va ingress");
        inside(&node.pods[0].netns, || ping(&mut dial(to_b()).unwrap(), b"hello")).join().unwrap();
        assert!(packets(&dataplane, "pod_unfit") > 4, "nothing passes by the disciplines");
        assert_eq!(packets(&dataplane, "pod_peer"), 0);
        let (links, ports) = (link_ids(&config), node.ports());
        assert_eq!(links.len(), 4);
        let path = node.inside(move || {
            // Asked again, as after a restart, it stays what it is.
            assert_eq!(path.attach(&ports[0]), Ok(PortProof::Bpf));
            path
        });
        assert_eq!(link_ids(&config), links);
        drop(detach(&config, &node, path));
        until("a link lives on", || {
            !loaded_links().any(|link| link.is_ok_and(|link| links.contains(&link.id())))
        });
    });
}

#[test]
fn measured_check_finds_a_program_that_someone_took_away() {
    alone(|config| {
        let node = Node::up();
        let (_dataplane, path) = node.attach(&config);
        let port = node.ports().remove(0);
        node.on("tc filter del dev va ingress");
        node.inside(move || {
            let error = path.check(&port).unwrap_err();
            assert!(error.to_string().contains("pod_in is not attached"), "{error}");
            assert_eq!(path.attach(&port), Ok(PortProof::Bpf), "attached again");
        });
    });
}

#[test]
fn pods_talk_straight_on_after_the_agent_was_killed() {
    alone(|config| {
        let node = Node::up();
        echo(&node.pods[1]);
        let mut agent = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", node.node))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "pods::lifetime::an_agent_until_it_is_killed", "--ignored", "--nocapture"])
            .env(PINS, &config.pin_root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(agent.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("attached")), "the agent did not get that far");
        let mut stream = inside(&node.pods[0].netns, || dial(to_b()).unwrap()).join().unwrap();
        ping(&mut stream, b"with an agent");
        agent.kill().unwrap();
        agent.wait().unwrap();
        let before = redirected(&config);
        ping(&mut stream, &[5; 50_000]);
        inside(&node.pods[0].netns, || ping(&mut dial(to_b()).unwrap(), b"a new one")).join().unwrap();
        assert!(redirected(&config) > before + 8, "packets still go straight");
    });
}

#[test]
#[ignore = "the other half of the test above, run by it in a process of its own"]
fn an_agent_until_it_is_killed() {
    let config = Config { pin_root: PathBuf::from(std::env::var_os(PINS).unwrap()) };
    let mut dataplane = Dataplane::open(config).unwrap();
    let path = PodPath::default();
    path.serve(&mut dataplane).unwrap();
    for (link, pod_mac, addresses) in [("va", mac(1), both(A)), ("vb", mac(2), both(B))] {
        assert_eq!(path.attach(&port(link, pod_mac, addresses)), Ok(PortProof::Bpf));
    }
    println!("attached");
    // Until the other half is gone as well.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

#[test]
fn measured_an_upgrade_replaces_the_programs_of_pods_in_place_under_traffic() {
    alone(|config| {
        let node = Node::up();
        echo(&node.pods[1]);
        let ports = node.ports();
        drop(node.attach(&config));
        let (before, done) = (marks(&config), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&done);
        let talk = inside(&node.pods[0].netns, move || {
            let (mut old, mut pings) = (dial(to_b()).unwrap(), 0);
            while !stop.load(Ordering::SeqCst) || pings < 100 {
                ping(&mut old, b"an old connection");
                ping(&mut dial(to_b()).unwrap(), b"a new connection");
                pings += 1;
            }
        });
        let one = config.clone();
        let unchecked = node.inside(move || {
            let checked = |_| {
                let mut dataplane = Dataplane::open(one.clone()).unwrap();
                let path = PodPath::default();
                path.serve(&mut dataplane).unwrap();
                // The new programs run before anyone attaches anything again.
                ports.iter().try_for_each(|port| path.check(port).map(drop))
            };
            let failed: Vec<_> = (0..3).map(checked).filter_map(Result::err).collect();
            done.store(true, Ordering::SeqCst);
            failed
        });
        talk.join().unwrap();
        assert_eq!(unchecked, []);
        assert_eq!(marks(&config), before, "the filters are the same, only their programs are new");
    });
}

#[test]
fn measured_what_a_deleted_link_leaves_is_taken_away_by_the_next_agent() {
    alone(|config| {
        let node = Node::up();
        drop(node.attach(&config));
        node.on("ip link del va");
        let (dataplane, path) = node.inside({
            let config = config.clone();
            move || {
                let mut dataplane = Dataplane::open(config).unwrap();
                let path = PodPath::default();
                path.serve(&mut dataplane).unwrap();
                (dataplane, path)
            }
        });
        let left = listed(&path);
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left.values().all(|port| port.addresses == both(B).into()));
        assert_eq!(marks(&config).len(), 2);
        drop(dataplane);
    });
}

/// The table of flows between pods: their keys.
fn flows(config: &Config) -> Vec<PodFlowKey> {
    let pin = MapData::from_pin(config.pin_root.join("maps/POD_FLOWS")).unwrap();
    let map = HashMap::<_, [u8; 16], [u8; 8]>::try_from(Map::from_map_data(pin).unwrap()).unwrap();
    map.keys().map(|key| bytemuck::cast(key.unwrap())).collect()
}

/// One datagram there and back from the same port each time, so that only what tells flows apart tells these apart.
fn same_flow(pod: &Pod) {
    let at = SocketAddr::from((B.0, 8080));
    let heard = inside(&pod.netns, move || {
        let socket = UdpSocket::bind((A.0, 40_000)).unwrap();
        socket.connect(at).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        echoes(&socket)
    });
    assert!(heard.join().unwrap());
}

/// Entries of pods that are gone stay until the table, which drops what was used longest ago first, wants their place. They
/// name links, not addresses: whoever gets the address has another link, and an index is not given twice.
#[test]
fn a_flow_of_a_pod_that_is_gone_is_nobody_elses_and_the_table_is_bounded() {
    alone(|config| {
        let node = Node::up();
        echo(&node.pods[1]);
        let ports = node.ports();
        let (dataplane, path) = node.attach(&config);
        same_flow(&node.pods[0]);
        let of = |index| flows(&config).iter().filter(|key| [key.low, key.high].contains(&index)).count();
        let old = ports[1].ifindex;
        assert_eq!(of(old), 1);
        // The address comes back to another pod at once, and even its MAC does.
        let next = Pod {
            netns: format!("{}2", node.pods[1].netns),
            link: "vc",
            mac: node.pods[1].mac,
            addresses: B,
        };
        let gone = ports[1].clone();
        let path = node.inside(move || {
            path.detach(&gone).unwrap();
            path
        });
        node.on("ip link del vb");
        node.plug(&next);
        echo(&next);
        let first = ports[0].clone();
        let taken = node.inside(move || {
            let port = port("vc", next.mac, both(B));
            assert_eq!(path.attach(&port), Ok(PortProof::Bpf));
            assert_eq!(path.check(&first), Ok(PortProof::Bpf));
            port.ifindex
        });
        assert!(taken > old, "an index is not given twice");
        assert_eq!(of(taken), 0, "no flow of the old pod is taken for one of the new");
        let before = packets(&dataplane, "pod_peer");
        same_flow(&node.pods[0]);
        assert!(packets(&dataplane, "pod_peer") > before + 1);
        assert_eq!((of(old), of(taken)), (1, 1), "a flow of its own, of the same addresses and ports");
        let kind = MapData::from_pin(config.pin_root.join("maps/POD_FLOWS")).unwrap().info().unwrap();
        assert_eq!(kind.max_entries(), 65_536);
        assert_eq!(kind.map_type().unwrap(), MapType::LruHash);
    });
}

#[test]
fn an_address_of_a_living_link_is_not_given_to_another() {
    alone(|config| {
        let node = Node::up();
        let ports = node.ports();
        let (_dataplane, path) = node.attach(&config);
        node.inside(move || {
            path.detach(&ports[1]).unwrap();
            let thief = PodPort { addresses: both(A).into(), ..ports[1].clone() };
            let error = path.attach(&thief).unwrap_err();
            assert!(error.to_string().contains("belongs to another link"), "{error}");
            let ports_left = listed(&path);
            assert_eq!(ports_left.keys().copied().collect::<Vec<_>>(), [ports[0].ifindex]);
            assert_eq!(path.check(&ports[0]), Ok(PortProof::Bpf));
            let gone = PodPort { ifindex: 9_999, ..ports[1].clone() };
            assert!(path.attach(&gone).is_err());
            // Asked again with fewer addresses, the port keeps just those.
            let fewer = PodPort { addresses: vec![A.0.into()], ..ports[0].clone() };
            assert_eq!(path.attach(&fewer), Ok(PortProof::Bpf));
            assert_eq!(listed(&path)[&ports[0].ifindex].addresses, [A.0.into()].into());
        });
    });
}

#[test]
fn an_object_whose_pod_programs_are_refused_serves_virtual_addresses_and_leaves_pods_to_routing() {
    alone(|config| {
        let mut object = embedded_object().unwrap().to_vec();
        // The program that user space asks for has another name in this object.
        let name = b"pod_in";
        let places: Vec<usize> =
            (0..object.len() - name.len()).filter(|at| object[*at..].starts_with(name)).collect();
        assert!(!places.is_empty());
        for place in places {
            object[place] = b'x';
        }
        let mut dataplane = Dataplane::open_with(&config, &object).unwrap();
        let applied = dataplane.apply(&tables(&[(Ipv4Addr::new(10, 0, 0, 9), "a")]));
        assert!(applied.programmed.values().all(Result::is_ok));
        let path = PodPath::default();
        assert_eq!(path.serve(&mut dataplane).unwrap_err().reason(), "VerifierRefused");
        let why = dataplane.plain_pods().unwrap();
        assert!(why.starts_with("VerifierRefused") && why.contains("pod_in"), "for the condition: {why}");
        let node = Node::up();
        echo(&node.pods[1]);
        let proof = path.attach(&node.ports()[0]).unwrap();
        assert!(matches!(&proof, PortProof::Routing { why } if why.contains("pod_in")), "{proof:?}");
        assert_eq!(path.ready(), Ok(()));
        inside(&node.pods[0].netns, || ping(&mut dial(to_b()).unwrap(), b"routed")).join().unwrap();
        path.detach(&node.ports()[0]).unwrap();
    });
}
