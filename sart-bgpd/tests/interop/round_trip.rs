//! Ten thousand routes of both families with every attribute that is passed on inside an AS: what FRR, BIRD and GoBGP show
//! of what we send, and what we show of what they send, must be what a raw peer said at the other end.

mod route;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use route::{Route, Table};
use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::update::{
    AGGREGATOR, ATOMIC_AGGREGATE, COMMUNITIES, EXT_COMMUNITIES, LARGE_COMMUNITIES, MED, NON_TRANSITIVE,
    ORIGIN, TRANSITIVE, WELL_KNOWN,
};
use sart_testkit::{Bird, Frr, Gobgp, Namespace, RawPeer, Update, bird, gobgp, missing_with_frr, wait_for};

use crate::fixture::{Fabric, Sart, far, near};
use crate::needs;
use crate::scene::{OWN, V6_NEXT_HOP, address, establish, open, transit, waiting};
use crate::speakers::{Session, bird_config, frr_config, gobgp_config};

/// Attribute sets of each family, and prefixes of each set.
const SETS: u16 = 500;
const EACH: u8 = 10;
const ROUTES: usize = SETS as usize * EACH as usize;
const SOURCE: u32 = 65_001;
/// Three daemons and their clients share the machine with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// The message of one set and what each of its prefixes must look like in an internal neighbour's table.
fn set(number: u16, next_hop: IpAddr) -> (Update, Vec<String>, Route) {
    let n = u32::from(number);
    let path: Vec<u32> = (0..=n % 4).map(|hop| if hop == 0 { SOURCE } else { 199_999 + n + hop }).collect();
    let prefixes: Vec<String> = (0..EACH).map(|at| prefix(number, at, next_hop)).collect();
    let names: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let origin = u8::try_from(n % 3).unwrap();
    let mut update = Update::announce(&names, &path, next_hop).with(WELL_KNOWN, ORIGIN, &[origin]);
    let mut route = Route {
        origin: u64::from(origin),
        path: path.iter().map(|asn| u64::from(*asn)).collect(),
        next_hop: next_hop.to_string(),
        local_pref: 100,
        ..Route::default()
    };
    if n % 5 != 0 {
        update = update.attribute(NON_TRANSITIVE, MED, &(n * 1000).to_be_bytes());
        route.med = Some(u64::from(n) * 1000);
    }
    if n % 2 == 1 {
        update = update.attribute(WELL_KNOWN, ATOMIC_AGGREGATE, &[]);
        route.atomic_aggregate = true;
    }
    if n.is_multiple_of(3) {
        let value = [&(196_608 + n).to_be_bytes()[..], &[10, 0, 0, 9]].concat();
        update = update.attribute(TRANSITIVE, AGGREGATOR, &value);
        route.aggregator = Some((196_608 + u64::from(n), "10.0.0.9".to_owned()));
    }
    let update = communities(number, update, &mut route);
    (update, prefixes, route)
}

/// None to three of each kind, in ascending order: FRR sorts them.
fn communities(number: u16, mut update: Update, route: &mut Route) -> Update {
    let [high, low] = number.to_be_bytes();
    let count = number % 4;
    let (mut plain, mut ext, mut large) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..count {
        let last = u8::try_from(at).unwrap();
        plain.extend([0xfd, 0xe8 + last, high, low]);
        route.communities.push(format!("{}:{number}", 65_000 + at));
        // Route target of a two-octet AS, route origin of an address (RFC 4360 sections 3.1, 3.2, 4 and 5).
        let (kind, text) = if at == 0 { ([0, 2], "rt:65000") } else { ([1, 3], "soo:10.0.0.1") };
        let value = if at == 0 { [0xfd, 0xe8, 0, 0, high, low] } else { [10, 0, 0, 1, high & 1, last] };
        ext.extend(kind.into_iter().chain(value));
        let local = if at == 0 { u32::from(number) } else { u32::from(high & 1) << 8 | u32::from(at) };
        route.ext_communities.push(format!("{text}:{local}"));
        large.extend(
            [65_000_u32, u32::from(number), u32::from(at)].iter().flat_map(|part| part.to_be_bytes()),
        );
        route.large_communities.push(format!("65000:{number}:{at}"));
    }
    if count > 0 {
        update = update.attribute(TRANSITIVE, COMMUNITIES, &plain);
        update = update.attribute(TRANSITIVE, EXT_COMMUNITIES, &ext);
        update = update.attribute(TRANSITIVE, LARGE_COMMUNITIES, &large);
    }
    update
}

