//! The numbered criteria for tables that need no session: each test is named after its number.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};

use super::stage::{
    NOW, OWN_AS, announce, announce_as, best, changes, context, ip, neighbor, net, path, rib, rules, told,
    up, withdraw_as,
};
use crate::config::DecisionRules;
use crate::family::Family;
use crate::rib::{Outgoing, PeerConfig, Refusal, Rib, RibConfig};
use crate::wire::attr::{AsPath, Attributes, NextHop, Segment, SegmentKind};
use crate::wire::frame::Framer;
use crate::wire::message::MessageKind;
use crate::wire::refresh::{RefreshSubtype, RouteRefresh};
use crate::wire::update::Update;

const P: &str = "10.0.0.0/24";

fn with_decision(edit: impl FnOnce(&mut DecisionRules)) -> Rib {
    let mut rules = rules();
    edit(&mut rules.decision);
    rib(rules)
}

fn med(asn: u32, med: Option<u32>) -> Attributes {
    Attributes { med, ..path(&[asn]) }
}

#[test]
fn criterion_15_meds_of_two_ases_compare_only_if_asked_for() {
    for (always, expected) in [(false, 1), (true, 2)] {
        let mut rib = with_decision(|rules| rules.always_compare_med = always);
        for (last, value) in [(1, 5), (2, 4)] {
            up(&mut rib, last, u32::from(last));
            announce(&mut rib, last, P, med(u32::from(last), Some(value)));
        }
        assert_eq!(best(&rib, P), Some(expected), "always: {always}");
    }
}

#[test]
fn criterion_15_a_missing_med_is_the_best_or_if_configured_the_worst() {
    for (worst, expected) in [(false, 2), (true, 1)] {
        let mut rib = with_decision(|rules| rules.missing_med_as_worst = worst);
        for (last, value) in [(1, Some(5)), (2, None)] {
            up(&mut rib, last, 7);
            announce(&mut rib, last, P, med(7, value));
        }
        assert_eq!(best(&rib, P), Some(expected), "worst: {worst}");
    }
}

#[test]
fn criterion_15_without_deterministic_med_the_order_of_arrival_counts() {
    // Pairwise, newest first: 3 beats 1 by MED, 2 beats 3 by router id; but 1 first against 2 leaves 3 to beat 1.
    let routes = [(1, 1, 10), (2, 2, 1), (3, 1, 0)];
    let winner = |order: [usize; 3], deterministic: bool| {
        let mut rib = with_decision(|rules| rules.deterministic_med = deterministic);
        for (at, (last, asn, value)) in order.map(|at| routes[at]).into_iter().enumerate() {
            up(&mut rib, last, asn);
            let update = crate::wire::update::Update {
                announced: vec![crate::wire::update::Announced {
                    next_hop: NextHop { address: ip(last), link_local: None },
                    prefixes: vec![net(P)],
                }],
                attributes: med(asn, Some(value)),
                ..Default::default()
            };
            rib.update(ip(last), &update, Duration::from_secs(at as u64));
        }
        best(&rib, P)
    };
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let all =
        |deterministic| orders.map(|order| winner(order, deterministic)).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(all(true), [Some(2)].into());
    assert!(all(false).len() > 1, "{:?}", all(false));
}

#[test]
fn criterion_15_multipath_keeps_its_limit_and_without_relax_wants_equal_as_paths() {
    let hops = |edit: fn(&mut DecisionRules)| {
        let mut rib = with_decision(edit);
        for (last, far) in [(1, 9), (2, 9), (3, 8)] {
            up(&mut rib, last, 7);
            announce(&mut rib, last, P, path(&[7, far]));
        }
        rib.take_feed().pop().unwrap().next_hops
    };
    assert_eq!(hops(|_| {}), [ip(1), ip(2), ip(3)]);
    assert_eq!(hops(|rules| rules.max_paths = 2), [ip(1), ip(2)]);
    assert_eq!(hops(|rules| rules.relax = false), [ip(1), ip(2)]);
}

