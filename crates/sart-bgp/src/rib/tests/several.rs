//! Several paths of a prefix told to one neighbour (RFC 7911).

use super::stage::{
    OWN_AS, announce, changes, ip, neighbor, net, numbered, path, rib, rules, told, up, withdraw,
};
use crate::config::{LocalPath, TransitPolicy};
use crate::family::Family;
use crate::rib::{Outgoing, PeerConfig, Rib, RibConfig};

const P: &str = "10.0.0.0/24";

/// Takes up to `paths` paths of each IPv4 prefix.
fn takes(rib: &mut Rib, last: u8, paths: u8) {
    let send_paths = vec![(Family::IPV4_UNICAST, paths)];
    rib.peer_up(ip(last), PeerConfig { send_paths, ..neighbor(last, 65000 + u32::from(last)) });
}

/// Identifier and length of the path behind our own AS; 0 if it goes.
fn heard(outgoing: &[Outgoing], to: u8) -> Vec<(u32, usize)> {
    let mut heard: Vec<_> = numbered(outgoing, to)
        .into_iter()
        .map(|(id, _, path)| (id, path.map_or(0, |path| path.len() - 1)))
        .collect();
    heard.sort_unstable();
    heard
}

/// Neighbours 1 to 3 announce a prefix over paths of 1, 2 and 3 ASes; 9 is told two of them.
fn scene() -> Rib {
    let mut rib = rib(rules());
    for last in 1..4 {
        up(&mut rib, last, 65000 + u32::from(last));
        let hops: Vec<u32> = (0..last).map(|_| 65000 + u32::from(last)).collect();
        announce(&mut rib, last, P, path(&hops));
    }
    takes(&mut rib, 9, 2);
    rib
}

#[test]
fn criterion_21_the_two_best_paths_are_told_and_withdrawing_one_keeps_the_other() {
    let mut rib = scene();
    assert_eq!(heard(&rib.flush(), 9), [(1, 1), (2, 2)]);
    assert_eq!((rib.counts(ip(9)).1, rib.told(ip(9), Family::IPV4_UNICAST)), (2, 2));
    withdraw(&mut rib, 1, P);
    assert_eq!(heard(&rib.flush(), 9), [(1, 3)], "the third takes the place and nothing is withdrawn");
    withdraw(&mut rib, 3, P);
    assert_eq!(heard(&rib.flush(), 9), [(1, 0)], "the other one is not touched");
    let left: Vec<_> = rib.sent(ip(9)).map(|(_, route)| route.path_id).collect();
    assert_eq!(left, [2]);
    withdraw(&mut rib, 2, P);
    assert_eq!(heard(&rib.flush(), 9), [(2, 0)]);
    assert_eq!(rib.size().0, 0, "the row is free again");
}

#[test]
fn criterion_21_identifiers_stay_over_a_refresh_and_a_change_of_rank() {
    let mut rib = scene();
    rib.flush();
    rib.refresh(ip(9), Family::IPV4_UNICAST);
    assert_eq!(heard(&rib.flush(), 9), [(1, 1), (2, 2)]);
    announce(&mut rib, 1, P, path(&[65001, 1, 2]));
    assert_eq!(
        heard(&rib.flush(), 9),
        [(1, 3)],
        "the former best path is the second now, with its identifier"
    );
    assert_eq!(told(&rib.flush(), 1), []);
}

#[test]
fn a_change_behind_the_best_path_is_told_to_those_that_take_several_and_to_nobody_else() {
    let mut rib = scene();
    up(&mut rib, 8, 65008);
    rib.flush();
    announce(&mut rib, 2, P, path(&[65002, 2]));
    announce(&mut rib, 2, P, path(&[65002, 7]));
    let outgoing = rib.flush();
    assert_eq!(heard(&outgoing, 9), [(2, 2)]);
    assert_eq!(changes(&outgoing, 8), (vec![], vec![]));
}

