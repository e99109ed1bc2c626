//! What each neighbour is told, with which attributes, and that only differences are.

use super::stage::{NOW, OWN_AS, announce, changes, ip, net, path, rules, told, up, withdraw};
use crate::config::{LocalPath, TransitPolicy};
use crate::rib::{Rib, RibConfig};
use crate::wire::attr::{Attributes, Origin};

const P: &str = "10.0.0.0/24";

/// What neighbour `to` is told of `P`.
fn heard(rib: &mut Rib, to: u8) -> Option<(Attributes, core::net::IpAddr)> {
    let updates = told(&rib.flush(), to);
    let update = updates.iter().find(|update| !update.announced.is_empty())?;
    Some((update.attributes.clone(), update.announced[0].next_hop.address))
}

fn own(edit: impl FnOnce(&mut LocalPath)) -> LocalPath {
    let mut local = LocalPath::new(net(P));
    edit(&mut local);
    local
}

#[test]
fn an_own_path_goes_out_with_our_as_our_address_and_our_med() {
    let mut rib = super::stage::rib(rules());
    rib.originate(own(|l| (l.med, l.local_pref, l.origin) = (Some(5), Some(300), Origin::Egp)), NOW);
    up(&mut rib, 1, 65001);
    let (attributes, next_hop) = heard(&mut rib, 1).unwrap();
    assert_eq!((attributes.as_path.to_string().as_str(), next_hop), ("65000", ip(254)));
    assert_eq!((attributes.med, attributes.local_pref, attributes.origin), (Some(5), None, Origin::Egp));
    up(&mut rib, 2, OWN_AS);
    let (attributes, next_hop) = heard(&mut rib, 2).unwrap();
    assert_eq!((attributes.as_path.hops(), attributes.local_pref, next_hop), (0, Some(300), ip(254)));
}

#[test]
fn an_external_path_loses_what_is_not_for_another_as() {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, 65001);
    let mut received = path(&[65001]);
    received.med = Some(7);
    received.communities = vec![42];
    received.ext_communities = vec![0x0002_0000_0000_0001, 0x4002_0000_0000_0001];
    announce(&mut rib, 1, P, received);
    up(&mut rib, 2, 65002);
    up(&mut rib, 3, OWN_AS);
    let outgoing = rib.flush();
    let (external, internal) = (&told(&outgoing, 2)[0], &told(&outgoing, 3)[0]);
    assert_eq!(external.attributes.as_path.to_string(), "65000 65001");
    assert_eq!((external.attributes.med, external.attributes.communities.as_slice()), (None, &[42][..]));
    assert_eq!(external.attributes.ext_communities.len(), 1, "only the transitive one");
    assert_eq!(external.announced[0].next_hop.address, ip(254));
    assert_eq!(internal.attributes.as_path.to_string(), "65001");
    assert_eq!((internal.attributes.local_pref, internal.attributes.med), (Some(100), Some(7)));
    assert_eq!(internal.announced[0].next_hop.address, ip(1), "an internal neighbour gets it unchanged");
}

#[test]
fn a_path_goes_neither_back_nor_from_inside_to_inside() {
    let mut rib = super::stage::rib(rules());
    for (last, asn) in [(1, OWN_AS), (2, OWN_AS), (3, 65003)] {
        up(&mut rib, last, asn);
    }
    announce(&mut rib, 1, P, path(&[7]));
    let outgoing = rib.flush();
    let announced = |to| changes(&outgoing, to).0.len();
    assert_eq!((announced(1), announced(2), announced(3)), (0, 0, 1));
}

#[test]
fn well_known_communities_keep_a_path_where_it_may_be() {
    for (community, expected) in
        [(0xffff_ff01, (0, 1)), (0xffff_ff02, (0, 0)), (0xffff_ff03, (0, 1)), (9, (1, 1))]
    {
        let mut rib = super::stage::rib(rules());
        for (last, asn) in [(1, 65001), (2, 65002), (3, OWN_AS)] {
            up(&mut rib, last, asn);
        }
        announce(&mut rib, 1, P, Attributes { communities: vec![community], ..path(&[65001]) });
        let outgoing = rib.flush();
        let announced = |to| changes(&outgoing, to).0.len();
        assert_eq!((announced(2), announced(3)), expected, "{community:x}");
    }
}

