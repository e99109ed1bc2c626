//! Ten thousand routes of both families with every attribute that is passed on inside an AS, half of them reflected: what
//! FRR, BIRD and GoBGP show of what we send, and what we show of what they send, must be what raw peers said at the other
//! end.

mod route;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use route::{Route, Table};
use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::heard::Attributes;
use sart_testkit::update::{
    AGGREGATOR, ATOMIC_AGGREGATE, CLUSTER_LIST, COMMUNITIES, EXT_COMMUNITIES, IPV6_EXT_COMMUNITIES,
    LARGE_COMMUNITIES, LOCAL_PREF, MED, NON_TRANSITIVE, ORIGIN, ORIGINATOR_ID, OTC, TRANSITIVE, WELL_KNOWN,
};
use sart_testkit::{
    Bird, Frr, Gobgp, Heard, Namespace, Open, RawPeer, Update, missing_with_bird, missing_with_frr,
    missing_with_gobgp, wait_for,
};

use crate::fixture::{Fabric, Sart, far, near};
use crate::needs;
use crate::scene::{HOLD, OWN, V6_NEXT_HOP, address, establish, open, transit, waiting};
use crate::speakers::{Session, bird_config, frr_config, gobgp_config};

/// Attribute sets of each family, and prefixes of each set.
const SETS: u16 = 500;
const EACH: u8 = 10;
const ROUTES: usize = SETS as usize * EACH as usize;
const SOURCE: u32 = 65_001;
/// Three daemons and their clients share the machine with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// The type of an attribute that nobody knows.
const UNKNOWN: u8 = 200;

/// Who some reflected routes came from before they met the client.
const ORIGINATOR: &str = "10.0.0.7";

/// A raw peer that tells a speaker half of the routes, IPv4 and IPv6 with these next hops.
#[derive(Clone)]
struct Source {
    next_hops: [IpAddr; 2],
    /// Its router id and that of the speaker, if it is that speaker's internal client.
    reflected: Option<[String; 2]>,
}

/// The message of one set and what each of its prefixes must look like in an internal neighbour's table.
fn set(number: u16, source: &Source, next_hop: IpAddr) -> (Update, Vec<String>, Route) {
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
    let update = rarer(number, update, &mut route);
    let update = match &source.reflected {
        Some(routers) => internal(number, update, routers, &mut route),
        None => update,
    };
    (update, prefixes, route)
}

/// Only to Customer (RFC 9234), a route target with an IPv6 address (RFC 5701), and an attribute that nobody knows.
fn rarer(number: u16, mut update: Update, route: &mut Route) -> Update {
    if number % 6 == 1 {
        update = update.attribute(TRANSITIVE, OTC, &(65_100 + u32::from(number)).to_be_bytes());
        route.otc = Some(65_100 + u64::from(number));
    }
    if number % 7 == 2 {
        let [high, low] = number.to_be_bytes();
        update = update.attribute(TRANSITIVE, UNKNOWN, &[high, low, 7]);
        route.unknown = vec![high, low, 7];
    }
    if number % 8 == 3 {
        let target = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number);
        let value = [&[0, 2], &target.octets()[..], &[0, 9]].concat();
        update = update.attribute(TRANSITIVE, IPV6_EXT_COMMUNITIES, &value);
        route.six_target = Some(target);
    }
    update
}

