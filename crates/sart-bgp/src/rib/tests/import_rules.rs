//! What neighbours may send: loops, ranges and protected prefixes, each refusal counted under its reason.

use super::stage::{OWN_AS, announce, best, ip, net, path, rules, up, up_with, withdraw};
use crate::config::{
    Config, Global, ImportPolicy, NeighborConfig, PeerPolicies, PolicySource, TransitPolicy,
};
use crate::policy::{PolicyConfig, RejectReason};
use crate::rib::Refusal;

/// The chains of a neighbour of AS 65001 where the node has these rules.
fn with_import(ranges: &[&str], protected: &[&str], accept_all: bool) -> PeerPolicies {
    let list = |prefixes: &[&str]| prefixes.iter().map(|prefix| net(prefix)).collect();
    let mut global = Global::new(OWN_AS, [10, 0, 0, 1].into());
    global.import = ImportPolicy { accept_all, ranges: list(ranges), protected: list(protected) };
    global.transit = TransitPolicy::Full;
    global.ebgp_requires_policy = false;
    let neighbor = NeighborConfig::new("n", ip(1), 65001);
    let config = Config { global, neighbors: Vec::new(), paths: Vec::new(), policy: PolicyConfig::default() };
    PolicySource::new(&config).unwrap().of(&neighbor).unwrap()
}

fn refusal(policies: PeerPolicies, prefix: &str) -> Option<Refusal> {
    let mut rib = super::stage::rib(rules());
    up_with(&mut rib, 1, 65001, policies);
    announce(&mut rib, 1, prefix, path(&[65001]));
    let (counts, _) = rib.counts(ip(1));
    assert_eq!(counts.received, 1);
    assert_eq!(best(&rib, prefix).is_some(), counts.refused.is_empty(), "refused means not used");
    counts.refused.keys().next().copied()
}

#[test]
fn only_prefixes_inside_a_range_are_accepted() {
    let cases = [
        ("10.1.0.0/16", None),
        ("10.1.2.0/24", None),
        ("10.0.0.0/8", Some(Refusal::Policy(RejectReason::OutsideRanges))),
        ("10.2.0.0/16", Some(Refusal::Policy(RejectReason::OutsideRanges))),
        ("0.0.0.0/0", Some(Refusal::Policy(RejectReason::OutsideRanges))),
    ];
    for (prefix, expected) in cases {
        assert_eq!(refusal(with_import(&["10.1.0.0/16"], &[], false), prefix), expected, "{prefix}");
    }
    assert_eq!(
        refusal(with_import(&[], &[], false), "10.1.0.0/16"),
        Some(Refusal::Policy(RejectReason::OutsideRanges))
    );
}

#[test]
fn no_route_equal_to_inside_or_covering_a_protected_prefix_is_accepted() {
    let refused = Some(Refusal::Policy(RejectReason::ProtectedPrefix));
    let cases = [
        ("172.18.0.0/16", refused),
        ("172.18.0.2/32", refused),
        ("172.16.0.0/12", refused),
        ("0.0.0.0/0", refused),
        ("172.19.0.0/16", None),
    ];
    for (prefix, expected) in cases {
        let all = with_import(&[], &["172.18.0.0/16"], true);
        assert_eq!(refusal(all, prefix), expected, "{prefix}");
    }
}

#[test]
fn a_default_route_is_accepted_beside_protected_prefixes_only_if_a_range_names_it() {
    let named = with_import(&["0.0.0.0/0"], &["172.18.0.2/32"], false);
    assert_eq!(refusal(named.clone(), "0.0.0.0/0"), None);
    assert_eq!(refusal(named, "172.16.0.0/12"), Some(Refusal::Policy(RejectReason::ProtectedPrefix)));
    let unnamed = with_import(&["10.0.0.0/8"], &[], false);
    assert_eq!(refusal(unnamed, "0.0.0.0/0"), Some(Refusal::Policy(RejectReason::OutsideRanges)));
}

#[test]
fn loops_and_our_own_address_as_next_hop_are_refused() {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, 65001);
    announce(&mut rib, 1, "10.0.0.0/24", path(&[65001, OWN_AS]));
    let mut reflected = path(&[65001]);
    reflected.originator_id = Some(rules().router_id);
    announce(&mut rib, 1, "10.0.1.0/24", reflected);
    up(&mut rib, 254, 65002);
    announce(&mut rib, 254, "10.0.2.0/24", path(&[65002]));
    let (counts, _) = rib.counts(ip(1));
    assert_eq!(
        counts.refused.into_iter().collect::<Vec<_>>(),
        [(Refusal::OwnAs, 1), (Refusal::OwnOriginator, 1)]
    );
    let (counts, _) = rib.counts(ip(254));
    assert_eq!(counts.refused.into_iter().collect::<Vec<_>>(), [(Refusal::OwnNextHop, 1)]);
    assert_eq!(rib.take_feed(), []);
}

#[test]
fn changed_rules_judge_old_routes_again_without_the_neighbors_help() {
    let mut rib = super::stage::rib(rules());
    up_with(&mut rib, 1, 65001, with_import(&[], &[], false));
    announce(&mut rib, 1, "10.1.0.0/16", path(&[65001]));
    announce(&mut rib, 1, "10.2.0.0/16", path(&[65001]));
    rib.set_policies(ip(1), with_import(&["10.1.0.0/16"], &[], false));
    assert_eq!((best(&rib, "10.1.0.0/16"), best(&rib, "10.2.0.0/16")), (Some(1), None));
    assert_eq!(rib.take_feed().last().map(|best| best.next_hops.len()), Some(1));
    let (counts, _) = rib.counts(ip(1));
    assert_eq!((counts.received, counts.accepted()), (2, 1));
    withdraw(&mut rib, 1, "10.2.0.0/16");
    let (counts, _) = rib.counts(ip(1));
    assert_eq!((counts.received, counts.accepted(), counts.refused.len()), (1, 1, 0));
    rib.set_policies(ip(1), with_import(&[], &[], false));
    assert_eq!(rib.take_feed().last().map(|best| best.next_hops.len()), Some(0));
}
