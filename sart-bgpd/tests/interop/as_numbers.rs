//! Two-octet neighbours (RFC 6793) and next hops of all kinds (RFC 4271 section 5.1.3, RFC 2545).

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::update::{
    AGGREGATOR, AS_PATH, AS4_AGGREGATOR, AS4_PATH, MP_REACH, NEXT_HOP, NON_TRANSITIVE, TRANSITIVE,
    WELL_KNOWN, nlri, reach, sequence,
};
use sart_testkit::{Heard, Open, RawPeer, Update, missing};

use crate::fixture::{Fabric, LIMIT, Sart};
use crate::needs;
use crate::scene::{HOLD, Scene, V6_NEXT_HOP, address, establish, open, transit, waiting};

/// AS_TRANS.
const TRANS: u16 = 23_456;

/// A path as a two-octet speaker writes it.
fn short(path: &[u16]) -> Vec<u8> {
    let mut value = vec![2, u8::try_from(path.len()).unwrap()];
    value.extend(path.iter().flat_map(|asn| asn.to_be_bytes()));
    value
}

/// The numbers of a path of sequences, however they are cut into segments.
fn flat(mut path: &[u8]) -> Vec<u32> {
    let mut asns = Vec::new();
    while let [kind, count, rest @ ..] = path {
        assert_eq!(*kind, 2, "a set in {path:?}");
        let (segment, rest) = rest.split_at(4 * usize::from(*count));
        asns.extend(segment.chunks(4).map(|asn| u32::from_be_bytes(asn.try_into().unwrap())));
        path = rest;
    }
    asns
}

/// Neighbour 0 knows two octets only, neighbour 1 four.
struct Mixed {
    _fabric: Fabric,
    sart: Sart,
    old: RawPeer,
    new: RawPeer,
}

fn mixed(purpose: &str) -> Mixed {
    let fabric = Fabric::new(purpose, 2);
    let mut sart = Sart::start(&fabric.sart, &[]);
    sart.apply(&transit(&[waiting(0, 65_001), waiting(1, 200_001)]));
    let narrow = Open::new(65_001, HOLD, address(0)).family(1, 1);
    let old = establish(&fabric, &sart, 0, &narrow);
    let new = establish(&fabric, &sart, 1, &open(1, 200_001));
    (0..2).for_each(|n| sart.wait_state(n, Established));
    Mixed { _fabric: fabric, sart, old, new }
}

#[test]
fn criterion_18_a_two_octet_neighbor_is_told_as_trans_and_the_whole_path_beside_it() {
    needs!(missing());
    let mut mixed = mixed("c18a");
    let mut heard = Heard::default();
    let aggregator = [&300_000_u32.to_be_bytes()[..], &[10, 0, 0, 1]].concat();
    let update = Update::announce(&["10.50.0.0/24"], &[200_001, 7, 300_000], address(1).into()).attribute(
        TRANSITIVE,
        AGGREGATOR,
        &aggregator,
    );
    mixed.new.send(&update.bytes()).unwrap();
    let route = heard.until_route(&mut mixed.old, "10.50.0.0/24", LIMIT).unwrap();
    assert_eq!(route[&AS_PATH].value, short(&[65_000, TRANS, 7, TRANS]));
    assert_eq!(route[&AS4_PATH].value, sequence(&[65_000, 200_001, 7, 300_000]));
    assert_eq!(route[&AGGREGATOR].value, [&TRANS.to_be_bytes()[..], &[10, 0, 0, 1]].concat());
    assert_eq!(route[&AS4_AGGREGATOR].value, aggregator);
    // A path that fits two octets needs nothing beside it (RFC 6793 section 4.2.2).
    let update = Update::announce(&["10.50.1.0/24"], &[200_001], address(1).into());
    mixed.new.send(&update.with(WELL_KNOWN, AS_PATH, &sequence(&[200_001])).bytes()).unwrap();
    let route = heard.until_route(&mut mixed.old, "10.50.1.0/24", LIMIT).unwrap();
    assert!(!route.contains_key(&AS4_AGGREGATOR));
}

