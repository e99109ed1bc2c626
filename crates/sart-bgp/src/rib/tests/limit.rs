//! A neighbour that is told at most so many routes of a family.

use super::stage::{announce, changes, ip, neighbor, path, rib, rules, up, withdraw};
use crate::family::Family;
use crate::rib::{PeerConfig, Rib};

const V4: Family = Family::IPV4_UNICAST;

fn name(n: u8) -> String {
    format!("10.0.{n}.0/24")
}

fn names(numbers: impl IntoIterator<Item = u8>) -> Vec<String> {
    numbers.into_iter().map(name).collect()
}

/// Neighbour 1 announces `count` prefixes; 9 is told at most `max`, 8 everything.
fn scene(count: u8, max: u32) -> Rib {
    let mut rib = rib(rules());
    up(&mut rib, 1, 65001);
    up(&mut rib, 8, 65008);
    rib.peer_up(ip(9), PeerConfig { export_limit: Some(max), ..neighbor(9, 65009) });
    for n in 0..count {
        announce(&mut rib, 1, &name(n), path(&[65001]));
    }
    rib
}

fn numbers(rib: &Rib) -> (u64, u64) {
    (rib.told(ip(9), V4), rib.withheld(ip(9), V4))
}

#[test]
fn criterion_22_no_more_than_the_limit_is_told_and_the_rest_is_counted() {
    let mut rib = scene(10, 4);
    let outgoing = rib.flush();
    assert_eq!(changes(&outgoing, 9), (names(0..4), vec![]));
    assert_eq!(changes(&outgoing, 8), (names(0..10), vec![]), "nobody else has the limit");
    assert_eq!((numbers(&rib), rib.withheld(ip(8), V4)), ((4, 6), 0));
    announce(&mut rib, 1, &name(10), path(&[65001]));
    assert_eq!(changes(&rib.flush(), 9), (vec![], vec![]));
    assert_eq!(numbers(&rib), (4, 7));
}

#[test]
fn criterion_22_under_a_full_limit_changes_are_told_and_room_goes_to_a_withheld_route() {
    let mut rib = scene(6, 4);
    rib.flush();
    announce(&mut rib, 1, &name(2), path(&[65001, 7]));
    announce(&mut rib, 1, &name(5), path(&[65001, 7]));
    assert_eq!(changes(&rib.flush(), 9), (names([2]), vec![]), "5 is withheld, however it changes");
    withdraw(&mut rib, 1, &name(1));
    assert_eq!(changes(&rib.flush(), 9), (names([4]), names([1])));
    withdraw(&mut rib, 1, &name(5));
    assert_eq!(changes(&rib.flush(), 9), (vec![], vec![]), "what was never told needs no withdrawal");
    assert_eq!(numbers(&rib), (4, 0));
    withdraw(&mut rib, 1, &name(0));
    rib.flush();
    assert_eq!(numbers(&rib), (3, 0));
}

#[test]
fn criterion_22_a_changed_limit_tells_the_difference_and_keeps_what_is_told() {
    let mut rib = scene(8, 4);
    rib.flush();
    withdraw(&mut rib, 1, &name(0));
    rib.flush();
    rib.set_export_limit(ip(9), Some(6));
    assert_eq!(changes(&rib.flush(), 9), (names([5, 6]), vec![]));
    rib.set_export_limit(ip(9), Some(2));
    let (announced, withdrawn) = changes(&rib.flush(), 9);
    assert_eq!((announced.len(), withdrawn.len(), numbers(&rib)), (0, 4, (2, 5)));
    rib.set_export_limit(ip(9), None);
    let (announced, withdrawn) = changes(&rib.flush(), 9);
    assert_eq!((announced.len(), withdrawn.len(), numbers(&rib)), (5, 0, (7, 0)));
    rib.set_export_limit(ip(9), Some(3));
    let (announced, withdrawn) = changes(&rib.flush(), 9);
    assert_eq!((announced.len(), withdrawn.len(), numbers(&rib)), (0, 4, (3, 4)));
    rib.set_groups(ip(9), &["x".to_owned()]);
    assert_eq!(changes(&rib.flush(), 9), (vec![], vec![]), "another change of its rules moves nothing");
}

#[test]
fn a_limited_neighbor_that_comes_back_starts_anew_and_its_own_routes_take_no_room() {
    let mut rib = scene(6, 4);
    for n in 20..26 {
        announce(&mut rib, 9, &name(n), path(&[65009]));
    }
    rib.flush();
    assert_eq!(numbers(&rib), (4, 2));
    rib.peer_up(ip(9), PeerConfig { export_limit: Some(5), ..neighbor(9, 65009) });
    assert_eq!(changes(&rib.flush(), 9), (names(0..5), vec![]));
    rib.peer_down(ip(9));
    rib.flush();
    assert_eq!((numbers(&rib), rib.size().0), ((0, 0), 6));
}