/// What a client says to its reflector, and what the reflector adds (RFC 4456 section 8).
fn internal(number: u16, update: Update, [client, reflector]: &[String; 2], route: &mut Route) -> Update {
    route.local_pref = 200 + u64::from(number % 7);
    let update = update.attribute(WELL_KNOWN, LOCAL_PREF, &(200 + u32::from(number % 7)).to_be_bytes());
    route.cluster_list.push(reflector.clone());
    if !number.is_multiple_of(3) {
        route.originator = Some(client.clone());
        return update;
    }
    route.originator = Some(ORIGINATOR.to_owned());
    route.cluster_list.push("10.0.0.8".to_owned());
    let update = update.attribute(NON_TRANSITIVE, ORIGINATOR_ID, &[10, 0, 0, 7]);
    update.attribute(NON_TRANSITIVE, CLUSTER_LIST, &[10, 0, 0, 8])
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

/// The messages of each source and all routes: IPv4 in the first table, IPv6 in the second.
fn everything(sources: &[Source; 2]) -> ([Vec<u8>; 2], [Table; 2]) {
    let (mut bytes, mut tables) = (<[Vec<u8>; 2]>::default(), <[Table; 2]>::default());
    for number in 0..SETS {
        let from = usize::from(number / 4 % 2);
        for (at, table) in tables.iter_mut().enumerate() {
            let (update, prefixes, route) = set(number, &sources[from], sources[from].next_hops[at]);
            bytes[from].extend(update.bytes());
            table.extend(prefixes.into_iter().map(|prefix| (prefix, route.clone())));
        }
    }
    (bytes, tables)
}

/// What a viewer can show of a route.
type Shown = fn(Route) -> Route;

/// FRR shows no attribute that it does not know.
fn without_unknown(route: Route) -> Route {
    Route { unknown: Vec::new(), six_target: None, ..route }
}

/// Our API shows none of the three.
fn without_rarer(route: Route) -> Route {
    Route { otc: None, ..without_unknown(route) }
}

/// FRR 8.4 gives a route without a MED the MED 0 where it names the originator itself.
fn as_frr_reflects(route: Route) -> Route {
    let named = route.originator.as_ref().is_some_and(|originator| originator != ORIGINATOR);
    Route { med: route.med.or(named.then_some(0)), ..without_rarer(route) }
}

/// FRR 8.4 drops IPv6 extended communities.
fn as_frr_passes_on(route: Route) -> Route {
    Route { six_target: None, ..route }
}

/// GoBGP names originator and cluster to a client for external routes as well.
fn as_gobgp_reflects(route: Route) -> Route {
    let mut shown = without_rarer(route);
    if shown.originator.is_none() {
        shown.originator = Some(format!("10.{}.3.2", BEHIND[0]));
        shown.cluster_list = vec![far(3)];
    }
    shown
}

/// Reads tables of `who` until both are as big as expected, then compares route by route.
fn equal(
    (who, shown): (&str, Shown),
    expected: &[Table; 2],
    mut look: impl FnMut() -> anyhow::Result<[Table; 2]>,
) {
    let seen = wait_for(who, LIMIT, || {
        let tables = look()?;
        let sizes = [tables[0].len(), tables[1].len()];
        if sizes == [ROUTES; 2] { Ok(Some(tables)) } else { anyhow::bail!("{sizes:?} routes") }
    });
    let seen = seen.unwrap_or_else(|error| panic!("{error:#}"));
    for (expected, seen) in expected.iter().zip(&seen) {
        for (prefix, route) in expected {
            assert_eq!(seen.get(prefix), Some(&shown(route.clone())), "{who}: {prefix}");
        }
    }
}

fn session(n: usize) -> Session {
    Session { own: far(n), peer: near(n), asn: OWN }
}

/// The speaker's router id.
const US: &str = "10.77.255.1";

/// The three daemons as internal neighbours 1 to 3.
struct Daemons<'a> {
    frr: Frr,
    bird: Bird,
    gobgp: Gobgp<'a>,
}

/// Their internal neighbours behind them are their clients.
fn daemons(fabric: &Fabric, more: impl Fn(usize) -> Vec<Session>) -> Daemons<'_> {
    let sessions = |n: usize| [session(n)].into_iter().chain(more(n)).collect::<Vec<_>>();
    let client = |n: usize| format!("10.{}.{n}.2", BEHIND[1]);
    let frr = frr_config(OWN, &far(1), &sessions(1));
    let frr = reflecting(&frr, &format!("  neighbor {} activate\n", client(1)), |line| {
        format!("{line}  neighbor {} route-reflector-client\n", client(1))
    });
    let bird = bird_config(OWN, &far(2), &sessions(2));
    let bird = reflecting(&bird, &format!("neighbor {} as", client(2)), |line| format!("rr client; {line}"));
    let mut gobgp = gobgp_config(OWN, &far(3), &sessions(3));
    // It names originator and cluster to its clients only, so we have to be one.
    let clients = if gobgp.contains(&client(3)) { vec![client(3), near(3)] } else { Vec::new() };
    for peer in clients {
        let begin = format!("  neighbor-address = \"{peer}\"\n  peer-as = {OWN}\n");
        gobgp = reflecting(&gobgp, &begin, |line| {
            format!(
                "{line} [neighbors.route-reflector.config]\n  route-reflector-client = true\n  \
                 route-reflector-cluster-id = \"{}\"\n",
                far(3)
            )
        });
    }
    Daemons {
        frr: Frr::start_alone(&fabric.peers[1], &frr).unwrap(),
        bird: Bird::start(&fabric.peers[2], &bird).unwrap(),
        gobgp: Gobgp::start(&fabric.peers[3], &gobgp).unwrap(),
    }
}