#[test]
fn without_transit_only_own_paths_leave_even_if_a_neighbor_has_a_better_one() {
    let mut rib = super::stage::rib(RibConfig { transit: TransitPolicy::LocalOnly, ..rules() });
    up(&mut rib, 1, OWN_AS);
    up(&mut rib, 2, 65002);
    rib.originate(own(|_| {}), NOW);
    announce(&mut rib, 1, P, Attributes { local_pref: Some(200), ..path(&[7]) });
    announce(&mut rib, 1, "10.9.0.0/24", path(&[7]));
    let outgoing = rib.flush();
    assert_eq!(changes(&outgoing, 2), (vec![String::from(P)], vec![]));
    assert_eq!(told(&outgoing, 2)[0].attributes.as_path.to_string(), "65000");
    assert!(
        rib.take_feed().iter().all(|best| best.prefix != net(P)),
        "a kernel never hears of our own prefix"
    );
}

#[test]
fn issue_7_1_3_a_repeated_announcement_replaces_and_one_withdrawal_removes() {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, 65001);
    up(&mut rib, 2, 65002);
    for hops in [vec![65001], vec![65001, 9], vec![65001, 9, 8], vec![65001]] {
        announce(&mut rib, 1, P, path(&hops));
        assert_eq!(rib.destination(&net(P)).unwrap().paths().len(), 1);
    }
    assert_eq!(changes(&rib.flush(), 2).0, [P]);
    withdraw(&mut rib, 1, P);
    assert!(rib.destination(&net(P)).is_none());
    assert_eq!(changes(&rib.flush(), 2), (vec![], vec![String::from(P)]));
    assert_eq!(rib.take_feed().last().map(|best| best.next_hops.len()), Some(0));
}

#[test]
fn issue_7_1_3_own_paths_do_not_pile_up() {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, 65001);
    assert!(rib.originate(own(|_| {}), NOW));
    for _ in 0..20 {
        assert!(!rib.originate(own(|_| {}), NOW));
    }
    assert!(rib.originate(own(|l| l.med = Some(1)), NOW));
    assert_eq!(rib.destination(&net(P)).unwrap().paths().len(), 1);
    rib.flush();
    assert!(rib.withdraw(&net(P)) && !rib.withdraw(&net(P)));
    assert_eq!(changes(&rib.flush(), 1).1, [P]);
}

#[test]
fn issue_7_1_5_repeating_a_path_keeps_the_age_of_all_others_and_its_own() {
    let mut rib = super::stage::rib(rules());
    for last in [1, 2] {
        up(&mut rib, last, u32::from(last));
        announce(&mut rib, last, P, path(&[u32::from(last)]));
    }
    let later = crate::wire::update::Update {
        announced: vec![crate::wire::update::Announced {
            next_hop: crate::wire::attr::NextHop { address: ip(1), link_local: None },
            prefixes: vec![net(P)],
        }],
        attributes: path(&[1]),
        ..Default::default()
    };
    rib.flush();
    rib.update(ip(1), &later, NOW * 9);
    let ages: Vec<_> = rib.destination(&net(P)).unwrap().paths().iter().map(|path| path.changed_at).collect();
    assert_eq!(ages, [NOW, NOW]);
    assert_eq!(rib.flush(), [], "and nothing is sent");
}

#[test]
fn measured_a_change_of_mind_within_one_pass_sends_only_the_outcome() {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, 65001);
    rib.flush();
    rib.originate(own(|_| {}), NOW);
    rib.withdraw(&net(P));
    assert_eq!(rib.flush(), []);
    rib.originate(own(|_| {}), NOW);
    rib.flush();
    rib.withdraw(&net(P));
    rib.originate(own(|_| {}), NOW);
    assert_eq!(rib.flush(), [], "withdrawn and given back: nothing to tell");
}

#[test]
fn an_oversized_route_withdraws_the_one_told_before() {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, 65001);
    rib.originate(own(|_| {}), NOW);
    rib.flush();
    rib.originate(own(|l| l.communities = vec![1; 1020]), NOW);
    assert_eq!(changes(&rib.flush(), 1), (vec![], vec![String::from(P)]));
    assert_eq!(rib.sent(ip(1)).count(), 0);
}

#[test]
fn equal_attributes_are_kept_once_and_freed_with_the_last_route() {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, 65001);
    for third in 0..50 {
        announce(&mut rib, 1, &format!("10.0.{third}.0/24"), path(&[65001]));
    }
    assert_eq!(rib.size(), (50, 1));
    rib.flush();
    rib.peer_down(ip(1));
    rib.flush();
    assert_eq!((rib.size(), rib.destinations().count()), ((0, 0), 0));
}
