//! IPv4 routes over IPv6 next hops (RFC 8950): exchanged with FRR and BIRD over a session of IPv6, installed in both kernels,
//! and used by a packet.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::{Bird, Frr, missing_with_bird, missing_with_frr, wait_for};

use crate::fib::{Fibd, wait_installed};
use crate::fixture::{Fabric, LIMIT, Sart, far, global, path};
use crate::needs;
use crate::scene::waiting;

/// What the neighbour announces; its first address answers.
const THEIRS: &str = "10.50.0.0/24";
/// What the speaker announces.
const OURS: &str = "10.99.0.0/24";
const NEAR: &str = "fd77::1";
const FAR: &str = "fd77::2";
const PORT: u16 = 7950;

/// One neighbour behind a link that knows no IPv4 but the routes'.
fn scene(purpose: &str) -> (Fabric, Sart, Fibd) {
    let fabric = Fabric::new(purpose, 1);
    for (namespace, link, address, loopback) in [
        (&fabric.sart, "eth0", "10.77.0.1/24", "10.99.0.1/32"),
        (&fabric.peers[0], "eth0", "10.77.0.2/24", "10.50.0.1/32"),
    ] {
        namespace.run(&["ip", "address", "del", address, "dev", link]).unwrap();
        namespace.run(&["ip", "address", "add", loopback, "dev", "lo"]).unwrap();
    }
    let mut sart = Sart::start(&fabric.sart, &[]);
    let fibd = Fibd::start(&fabric, &sart, "");
    let features = Some(v1::Features { extended_next_hop: true, ..Default::default() });
    let neighbor = v1::NeighborConfig {
        address: FAR.into(),
        passive: false,
        groups: vec![],
        features,
        ..waiting(0, 65_001)
    };
    let mut request = crate::fixture::config(&[neighbor], &[path(OURS, &[])]);
    request.global = Some(v1::Global { track_next_hops: true, ..global() });
    sart.apply(&request);
    (fabric, sart, fibd)
}

/// The session is up, the neighbour's route is best over its IPv6 address, and the kernel has it so.
fn takes_theirs(fabric: &Fabric, sart: &mut Sart, fibd: &Fibd) {
    let best = wait_for("the route", LIMIT * 2, || {
        let rows = sart.rows(v1::Table::AdjIn, FAR);
        let row = rows.iter().find(|row| row.prefix == THEIRS && row.best);
        row.map_or_else(|| anyhow::bail!("{rows:?}"), |row| Ok(Some(row.next_hops.clone())))
    });
    let best =
        best.unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", sart.process.log(), fibd.process.log()));
    assert_eq!(best, [FAR]);
    wait_installed(&fabric.sart, THEIRS, |route| route.contains(&format!("via inet6 {FAR} dev eth0")));
    assert_eq!(sart.neighbor_at(FAR).state(), Established);
}

/// The neighbour's kernel has our route over our IPv6 address; then a packet goes from one loopback to the other and back.
fn talks(fabric: &Fabric) {
    let peer = &fabric.peers[0];
    let seen = wait_for("our route", LIMIT, || {
        let route = peer.run(&["ip", "-o", "-4", "route", "show", OURS])?;
        if route.contains("via inet6") { Ok(Some(())) } else { anyhow::bail!("{route:?}") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}"));
    let [ours, theirs] = [Ipv4Addr::new(10, 99, 0, 1), Ipv4Addr::new(10, 50, 0, 1)];
    let at = SocketAddrV4::new(theirs, PORT);
    let listener = peer.enter(|| Ok(TcpListener::bind(at)?)).unwrap();
    let connect = || Ok(TcpStream::connect_timeout(&at.into(), LIMIT)?.local_addr()?);
    assert_eq!(fabric.sart.enter(connect).unwrap().ip(), ours);
    drop(listener);
}

/// Without its link nothing leads to the next hop: the path is not used, and the route not in the kernel, any more.
fn leaves_with_the_link(fabric: &Fabric, sart: &mut Sart) {
    fabric.peers[0].run(&["ip", "link", "set", "eth0", "down"]).unwrap();
    wait_installed(&fabric.sart, THEIRS, str::is_empty);
    sart.wait_next_hop(FAR, v1::NextHopState::Unreachable, 0);
}

#[test]
fn criterion_19_ipv4_routes_over_ipv6_next_hops_with_frr_reach_both_kernels() {
    needs!(missing_with_frr());
    let (fabric, mut sart, fibd) = scene("c19v6frr");
    let ipv4 = format!(
        "address-family ipv4 unicast\n  network {THEIRS}\n  neighbor {NEAR} activate\n exit-address-family"
    );
    let extended = format!("neighbor {NEAR} capability extended-nexthop");
    let config = sart_testkit::frr::config(65_001, &far(0), &[(NEAR, 65_000)], &[&extended, &ipv4]);
    let frr = Frr::start(&fabric.peers[0], &config).unwrap();
    takes_theirs(&fabric, &mut sart, &fibd);
    let route = frr.json(&format!("show bgp ipv4 unicast {OURS} json")).unwrap();
    let hops = route["paths"][0]["nexthops"].as_array().unwrap();
    assert!(hops.iter().any(|hop| hop["ip"] == NEAR && hop["afi"] == "ipv6"), "{route}");
    talks(&fabric);
    leaves_with_the_link(&fabric, &mut sart);
}

#[test]
fn criterion_19_ipv4_routes_over_ipv6_next_hops_with_bird_reach_both_kernels() {
    needs!(missing_with_bird());
    let (fabric, mut sart, fibd) = scene("c19v6bird");
    let config = format!(
        "router id {id};\nprotocol device {{}}\nprotocol kernel {{ ipv4 {{ export all; }}; }}\n\
         protocol static {{ ipv4; route {THEIRS} unreachable; }}\n\
         protocol bgp s0 {{ local {FAR} as 65001; neighbor {NEAR} as 65000; connect delay time 1; hold time 240; \
         ipv4 {{ import all; export all; extended next hop on; }}; ipv6 {{ import all; export all; }}; }}\n",
        id = far(0)
    );
    let bird = Bird::start(&fabric.peers[0], &config).unwrap();
    takes_theirs(&fabric, &mut sart, &fibd);
    let shown = wait_for("our route", LIMIT, || {
        let text = bird.birdc(&format!("show route for {OURS} all"))?;
        if text.contains(NEAR) { Ok(Some(())) } else { anyhow::bail!("{text}") }
    });
    shown.unwrap_or_else(|error| panic!("{error:#}"));
    talks(&fabric);
    leaves_with_the_link(&fabric, &mut sart);
}