#[test]
fn the_member_that_sent_one_of_the_paths_is_told_the_others() {
    let mut rib = rib(rules());
    for last in [1, 2, 9] {
        takes(&mut rib, last, 2);
    }
    announce(&mut rib, 1, P, path(&[65001]));
    announce(&mut rib, 2, P, path(&[65002, 2]));
    let outgoing = rib.flush();
    assert_eq!(heard(&outgoing, 9), [(1, 1), (2, 2)]);
    assert_eq!((heard(&outgoing, 1), heard(&outgoing, 2)), (vec![(2, 2)], vec![(1, 1)]));
}

#[test]
fn one_path_with_identifiers_and_the_own_path_without_transit_have_identifier_one() {
    let mut rib = scene();
    takes(&mut rib, 9, 1);
    assert_eq!(heard(&rib.flush(), 9), [(1, 1)]);
    rib.configure(RibConfig { transit: TransitPolicy::LocalOnly, ..rules() });
    rib.originate(LocalPath::new(net("10.9.0.0/24")), super::stage::NOW);
    takes(&mut rib, 9, 4);
    assert_eq!(heard(&rib.flush(), 9), [(1, 0)]);
}

#[test]
fn a_reflector_tells_a_client_several_internal_paths() {
    let mut rib = rib(rules());
    for last in [1, 2] {
        up(&mut rib, last, OWN_AS);
        announce(&mut rib, last, P, path(&[7, u32::from(last)]));
    }
    let send_paths = vec![(Family::IPV4_UNICAST, 3)];
    rib.peer_up(ip(9), PeerConfig { send_paths, reflector_client: true, ..neighbor(9, OWN_AS) });
    let told: Vec<_> = numbered(&rib.flush(), 9);
    let ends: Vec<_> = told.iter().map(|(id, _, path)| (*id, path.as_ref().unwrap()[1])).collect();
    assert_eq!(ends, [(1, 1), (2, 2)]);
}

#[test]
fn a_neighbor_that_changes_its_group_while_it_reads_slowly_hears_of_a_prefix_that_ended() {
    let mut rib = rib(rules());
    rib.high_water = 1;
    for last in [1, 9] {
        up(&mut rib, last, 65000 + u32::from(last));
    }
    announce(&mut rib, 1, P, path(&[65001]));
    assert_eq!(changes(&rib.flush(), 9).0, [P]);
    rib.set_groups(ip(9), &["others".into()]);
    withdraw(&mut rib, 1, P);
    assert_eq!(changes(&rib.flush(), 9), (vec![], vec![]), "it has not read the first message yet");
    announce(&mut rib, 1, "10.0.1.0/24", path(&[65001]));
    rib.flush();
    let (mut announced, mut withdrawn) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        rib.sent_to(ip(9), usize::MAX);
        let (more, gone) = changes(&rib.flush(), 9);
        announced.extend(more);
        withdrawn.extend(gone);
    }
    assert_eq!((announced, withdrawn), (vec!["10.0.1.0/24".to_owned()], vec![P.to_owned()]));
}

#[test]
fn a_prefix_that_ended_unheard_leaves_no_row_behind_when_its_listener_changes_its_group_or_goes() {
    for goes in [false, true] {
        let mut rib = rib(rules());
        rib.high_water = 1;
        for last in [1, 9] {
            up(&mut rib, last, 65000 + u32::from(last));
        }
        announce(&mut rib, 1, P, path(&[65001]));
        rib.flush();
        // It has not read the first message yet: it is never told of this one, and not yet that the first one ended.
        announce(&mut rib, 1, "10.0.1.0/24", path(&[65001]));
        rib.flush();
        for prefix in [P, "10.0.1.0/24"] {
            withdraw(&mut rib, 1, prefix);
        }
        rib.flush();
        rib.set_groups(ip(9), &["others".into()]);
        if goes {
            rib.peer_down(ip(9));
        }
        rib.flush();
        rib.sent_to(ip(9), usize::MAX);
        rib.flush();
        assert_eq!(rib.size().0, 0, "gone: {goes}");
    }
}