/// A configuration with something added where a neighbour is named, if it is.
fn reflecting(config: &str, named: &str, with: impl Fn(&str) -> String) -> String {
    config.replace(named, &with(named))
}

/// The sources of our own routes are neighbours 0 and 4, an external one and an internal client.
fn scene(purpose: &str) -> (Fabric, Sart) {
    let fabric = Fabric::new(purpose, 5);
    let mut sart = Sart::start(&fabric.sart, &["--level", "warn"]);
    let client = v1::NeighborConfig { route_reflector_client: true, ..waiting(4, OWN) };
    let internal = (1..4).map(|n| v1::NeighborConfig { passive: false, ..waiting(n, OWN) });
    sart.apply(&transit(&[waiting(0, SOURCE), client].into_iter().chain(internal).collect::<Vec<_>>()));
    (fabric, sart)
}

fn missing_one() -> Option<&'static str> {
    missing_with_frr().or_else(missing_with_bird).or_else(missing_with_gobgp)
}

#[test]
fn c6_what_frr_bird_and_gobgp_show_is_what_we_were_told() {
    needs!(missing_one());
    let (fabric, mut sart) = scene("c6out");
    let daemons = daemons(&fabric, |_| Vec::new());
    (1..4).for_each(|n| sart.wait_state(n, Established));
    let mut peers = [(0, SOURCE), (4, OWN)].map(|(n, asn)| establish(&fabric, &sart, n, &open(n, asn)));
    let reflected = Some([far(4), US.to_owned()]);
    let (messages, expected) = everything(&[
        Source { next_hops: [address(0).into(), V6_NEXT_HOP.parse().unwrap()], reflected: None },
        Source { next_hops: [address(4).into(), "fd77:4::2".parse().unwrap()], reflected },
    ]);
    peers.iter_mut().zip(&messages).for_each(|(peer, messages)| peer.send(messages).unwrap());
    equal(("FRR", without_unknown), &expected, || {
        let show = |family: &str| daemons.frr.json(&format!("show bgp {family} unicast json detail"));
        Ok([route::of_frr(&show("ipv4")?), route::of_frr(&show("ipv6")?)])
    });
    equal(("BIRD", |route| route), &expected, || {
        let show = |table: &str| daemons.bird.birdc(&format!("show route table {table} all"));
        Ok([route::of_bird(&show("master4")?), route::of_bird(&show("master6")?)])
    });
    equal(("GoBGP", |route| route), &expected, || {
        let show = |family: &str| daemons.gobgp.json(&format!("global rib -a {family}"));
        Ok([route::of_gobgp(&show("ipv4")?), route::of_gobgp(&show("ipv6")?)])
    });
}

/// The second octets of the links from a daemon to its two sources, an external one and an internal client.
const BEHIND: [u8; 2] = [88, 89];

/// A source of daemon `n`: the daemon's addresses on the link to it, and its own.
fn behind(n: usize, link: u8) -> ([String; 2], [IpAddr; 2]) {
    let six = |last: u16| Ipv6Addr::new(0xfd00 + u16::from(link), n as u16, 0, 0, 0, 0, 0, last);
    let near = [format!("10.{link}.{n}.1/24"), format!("{}/64", six(1))];
    (near, [[10, link, n as u8, 2].into(), six(2).into()])
}

fn source_of(fabric: &Fabric, sources: &Namespace, (n, link): (usize, u8)) {
    let (near, far) = behind(n, link);
    let far = [format!("{}/24", far[0]), format!("{}/64", far[1])];
    let (inner, interface) = (format!("src{link}"), format!("src{n}"));
    fabric.peers[n]
        .link((&inner, &[&near[0], &near[1]]), sources, (&interface, &[&far[0], &far[1]]))
        .unwrap();
}