#[test]
fn criterion_16_loops_and_what_is_configured_to_be_refused_is_absent_and_counted() {
    let set = Segment { kind: SegmentKind::Set, asns: vec![5] };
    let with = |edit: fn(&mut Attributes)| {
        let mut attributes = path(&[65001]);
        edit(&mut attributes);
        attributes
    };
    let mut with_set = path(&[65001]);
    with_set.as_path.segments.push(set);
    let cluster = Ipv4Addr::new(10, 0, 0, 9);
    let rows = [
        (path(&[65001, OWN_AS]), Refusal::OwnAs),
        (with(|a| a.originator_id = Some(Ipv4Addr::new(10, 0, 0, 1))), Refusal::OwnOriginator),
        (
            with(|a| a.cluster_list = vec![Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(10, 0, 0, 9)]),
            Refusal::OwnCluster,
        ),
        (path(&[65002]), Refusal::FirstAs),
        (with_set, Refusal::AsSet),
    ];
    for (attributes, expected) in rows {
        let mut rib = rib(RibConfig { cluster_id: Some(cluster), reject_as_sets: true, ..rules() });
        rib.peer_up(ip(1), PeerConfig { enforce_first_as: true, ..neighbor(1, 65001) });
        announce(&mut rib, 1, P, attributes);
        assert_eq!(best(&rib, P), None, "{expected:?}");
        assert_eq!(rib.counts(ip(1)).0.refused, [(expected, 1)].into());
    }
}

/// The ROUTE-REFRESH messages for one neighbour out of a flush.
fn marks(outgoing: &[Outgoing], to: u8) -> Vec<RefreshSubtype> {
    let mut framer = Framer::default();
    outgoing.iter().filter(|out| out.peer == ip(to)).for_each(|out| framer.push(&out.bytes));
    let frames = core::iter::from_fn(|| framer.next_frame().unwrap());
    let refreshes = frames.filter(|frame| frame.kind == MessageKind::RouteRefresh);
    refreshes.map(|frame| RouteRefresh::decode(&frame.body, true).unwrap().unwrap().subtype).collect()
}

#[test]
fn criterion_20_a_refresh_repeats_everything_between_its_marks() {
    let mut rib = rib(rules());
    up(&mut rib, 2, 65002);
    rib.peer_up(ip(1), PeerConfig { marks_refresh: true, ..neighbor(1, 65001) });
    announce(&mut rib, 2, P, path(&[65002]));
    assert_eq!(changes(&rib.flush(), 1).0, [P]);
    rib.refresh(ip(1), Family::IPV4_UNICAST);
    let outgoing = rib.flush();
    assert_eq!(changes(&outgoing, 1).0, [P]);
    assert_eq!(marks(&outgoing, 1), [RefreshSubtype::Begin, RefreshSubtype::End]);
    rib.refresh(ip(2), Family::IPV4_UNICAST);
    assert_eq!(rib.flush(), [], "a neighbour without marks that was told nothing hears nothing");
}

/// What one neighbour hears in order: R for a route, E for an End-of-RIB, B and F for the marks of a refresh.
fn order(outgoing: &[Outgoing], to: u8) -> String {
    let mut framer = Framer::default();
    outgoing.iter().filter(|out| out.peer == ip(to)).for_each(|out| framer.push(&out.bytes));
    let frames = core::iter::from_fn(|| framer.next_frame().unwrap());
    let letter = |frame: crate::wire::frame::Frame| match frame.kind {
        MessageKind::RouteRefresh => {
            let refresh = RouteRefresh::decode(&frame.body, true).unwrap().unwrap();
            if refresh.subtype == RefreshSubtype::Begin { 'B' } else { 'F' }
        }
        _ if Update::decode(&frame.body, &context(false)).unwrap().end_of_rib.is_some() => 'E',
        _ => 'R',
    };
    frames.map(letter).collect()
}

