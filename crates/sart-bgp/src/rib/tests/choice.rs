//! One row per step of the decision process (RFC 4271 section 9.1): the second path wins for exactly one reason.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::stage::{OWN_AS, announce, best, ip, net, path, rules, up, withdraw};
use crate::config::DecisionRules;
use crate::config::LocalPath;
use crate::rib::{Rib, RibConfig};
use crate::wire::attr::{Attributes, Origin, Segment, SegmentKind};

const P: &str = "10.0.0.0/24";

fn with(base: Attributes, edit: impl FnOnce(&mut Attributes)) -> Attributes {
    let mut attributes = base;
    edit(&mut attributes);
    attributes
}

/// Which of neighbours 1 and 2 wins.
fn winner(first: (u32, Attributes), second: (u32, Attributes)) -> Option<u8> {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, first.0);
    up(&mut rib, 2, second.0);
    announce(&mut rib, 1, P, first.1);
    announce(&mut rib, 2, P, second.1);
    best(&rib, P)
}

#[test]
fn each_step_decides_when_all_before_it_are_equal() {
    let set = |asns: &[u32]| Segment { kind: SegmentKind::Set, asns: asns.to_vec() };
    let pref = |value| move |a: &mut Attributes| a.local_pref = Some(value);
    let med = |value| move |a: &mut Attributes| a.med = Some(value);
    let rows = [
        ("higher local-pref", (OWN_AS, path(&[1])), (OWN_AS, with(path(&[1, 2, 3]), pref(101))), 2),
        ("missing local-pref is 100", (OWN_AS, with(path(&[1]), pref(99))), (OWN_AS, path(&[1])), 2),
        ("shorter AS path", (1, path(&[1, 3])), (2, path(&[2])), 2),
        (
            "a set counts one",
            (1, path(&[1, 3, 4])),
            (2, with(path(&[2]), |a| a.as_path.segments.push(set(&[3, 4, 5])))),
            2,
        ),
        ("lower origin", (1, with(path(&[1]), |a| a.origin = Origin::Incomplete)), (2, path(&[2])), 2),
        ("lower MED of one AS", (1, with(path(&[1]), med(5))), (1, with(path(&[1]), med(4))), 2),
        ("missing MED is lowest", (1, with(path(&[1]), med(1))), (1, path(&[1])), 2),
        ("MED of two ASes is no reason", (1, with(path(&[1]), med(5))), (2, with(path(&[2]), med(4))), 1),
        ("external before internal", (OWN_AS, path(&[7])), (7, path(&[7])), 2),
        ("lower router id", (1, path(&[1])), (1, path(&[1])), 1),
        (
            "originator stands for the router id",
            (OWN_AS, path(&[1])),
            (OWN_AS, with(path(&[1]), |a| a.originator_id = Some(Ipv4Addr::new(9, 0, 0, 1)))),
            2,
        ),
    ];
    for (what, first, second, expected) in rows {
        assert_eq!(winner(first, second), Some(expected), "{what}");
    }
}

#[test]
fn shorter_cluster_list_then_lower_address_decide_between_reflected_paths() {
    let reflected = |clusters: usize| {
        with(path(&[1]), |a| {
            a.originator_id = Some(Ipv4Addr::new(9, 0, 0, 1));
            a.cluster_list = vec![Ipv4Addr::LOCALHOST; clusters];
        })
    };
    assert_eq!(winner((OWN_AS, reflected(2)), (OWN_AS, reflected(1))), Some(2));
    assert_eq!(winner((OWN_AS, reflected(1)), (OWN_AS, reflected(1))), Some(1));
}

#[test]
fn the_nearer_next_hop_wins_and_a_change_of_distance_is_followed() {
    let mut rib = super::stage::rib(rules());
    for last in [1, 2] {
        up(&mut rib, last, OWN_AS);
        announce(&mut rib, last, P, path(&[7]));
    }
    assert_eq!(best(&rib, P), Some(1));
    rib.set_igp_metric(ip(1), Some(10));
    assert_eq!(best(&rib, P), Some(2));
    rib.set_igp_metric(ip(2), Some(20));
    assert_eq!(best(&rib, P), Some(1));
}

#[test]
fn med_compares_within_its_as_only_whatever_the_order_of_arrival() {
    // The classical triple: comparing in pairs gives a winner that depends on the order.
    let routes = [(1, 1, 10), (2, 2, 1), (3, 1, 0)];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let mut rib = super::stage::rib(rules());
        for (last, asn, med) in order.map(|at| routes[at]) {
            up(&mut rib, last, asn);
            announce(&mut rib, last, P, with(path(&[asn]), |a| a.med = Some(med)));
        }
        assert_eq!(best(&rib, P), Some(2), "order {order:?}");
    }
}

#[test]
fn the_oldest_external_path_wins_only_if_asked_for() {
    for (prefer_oldest, expected) in [(false, 1), (true, 2)] {
        let mut rib = super::stage::rib(RibConfig {
            decision: DecisionRules { prefer_oldest, ..rules().decision },
            ..rules()
        });
        up(&mut rib, 2, 2);
        announce(&mut rib, 2, P, path(&[2]));
        up(&mut rib, 1, 1);
        let update = crate::wire::update::Update {
            announced: vec![crate::wire::update::Announced {
                next_hop: crate::wire::attr::NextHop { address: ip(1), link_local: None },
                prefixes: vec![net(P)],
            }],
            attributes: path(&[1]),
            ..Default::default()
        };
        rib.update(ip(1), &update, Duration::from_secs(99));
        assert_eq!(best(&rib, P), Some(expected));
    }
}

#[test]
fn issue_7_1_5_a_path_without_local_pref_counts_as_100_everywhere() {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, OWN_AS);
    up(&mut rib, 2, 65002);
    announce(&mut rib, 1, P, with(path(&[65009]), |a| a.local_pref = Some(100)));
    announce(&mut rib, 2, P, path(&[65002]));
    assert_eq!(best(&rib, P), Some(2), "external wins the tie at 100 against an internal path");
    rib.originate(LocalPath::new(net(P)), super::stage::NOW);
    assert_eq!(best(&rib, P), Some(0), "and our own wins against both");
}

#[test]
fn equal_paths_of_different_neighbors_form_a_set_that_shrinks_and_grows() {
    let mut rib = super::stage::rib(rules());
    for last in [1, 2, 3] {
        up(&mut rib, last, u32::from(last));
        announce(&mut rib, last, P, path(&[u32::from(last)]));
    }
    up(&mut rib, 4, 4);
    announce(&mut rib, 4, P, path(&[4, 5]));
    let hops = |rib: &mut Rib| rib.take_feed().pop().map(|best| best.next_hops);
    assert_eq!(hops(&mut rib), Some(vec![ip(1), ip(2), ip(3)]), "the longer path is not in it");
    withdraw(&mut rib, 2, P);
    assert_eq!(hops(&mut rib), Some(vec![ip(1), ip(3)]));
    rib.configure(RibConfig { decision: DecisionRules { multipath: false, ..rules().decision }, ..rules() });
    assert_eq!(hops(&mut rib), Some(vec![ip(1)]));
    for last in [1, 3, 4] {
        rib.peer_down(ip(last));
    }
    assert_eq!(hops(&mut rib), Some(vec![]), "no next hops is a withdrawal");
    assert_eq!(rib.destinations().count(), 0);
}