fn prefix(number: u16, at: u8, family_of: IpAddr) -> String {
    if family_of.is_ipv6() {
        return format!("{}/64", Ipv6Addr::new(0x2001, 0xdb8, number + 1, u16::from(at) + 1, 0, 0, 0, 0));
    }
    format!("10.{}.{}.0/24", 100 + number / 25, (number % 25) * 10 + u16::from(at))
}

/// All messages and all routes of a source with these addresses: IPv4 in the first table, IPv6 in the second.
fn everything(next_hops: [IpAddr; 2]) -> (Vec<u8>, [Table; 2]) {
    let mut bytes = Vec::new();
    let tables = next_hops.map(|next_hop| {
        let mut table = Table::new();
        for number in 0..SETS {
            let (update, prefixes, route) = set(number, next_hop);
            bytes.extend(update.bytes());
            table.extend(prefixes.into_iter().map(|prefix| (prefix, route.clone())));
        }
        table
    });
    (bytes, tables)
}

/// Reads tables of `who` until both are as big as expected, then compares route by route.
fn equal(who: &str, expected: &[Table; 2], mut look: impl FnMut() -> anyhow::Result<[Table; 2]>) {
    let seen = wait_for(who, LIMIT, || {
        let tables = look()?;
        let sizes = [tables[0].len(), tables[1].len()];
        if sizes == [ROUTES; 2] { Ok(Some(tables)) } else { anyhow::bail!("{sizes:?} routes") }
    });
    let seen = seen.unwrap_or_else(|error| panic!("{error:#}"));
    for (expected, seen) in expected.iter().zip(&seen) {
        for (prefix, route) in expected {
            assert_eq!(seen.get(prefix), Some(route), "{who}: {prefix}");
        }
    }
}

fn session(n: usize) -> Session {
    Session { own: far(n), peer: near(n), asn: OWN }
}

/// The three daemons as internal neighbours 1 to 3.
struct Daemons<'a> {
    frr: Frr,
    bird: Bird,
    gobgp: Gobgp<'a>,
}

fn daemons(fabric: &Fabric, more: impl Fn(usize) -> Option<Session>) -> Daemons<'_> {
    let sessions = |n: usize| [session(n)].into_iter().chain(more(n)).collect::<Vec<_>>();
    Daemons {
        frr: Frr::start_alone(&fabric.peers[1], &frr_config(OWN, &far(1), &sessions(1))).unwrap(),
        bird: Bird::start(&fabric.peers[2], &bird_config(OWN, &far(2), &sessions(2))).unwrap(),
        gobgp: Gobgp::start(&fabric.peers[3], &gobgp_config(OWN, &far(3), &sessions(3))).unwrap(),
    }
}

fn scene(purpose: &str) -> (Fabric, Sart) {
    let fabric = Fabric::new(purpose, 4);
    let mut sart = Sart::start(&fabric.sart, &["--level", "warn"]);
    let internal = (1..4).map(|n| v1::NeighborConfig { passive: false, ..waiting(n, OWN) });
    sart.apply(&transit(&[waiting(0, SOURCE)].into_iter().chain(internal).collect::<Vec<_>>()));
    (fabric, sart)
}