#[test]
fn criterion_20_a_refresh_asked_for_during_the_first_load_begins_after_its_end_of_rib() {
    let mut rib = rib(rules());
    up(&mut rib, 2, 65002);
    announce(&mut rib, 2, P, path(&[65002]));
    rib.flush();
    for (last, marks, expected) in [(1, true, "REEBRF"), (3, false, "REE")] {
        rib.peer_up(ip(last), PeerConfig { marks_refresh: marks, ..neighbor(last, 65010) });
        rib.refresh(ip(last), Family::IPV4_UNICAST);
        rib.refresh(ip(last), Family::IPV4_UNICAST);
        assert_eq!(order(&rib.flush(), last), expected);
        assert!(!rib.wants_flush());
    }
}

#[test]
fn criterion_20_what_a_neighbor_does_not_repeat_goes_only_after_the_end_mark() {
    let mut rib = rib(rules());
    up(&mut rib, 1, 65001);
    for prefix in ["10.0.0.0/24", "10.0.1.0/24"] {
        announce(&mut rib, 1, prefix, path(&[65001]));
    }
    rib.begin_of_refresh(ip(1), Family::IPV4_UNICAST);
    announce(&mut rib, 1, "10.0.1.0/24", path(&[65001]));
    assert_eq!(rib.destinations().count(), 2, "stale routes are used until the end");
    rib.end_of_refresh(ip(1), Family::IPV4_UNICAST);
    let left: Vec<_> = rib.destinations().map(|(prefix, _)| prefix.to_string()).collect();
    assert_eq!(left, ["10.0.1.0/24"]);
    rib.end_of_refresh(ip(1), Family::IPV4_UNICAST);
    assert_eq!(rib.destinations().count(), 1, "a second mark finds nothing stale");
}

#[test]
fn criterion_21_paths_of_one_neighbor_live_and_die_by_their_identifiers() {
    let mut rib = rib(rules());
    let mut config = neighbor(1, 65001);
    config.update.path_ids = vec![Family::IPV4_UNICAST];
    rib.peer_up(ip(1), config);
    for (id, hops) in [(7, vec![65001, 9]), (8, vec![65001])] {
        announce_as(&mut rib, 1, id, P, &path(&hops));
    }
    let shown = |rib: &Rib| {
        let destination = rib.destination(&net(P)).unwrap();
        (destination.paths().len(), destination.best().unwrap().id)
    };
    assert_eq!(shown(&rib), (2, 8));
    withdraw_as(&mut rib, 1, 8, P);
    assert_eq!(shown(&rib), (1, 7), "withdrawing one keeps the other");
}

/// 20,000 prefixes in sets of ten.
fn load(rib: &mut Rib, from: u8, length: usize) {
    for bundle in 0..2000u32 {
        let mut asns = vec![65000 + u32::from(from)];
        asns.extend((0..length).map(|hop| 1000 + bundle + hop as u32));
        let number = |at: u32| Ipv4Addr::from_bits((10 << 24) + ((bundle * 10 + at) << 8));
        let update = crate::wire::update::Update {
            announced: vec![crate::wire::update::Announced {
                next_hop: NextHop { address: ip(from), link_local: None },
                prefixes: (0..10).map(|at| IpNet::V4(Ipv4Net::new_assert(number(at), 24))).collect(),
            }],
            attributes: Attributes {
                as_path: AsPath { segments: vec![Segment { kind: SegmentKind::Sequence, asns }] },
                ..Attributes::default()
            },
            ..Default::default()
        };
        rib.update(ip(from), &update, NOW);
    }
}

#[test]
fn criterion_23_load_and_failover_take_no_more_updates_than_there_are_sets() {
    let mut rib = rib(rules());
    up(&mut rib, 9, 65009);
    for from in [1, 2] {
        up(&mut rib, from, 65000 + u32::from(from));
    }
    rib.flush();
    load(&mut rib, 2, 2);
    load(&mut rib, 1, 1);
    let outgoing = rib.flush();
    let updates = told(&outgoing, 9);
    assert_eq!(updates.len(), 2000, "one for each set, none alone");
    let (announced, withdrawn) = changes(&outgoing, 9);
    assert_eq!((announced.iter().collect::<BTreeSet<_>>().len(), withdrawn.len()), (20_000, 0));
    rib.peer_down(ip(1));
    let outgoing = rib.flush();
    let (announced, withdrawn) = changes(&outgoing, 9);
    assert_eq!(
        (announced.len(), withdrawn.len()),
        (20_000, 0),
        "nothing is announced and withdrawn in one pass"
    );
    assert_eq!(told(&outgoing, 9).len(), 2000);
}

