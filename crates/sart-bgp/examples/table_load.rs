//! Puts full tables through the routing tables without sockets and says what that costs: `table_load [routes] [peers]`.
//! Measures only; the daemon beside its rivals is measured by `cargo xtask bench bgp`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use sart_bgp::config::TransitPolicy;
use sart_bgp::family::{Family, LocalAddresses};
use sart_bgp::rib::{PeerConfig, Rib, RibConfig};
use sart_bgp::wire::attr::{AsPath, Attributes, NextHop, Origin, Segment, SegmentKind};
use sart_bgp::wire::frame::cut;
use sart_bgp::wire::message::MessageKind;
use sart_bgp::wire::pack_announcements;
use sart_bgp::wire::update::UpdateContext;

/// A generator whose numbers are the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }
}

/// What a neighbour sends: `routes` distinct /24 in messages of 1 to 10 routes with attributes of their own.
fn feed(peer: u32, routes: u32) -> Vec<u8> {
    let mut random = Random(u64::from(peer) * 7919 + 1);
    let mut bytes = Vec::new();
    let mut next = 0;
    while next < routes {
        let end = routes.min(next + 1 + random.below(10) as u32);
        let prefixes: Vec<IpNet> = (next..end)
            .map(|number| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits((1 << 24) + (number << 8)), 24)))
            .collect();
        let hops = 1 + random.below(5);
        let mut asns = vec![65000 + peer];
        asns.extend((0..hops).map(|_| 1000 + random.below(60000) as u32));
        let attributes = Attributes {
            origin: Origin::Igp,
            as_path: AsPath { segments: vec![Segment { kind: SegmentKind::Sequence, asns }] },
            med: Some(random.below(100) as u32),
            communities: (0..random.below(6)).map(|_| random.below(1 << 31) as u32).collect(),
            ..Attributes::default()
        };
        let next_hop = NextHop { address: address(peer), link_local: None };
        bytes.extend(pack_announcements(&attributes, next_hop, &prefixes, true).bytes);
        next = end;
    }
    bytes
}

fn address(peer: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, (peer >> 8) as u8, peer as u8))
}

fn up(rib: &mut Rib, peer: u32) {
    let update =
        UpdateContext { as4: true, families: vec![Family::IPV4_UNICAST], ..UpdateContext::default() };
    let own = LocalAddresses { v4: Some(Ipv4Addr::new(10, 9, 0, 1)), v6: None };
    let router_id = Ipv4Addr::new(1, 1, 1, peer as u8);
    rib.peer_up(address(peer), PeerConfig::new(65000 + peer, router_id, update, own));
}

struct Load {
    rib: Rib,
    messages: u64,
    octets: usize,
}

impl Load {
    fn new() -> Self {
        let config =
            RibConfig { transit: TransitPolicy::Full, ..RibConfig::new(64999, Ipv4Addr::new(9, 9, 9, 9)) };
        let mut rib = Rib::new(config, 0x5eed);
        rib.set_fed(false);
        Self { rib, messages: 0, octets: 0 }
    }

    /// What is told counts for receivers (peers from 100 on) only, each of which reads at once.
    fn flush(&mut self) {
        loop {
            let outgoing = self.rib.flush();
            if outgoing.is_empty() {
                return;
            }
            for out in outgoing {
                if matches!(out.peer, IpAddr::V4(v4) if v4.octets()[3] >= 100) {
                    self.messages += out.messages;
                    self.octets += out.bytes.len();
                }
                self.rib.sent_to(out.peer, out.bytes.len());
            }
        }
    }

    fn read(&mut self, peer: u32, chunk: &mut &[u8]) {
        let now = Duration::from_secs(1);
        let end = chunk.len().min(256 << 10);
        let mut read = 0;
        while let Ok(Some((frame, len))) = cut(&chunk[read..], false) {
            if frame.kind == MessageKind::Update && self.rib.receive(address(peer), frame.body, now).is_err()
            {
                return;
            }
            read += len;
            if read >= end {
                break;
            }
        }
        *chunk = &chunk[read..];
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn say(what: &str, since: Instant, load: &mut Load, before: u64) {
    let (prefixes, sets) = load.rib.size();
    println!(
        "{what:28} {:7.1} ms  {prefixes} prefixes  {sets} sets  {:6.1} MiB  out {} UPDATEs {:.1} MB",
        since.elapsed().as_secs_f64() * 1000.0,
        resident_kib().saturating_sub(before) as f64 / 1024.0,
        core::mem::take(&mut load.messages),
        core::mem::take(&mut load.octets) as f64 / 1e6,
    );
}

/// `senders` neighbours send the same prefixes at once to `receivers`; then the first sender goes.
fn run(senders: u32, receivers: u32, routes: u32) {
    let feeds: Vec<Vec<u8>> = (1..=senders).map(|peer| feed(peer, routes)).collect();
    let before = resident_kib();
    let mut load = Load::new();
    for peer in (1..=senders).chain((0..receivers).map(|receiver| 100 + receiver)) {
        up(&mut load.rib, peer);
    }
    load.flush();
    let start = Instant::now();
    let mut left: Vec<&[u8]> = feeds.iter().map(Vec::as_slice).collect();
    while left.iter().any(|rest| !rest.is_empty()) {
        for (peer, rest) in (1..=senders).zip(&mut left) {
            load.read(peer, rest);
        }
        load.flush();
    }
    say(&format!("{senders} -> {receivers}: load"), start, &mut load, before);
    let start = Instant::now();
    load.rib.peer_down(address(1));
    load.flush();
    say(&format!("{senders} -> {receivers}: first one goes"), start, &mut load, before);
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let routes = arguments.next().unwrap_or(1_000_000);
    if let (Some(senders), Some(receivers)) = (arguments.next(), arguments.next()) {
        return run(senders, receivers, routes);
    }
    run(1, 1, routes);
    run(4, 1, routes);
    run(1, 8, routes);
}