fn missing_one() -> Option<&'static str> {
    let bird = || (!bird::is_installed()).then_some("BIRD is not installed");
    let gobgp = || (!gobgp::is_installed()).then_some("GoBGP is not installed");
    missing_with_frr().or_else(bird).or_else(gobgp)
}

#[test]
fn c6_what_frr_bird_and_gobgp_show_is_what_we_were_told() {
    needs!(missing_one());
    let (fabric, mut sart) = scene("c6out");
    let daemons = daemons(&fabric, |_| None);
    (1..4).for_each(|n| sart.wait_state(n, Established));
    let mut source = establish(&fabric, &sart, 0, &open(0, SOURCE));
    let (bytes, expected) = everything([address(0).into(), V6_NEXT_HOP.parse().unwrap()]);
    source.send(&bytes).unwrap();
    equal("FRR", &expected, || {
        let show = |family: &str| daemons.frr.json(&format!("show bgp {family} unicast json detail"));
        Ok([route::of_frr(&show("ipv4")?), route::of_frr(&show("ipv6")?)])
    });
    equal("BIRD", &expected, || {
        let show = |table: &str| daemons.bird.birdc(&format!("show route table {table} all"));
        Ok([route::of_bird(&show("master4")?), route::of_bird(&show("master6")?)])
    });
    equal("GoBGP", &expected, || {
        let show = |family: &str| daemons.gobgp.json(&format!("global rib -a {family}"));
        Ok([route::of_gobgp(&show("ipv4")?), route::of_gobgp(&show("ipv6")?)])
    });
}

/// A link from daemon `n` to a source of its own: our end's and the source's addresses.
fn behind(n: usize) -> ([String; 2], [IpAddr; 2]) {
    let six = |last: u16| Ipv6Addr::new(0xfd88, n as u16, 0, 0, 0, 0, 0, last);
    let near = [format!("10.88.{n}.1/24"), format!("{}/64", six(1))];
    (near, [[10, 88, n as u8, 2].into(), six(2).into()])
}

fn source_of(fabric: &Fabric, sources: &Namespace, n: usize) {
    let (near, far) = behind(n);
    let far = [format!("{}/24", far[0]), format!("{}/64", far[1])];
    let interface = format!("src{n}");
    fabric.peers[n].link(("src", &[&near[0], &near[1]]), sources, (&interface, &[&far[0], &far[1]])).unwrap();
}

#[test]
fn c6_what_we_show_is_what_frr_bird_and_gobgp_were_told() {
    needs!(missing_one());
    let (fabric, mut sart) = scene("c6in");
    let sources = Namespace::new("c6src").unwrap();
    (1..4).for_each(|n| source_of(&fabric, &sources, n));
    let more = |n: usize| {
        let (own, peer) = (format!("10.88.{n}.1"), format!("10.88.{n}.2"));
        Some(Session { own, peer, asn: SOURCE })
    };
    let _daemons = daemons(&fabric, more);
    (1..4).for_each(|n| sart.wait_state(n, Established));
    let mut peers = Vec::new();
    for n in 1..4 {
        let to = format!("10.88.{n}.1:179").parse().unwrap();
        let peer = wait_for("a session with the daemon", LIMIT, || {
            let mut peer = RawPeer::connect(&sources, to, LIMIT)?;
            let open = open(0, SOURCE).body();
            peer.establish(&open, Duration::from_secs(5))?;
            Ok(Some(peer))
        });
        let mut peer = peer.unwrap();
        peer.send(&everything(behind(n).1).0).unwrap();
        peers.push(peer);
    }
    for (n, who) in [(1, "from FRR"), (2, "from BIRD"), (3, "from GoBGP")] {
        let (_, expected) = everything(behind(n).1);
        equal(who, &expected, || {
            let rows = sart.paths(v1::Table::AdjIn, n);
            let (six, four) = rows.into_iter().partition(|path| path.prefix.contains(':'));
            Ok([route::of_ours(four), route::of_ours(six)])
        });
    }
}