#[test]
fn a_route_reflector_passes_on_between_its_clients_with_its_marks() {
    let mut rib = rib(rules());
    rib.peer_up(ip(1), PeerConfig { reflector_client: true, ..neighbor(1, OWN_AS) });
    up(&mut rib, 2, OWN_AS);
    up(&mut rib, 3, OWN_AS);
    announce(&mut rib, 1, P, path(&[7]));
    announce(&mut rib, 2, "10.0.1.0/24", path(&[8]));
    let outgoing = rib.flush();
    assert_eq!(changes(&outgoing, 1).0, ["10.0.1.0/24"], "a client hears what others sent");
    assert_eq!(changes(&outgoing, 2).0, [P], "others hear what a client sent");
    assert_eq!(changes(&outgoing, 3).0, [P], "but not each other");
    let update = &told(&outgoing, 3)[0];
    assert_eq!(update.attributes.originator_id, Some(Ipv4Addr::new(10, 0, 1, 1)));
    assert_eq!(update.attributes.cluster_list, [Ipv4Addr::new(10, 0, 0, 1)]);
    assert_eq!((update.attributes.local_pref, update.announced[0].next_hop.address), (Some(100), ip(1)));
}

#[test]
fn a_neighbor_made_a_reflector_client_hears_the_others_and_they_hear_it_at_once() {
    let mut rib = rib(rules());
    for last in 1..4 {
        up(&mut rib, last, OWN_AS);
    }
    announce(&mut rib, 1, P, path(&[7]));
    announce(&mut rib, 2, "10.0.1.0/24", path(&[8]));
    assert_eq!(told(&rib.flush(), 3), [], "nobody is a client yet");
    rib.set_reflector_client(ip(1), true);
    let outgoing = rib.flush();
    assert_eq!(changes(&outgoing, 1).0, ["10.0.1.0/24"]);
    assert_eq!((changes(&outgoing, 2).0, changes(&outgoing, 3).0), (vec![P.into()], vec![P.into()]));
    rib.set_reflector_client(ip(1), false);
    let outgoing = rib.flush();
    assert_eq!(changes(&outgoing, 1).1, ["10.0.1.0/24"]);
    assert_eq!((changes(&outgoing, 2).1, changes(&outgoing, 3).1), (vec![P.into()], vec![P.into()]));
}

#[test]
fn a_neighbor_that_does_not_read_is_owed_prefixes_and_not_messages() {
    let mut rib = rib(rules());
    rib.high_water = 10_000;
    for (last, asn) in [(1, 65001), (9, 65009)] {
        up(&mut rib, last, asn);
    }
    rib.flush();
    let mut under_way = 0;
    for length in 1..40 {
        load(&mut rib, 1, length);
        under_way +=
            rib.flush().iter().filter(|out| out.peer == ip(9)).map(|out| out.bytes.len()).sum::<usize>();
    }
    assert!(under_way < 1_000_000, "{under_way} octets of the 8 million of all rounds");
    let mut last = BTreeSet::new();
    loop {
        rib.sent_to(ip(9), usize::MAX);
        let outgoing = rib.flush();
        if outgoing.is_empty() {
            break;
        }
        for update in told(&outgoing, 9) {
            assert_eq!(update.attributes.as_path.hops(), 41, "only the last round is told");
            last.extend(update.announced.into_iter().flat_map(|part| part.prefixes));
        }
    }
    assert!(last.len() > 15_000, "{}", last.len());
    let address: IpAddr = ip(9);
    assert_eq!(rib.sent(address).count(), 20_000);
}