fn sources_behind(n: usize) -> [Source; 2] {
    BEHIND.map(|link| {
        let reflected = (link == BEHIND[1]).then(|| [format!("10.{link}.{n}.2"), far(n)]);
        Source { next_hops: behind(n, link).1, reflected }
    })
}

/// What the sources of daemon `n` say, each over a session of its own.
fn tell(spaces: &[Namespace; 2], n: usize) -> Vec<RawPeer> {
    let messages = everything(&sources_behind(n)).0;
    let sources = spaces.iter().zip(BEHIND).zip([SOURCE, OWN]).zip(messages);
    let connect = |(((space, link), asn), messages): (((&Namespace, u8), u32), Vec<u8>)| {
        let to = format!("10.{link}.{n}.1:179").parse().unwrap();
        let id = [10, link, n as u8, 2].into();
        let says = Open::new(asn, HOLD, id).family(1, 1).family(2, 1).four_octets();
        let peer = wait_for("a session with the daemon", LIMIT, || {
            let mut peer = RawPeer::connect(space, to, LIMIT)?;
            peer.establish(&says.body(), Duration::from_secs(5))?;
            Ok(Some(peer))
        });
        let mut peer = peer.unwrap();
        peer.send(&messages).unwrap();
        peer
    };
    sources.map(connect).collect()
}

/// What our API does not show is what the next AS is told.
fn passed_on((who, prefix): (&str, &str), route: &Route, told: &Attributes) {
    let value = |kind: u8| told.get(&kind).map(|attribute| attribute.value.clone());
    let otc = value(OTC).map(|otc| u64::from(u32::from_be_bytes(otc.try_into().unwrap())));
    let six = value(IPV6_EXT_COMMUNITIES).map(|list| <[u8; 16]>::try_from(&list[2..18]).unwrap().into());
    let unknown = value(UNKNOWN).unwrap_or_default();
    assert_eq!((otc, six, &unknown), (route.otc, route.six_target, &route.unknown), "{who}: {prefix}");
}

#[test]
fn c6_what_we_show_is_what_frr_bird_and_gobgp_were_told() {
    needs!(missing_one());
    let (fabric, mut sart) = scene("c6in");
    let spaces = ["c6src", "c6client"].map(|name| Namespace::new(name).unwrap());
    for n in 1..4 {
        spaces.iter().zip(BEHIND).for_each(|(space, link)| source_of(&fabric, space, (n, link)));
    }
    let more = |n: usize| {
        let session =
            |(link, asn)| Session { own: format!("10.{link}.{n}.1"), peer: format!("10.{link}.{n}.2"), asn };
        [(BEHIND[0], SOURCE), (BEHIND[1], OWN)].map(session).into()
    };
    let _daemons = daemons(&fabric, more);
    (1..4).for_each(|n| sart.wait_state(n, Established));
    let mut hearer = establish(&fabric, &sart, 0, &open(0, SOURCE));
    let mut heard = Heard::default();
    let viewers: [(usize, &str, [Shown; 2]); 3] = [
        (1, "from FRR", [as_frr_reflects, as_frr_passes_on]),
        (2, "from BIRD", [without_rarer, |route| route]),
        (3, "from GoBGP", [as_gobgp_reflects, |route| route]),
    ];
    for (n, who, [shown, passed]) in viewers {
        let peers = tell(&spaces, n);
        let (_, expected) = everything(&sources_behind(n));
        equal((who, shown), &expected, || {
            let rows = sart.paths(v1::Table::AdjIn, n);
            let (six, four) = rows.into_iter().partition(|path| path.prefix.contains(':'));
            Ok([route::of_ours(four), route::of_ours(six)])
        });
        let all = |heard: &Heard| heard.routes.len() == 2 * ROUTES;
        heard.until(&mut hearer, who, LIMIT, all).unwrap();
        for (prefix, route) in expected.iter().flatten() {
            passed_on((who, prefix), &passed(route.clone()), &heard.routes[prefix]);
        }
        drop(peers);
        heard.until(&mut hearer, "their end", LIMIT, |heard| heard.routes.is_empty()).unwrap();
    }
}
