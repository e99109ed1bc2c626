//! Next hops behind a scripted tracker: what is asked, and what its answers make of routes.

use super::stage::{NOW, announce, best, changes, ip, net, path, rib, rules, up, withdraw};
use crate::rib::{HopChanges, HopState, Rib, RibConfig};
use crate::wire::attr::NextHop;
use crate::wire::update::{Announced, Update};

const P: &str = "10.0.0.0/24";

/// Neighbour 1 announces `prefix` over the next hop of another router.
fn announce_over(rib: &mut Rib, prefix: &str, next_hop: u8) {
    let update = Update {
        announced: vec![Announced {
            next_hop: NextHop { address: ip(next_hop), link_local: None },
            prefixes: vec![net(prefix)],
        }],
        attributes: path(&[65001]),
        ..Update::default()
    };
    rib.update(ip(1), &update, NOW);
}

#[test]
fn criterion_19_a_path_whose_next_hop_cannot_be_reached_is_not_best_until_it_can() {
    let mut rib = tracked();
    assert_eq!(rib.take_hop_changes(), HopChanges { begin: vec![ip(1), ip(2)], end: vec![] });
    assert_eq!((best(&rib, P), changes(&rib.flush(), 3)), (None, (vec![], vec![])));
    assert!(rib.awaits_next_hops());
    rib.answer_next_hops(&[(ip(2), Some(10))]);
    assert_eq!((best(&rib, P), changes(&rib.flush(), 3).0), (Some(2), vec![P.to_owned()]));
    rib.answer_next_hops(&[(ip(1), Some(10))]);
    assert_eq!(best(&rib, P), Some(1), "the shorter path can be reached now");
    rib.answer_next_hops(&[(ip(1), None)]);
    assert_eq!(best(&rib, P), Some(2));
    rib.answer_next_hops(&[(ip(2), None), (ip(77), Some(1))]);
    rib.flush();
    assert_eq!((best(&rib, P), rib.awaits_next_hops()), (None, false));
    withdraw(&mut rib, 2, P);
    rib.flush();
    assert_eq!(rib.take_hop_changes(), HopChanges { begin: vec![], end: vec![ip(2)] });
    assert_eq!(rib.next_hops().collect::<Vec<_>>(), [(ip(1), HopState::Unreachable)]);
}

/// A RIB with a tracker, a hearer 3, and a path from each of 1 and 2, whose path is longer.
fn tracked() -> Rib {
    let mut rib = rib(RibConfig { track_next_hops: true, ..rules() });
    rib.attend_next_hops(true);
    up(&mut rib, 3, 65003);
    for (last, hops) in [(1, vec![65001]), (2, vec![65002, 9])] {
        up(&mut rib, last, 65000 + u32::from(last));
        announce(&mut rib, last, P, path(&hops));
    }
    rib
}

#[test]
fn criterion_19_a_tracker_that_goes_away_leaves_its_answers_behind() {
    let mut rib = tracked();
    rib.take_hop_changes();
    rib.answer_next_hops(&[(ip(1), None), (ip(2), Some(3))]);
    rib.flush();
    rib.attend_next_hops(false);
    assert_eq!((best(&rib, P), changes(&rib.flush(), 3)), (Some(2), (vec![], vec![])));
    rib.peer_down(ip(2));
    rib.flush();
    up(&mut rib, 2, 65002);
    announce(&mut rib, 2, P, path(&[65002, 9]));
    assert_eq!(best(&rib, P), Some(2), "a neighbor that came back is used as before");
    announce_over(&mut rib, "10.0.9.0/24", 4);
    assert_eq!(best(&rib, "10.0.9.0/24"), None, "nobody has ever vouched for this one");
    assert_eq!(rib.take_hop_changes(), HopChanges::default());
    rib.attend_next_hops(true);
    assert_eq!(best(&rib, P), Some(2), "until the next tracker has answered");
    assert_eq!(rib.take_hop_changes(), HopChanges { begin: vec![ip(1), ip(2), ip(4)], end: vec![] });
    rib.answer_next_hops(&[(ip(2), None)]);
    assert_eq!(best(&rib, P), None);
}

#[test]
fn tracking_is_switched_without_a_withdrawal() {
    let mut rib = rib(rules());
    rib.attend_next_hops(true);
    up(&mut rib, 3, 65003);
    up(&mut rib, 1, 65001);
    announce(&mut rib, 1, P, path(&[65001]));
    rib.flush();
    assert_eq!(rib.take_hop_changes(), HopChanges::default(), "not asked while it is off");
    rib.configure(RibConfig { track_next_hops: true, ..rules() });
    assert_eq!((best(&rib, P), changes(&rib.flush(), 3)), (Some(1), (vec![], vec![])));
    assert_eq!(rib.take_hop_changes(), HopChanges { begin: vec![ip(1)], end: vec![] });
    rib.answer_next_hops(&[(ip(1), None)]);
    assert_eq!((best(&rib, P), changes(&rib.flush(), 3).1), (None, vec![P.to_owned()]));
    rib.configure(rules());
    assert_eq!((best(&rib, P), changes(&rib.flush(), 3).0), (Some(1), vec![P.to_owned()]));
    assert_eq!(rib.take_hop_changes(), HopChanges { begin: vec![], end: vec![ip(1)] });
}

#[test]
fn criterion_19_the_nearer_next_hop_wins_a_tie_unless_the_configuration_names_distances() {
    let mut rib = rib(RibConfig { track_next_hops: true, ..rules() });
    rib.attend_next_hops(true);
    for last in [1, 2] {
        up(&mut rib, last, 65000 + u32::from(last));
        announce(&mut rib, last, P, path(&[65000 + u32::from(last)]));
    }
    rib.take_hop_changes();
    rib.answer_next_hops(&[(ip(1), Some(30)), (ip(2), Some(20))]);
    assert_eq!(best(&rib, P), Some(2));
    rib.answer_next_hops(&[(ip(1), Some(10))]);
    assert_eq!(best(&rib, P), Some(1));
    rib.set_igp_metric(ip(1), Some(40));
    assert_eq!(best(&rib, P), Some(2));
    rib.answer_next_hops(&[(ip(2), None)]);
    assert_eq!(
        rib.next_hops().collect::<Vec<_>>(),
        [(ip(1), HopState::Reachable(40)), (ip(2), HopState::Unreachable)]
    );
    rib.set_igp_metric(ip(2), Some(1));
    assert_eq!(best(&rib, P), Some(1), "a distance is no way");
}