#[test]
fn criterion_18_the_paths_of_a_two_octet_neighbor_are_merged() {
    needs!(missing());
    let mut mixed = mixed("c18b");
    let base = |prefix: &str| Update::announce(&[prefix], &[], address(0).into());
    let aggregator = [&TRANS.to_be_bytes()[..], &[10, 0, 0, 1]].concat();
    let wide = [&300_000_u32.to_be_bytes()[..], &[10, 0, 0, 1]].concat();
    let merged = base("10.50.0.0/24")
        .with(WELL_KNOWN, AS_PATH, &short(&[65_001, TRANS, TRANS]))
        .attribute(TRANSITIVE, AS4_PATH, &sequence(&[300_000, 300_001]))
        .attribute(TRANSITIVE, AGGREGATOR, &aggregator)
        .attribute(TRANSITIVE, AS4_AGGREGATOR, &wide);
    // Longer than the path itself: it is not looked at (RFC 6793 section 4.2.3).
    let longer = base("10.50.1.0/24").with(WELL_KNOWN, AS_PATH, &short(&[65_001])).attribute(
        TRANSITIVE,
        AS4_PATH,
        &sequence(&[300_000, 300_001]),
    );
    mixed.old.send(&[merged.bytes(), longer.bytes()].concat()).unwrap();
    let mut heard = Heard::default();
    let route = heard.until_route(&mut mixed.new, "10.50.0.0/24", LIMIT).unwrap();
    assert_eq!(flat(&route[&AS_PATH].value), [65_000, 65_001, 300_000, 300_001]);
    assert_eq!(route[&AGGREGATOR].value, wide);
    assert!(!route.contains_key(&AS4_PATH) && !route.contains_key(&AS4_AGGREGATOR), "{route:?}");
    let route = heard.until_route(&mut mixed.new, "10.50.1.0/24", LIMIT).unwrap();
    assert_eq!(flat(&route[&AS_PATH].value), [65_000, 65_001]);
    assert_eq!(mixed.sart.neighbor(0).flaps, 0);
}

#[test]
fn criterion_18_the_path_beside_the_path_of_a_four_octet_neighbor_is_ignored() {
    needs!(missing());
    let mut scene = Scene::new("c18c", 65_001);
    let update = scene.announce(&["10.50.0.0/24"]).attribute(TRANSITIVE, AS4_PATH, &sequence(&[300_000]));
    scene.send(&update);
    let route = scene.hear("AS4_PATH", "10.50.0.0/24");
    assert_eq!(route[&AS_PATH].value, sequence(&[65_000, 65_001]));
    assert!(!route.contains_key(&AS4_PATH), "{route:?}");
}

#[test]
fn criterion_19_next_hops_are_kept_as_given_here_and_replaced_by_ours_for_the_next_as() {
    needs!(missing());
    let mut scene = Scene::new("c19", 65_001);
    // A third party on the shared link is a next hop like any other.
    let third = scene.announce(&["10.50.0.0/24"]).with(WELL_KNOWN, NEXT_HOP, &[10, 77, 0, 77]);
    scene.send(&third);
    assert_eq!(scene.hear("v4", "10.50.0.0/24")[&NEXT_HOP].value, [10, 77, 1, 1]);
    assert_eq!(next_hops(&mut scene, "10.50.0.0/24"), ["10.77.0.77"]);
    let single = scene.announce(&["2001:db8:1::/48"]);
    scene.send(&single);
    scene.hear("v6", "2001:db8:1::/48");
    assert_eq!(next_hops(&mut scene, "2001:db8:1::/48"), [V6_NEXT_HOP]);
    // RFC 2545 section 3: the global address, then the one of the link.
    let global: std::net::Ipv6Addr = V6_NEXT_HOP.parse().unwrap();
    let link: std::net::Ipv6Addr = "fe80::2".parse().unwrap();
    let both = [global.octets(), link.octets()].concat();
    let value = reach((2, 1), &both, &nlri("2001:db8:2::/48"));
    let update = scene.announce(&["2001:db8:2::/48"]).with(NON_TRANSITIVE, MP_REACH, &value);
    scene.send(&update);
    let heard = scene.hear("global and link-local", "2001:db8:2::/48");
    let own: std::net::Ipv6Addr = "fd77:1::1".parse().unwrap();
    assert_eq!(heard[&MP_REACH].value[4..20], own.octets(), "{heard:?}");
    assert_eq!(next_hops(&mut scene, "2001:db8:2::/48").first().map(String::as_str), Some(V6_NEXT_HOP));
}

fn next_hops(scene: &mut Scene, prefix: &str) -> Vec<String> {
    let rows = scene.sart.paths(v1::Table::Local, 0);
    rows.into_iter().find(|path| path.prefix == prefix).map(|path| path.next_hops).unwrap_or_default()
}
