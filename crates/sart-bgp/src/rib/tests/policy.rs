//! Chains where routes meet them: what comes in changed, what goes out changed, and a changed chain without a session
//! being asked for anything.

use super::stage::{OWN_AS, announce, best, changes, ip, net, path, rules, told, up, up_with};
use crate::config::{
    Config, Global, ImportPolicy, LocalPath, NeighborConfig, PeerPolicies, PolicySource, TransitPolicy,
};
use crate::family::Family;
use crate::policy::{
    Actions, ChainConfig, Conditions, DefaultAction, MedChange, NamedSet, NextHopAction, Policy,
    PolicyConfig, PrefixRange, Prepend, RejectReason, SetMatch, Statement, Then,
};
use crate::rib::{Refusal, Rib};

/// A policy "p" of one statement, used in both directions of a chain that accepts at its end.
fn chains(conditions: Conditions, actions: Actions, then: Then, import: bool) -> PeerPolicies {
    let statement = Statement { name: String::new(), conditions, actions, then };
    let range = PrefixRange::orlonger(net("10.1.0.0/16"));
    let mut policy = PolicyConfig::default();
    policy.sets.prefixes.push(NamedSet { name: "ten-one".into(), members: vec![range] });
    policy.policies.push(Policy { name: "p".into(), statements: vec![statement] });
    let chain = Some(ChainConfig { policies: vec!["p".into()], default: DefaultAction::Accept });
    let mut neighbor = NeighborConfig::new("n", ip(1), 65001);
    *(if import { &mut neighbor.import } else { &mut neighbor.export }) = chain;
    of(policy, false, &neighbor)
}

fn of(policy: PolicyConfig, ebgp_requires_policy: bool, neighbor: &NeighborConfig) -> PeerPolicies {
    let mut global = Global::new(OWN_AS, [10, 0, 0, 1].into());
    global.import = ImportPolicy { accept_all: true, ..ImportPolicy::default() };
    global.transit = TransitPolicy::Full;
    global.ebgp_requires_policy = ebgp_requires_policy;
    let config = Config { global, neighbors: Vec::new(), paths: Vec::new(), policy };
    PolicySource::new(&config).unwrap().of(neighbor).unwrap()
}

fn in_ten_one() -> Conditions {
    let prefix_set = Some(SetMatch { set: "ten-one".into(), how: Default::default() });
    Conditions { prefix_set, ..Conditions::default() }
}

#[test]
fn an_import_chain_changes_what_is_compared_and_passed_on() {
    let prefer = Actions { local_pref: Some(200), ..Actions::default() };
    let mut rib = super::stage::rib(rules());
    up_with(&mut rib, 1, 65001, chains(in_ten_one(), prefer, Then::Next, true));
    up(&mut rib, 2, 65002);
    up(&mut rib, 3, OWN_AS);
    rib.flush();
    for prefix in ["10.1.2.0/24", "10.2.0.0/24"] {
        announce(&mut rib, 1, prefix, path(&[65001, 7, 8]));
        announce(&mut rib, 2, prefix, path(&[65002]));
    }
    assert_eq!((best(&rib, "10.1.2.0/24"), best(&rib, "10.2.0.0/24")), (Some(1), Some(2)));
    let updates = told(&rib.flush(), 3);
    let preferred: Vec<_> =
        updates.iter().filter(|update| update.attributes.local_pref == Some(200)).collect();
    assert_eq!(preferred.len(), 1, "an internal neighbor is told the preference");
}

#[test]
fn an_export_chain_changes_only_what_its_neighbor_is_told() {
    let actions = Actions {
        med: Some(MedChange::Set(7)),
        prepend: Some(Prepend { asn: None, count: 2 }),
        next_hop: Some(NextHopAction::Unchanged),
        ..Actions::default()
    };
    let mut rib = super::stage::rib(rules());
    up_with(&mut rib, 1, 65001, chains(in_ten_one(), actions, Then::Next, false));
    up(&mut rib, 2, 65002);
    up(&mut rib, 3, 65003);
    rib.flush();
    let mut received = path(&[65002]);
    received.med = Some(99);
    announce(&mut rib, 2, "10.1.2.0/24", received.clone());
    announce(&mut rib, 2, "10.2.0.0/24", received);
    let outgoing = rib.flush();
    let find = |to: u8, prefix: &str| {
        let updates = told(&outgoing, to);
        updates.into_iter().find(|update| update.announced[0].prefixes.contains(&net(prefix))).unwrap()
    };
    let changed = find(1, "10.1.2.0/24");
    assert_eq!(changed.attributes.med, Some(7), "one that we set goes on");
    assert_eq!(changed.attributes.as_path.to_string(), "65000 65000 65000 65002");
    assert_eq!(changed.announced[0].next_hop.address, ip(2));
    let plain = find(1, "10.2.0.0/24");
    assert_eq!((plain.attributes.med, plain.attributes.as_path.to_string().as_str()), (None, "65000 65002"));
    let other = find(3, "10.1.2.0/24");
    assert_eq!((other.attributes.med, other.announced[0].next_hop.address), (None, ip(254)));
}

#[test]
fn criterion_20_a_neighbor_that_asks_while_its_policy_changes_hears_everything_again() {
    let mut rib = super::stage::rib(rules());
    up(&mut rib, 1, 65001);
    up(&mut rib, 2, 65002);
    announce(&mut rib, 2, "10.2.0.0/24", path(&[65002]));
    rib.flush();
    let elsewhere = |med| Actions { med: Some(MedChange::Set(med)), ..Actions::default() };
    rib.set_policies(ip(1), chains(in_ten_one(), elsewhere(7), Then::Next, false));
    assert_eq!(changes(&rib.flush(), 1), (vec![], vec![]), "the route is not concerned");
    rib.set_policies(ip(1), chains(in_ten_one(), elsewhere(8), Then::Next, false));
    rib.refresh(ip(1), Family::IPV4_UNICAST);
    assert_eq!(changes(&rib.flush(), 1), (vec!["10.2.0.0/24".to_owned()], vec![]));
}

#[test]
fn criterion_17_an_external_neighbor_without_policy_gets_and_gives_nothing_until_one_is_added() {
    let neighbor = NeighborConfig::new("n", ip(1), 65001);
    let denied = of(PolicyConfig::default(), true, &neighbor);
    let mut rib = super::stage::rib(rules());
    up_with(&mut rib, 1, 65001, denied);
    assert!(rib.originate(LocalPath::new(net("10.9.0.0/24")), super::stage::NOW));
    announce(&mut rib, 1, "10.1.2.0/24", path(&[65001]));
    assert_eq!(changes(&rib.flush(), 1), (vec![], vec![]));
    let (counts, told) = rib.counts(ip(1));
    assert_eq!(counts.refused, [(Refusal::Policy(RejectReason::NoPolicy), 1)].into());
    assert_eq!(told, 0);

    let open = ChainConfig { policies: Vec::new(), default: DefaultAction::Accept };
    let both = NeighborConfig { import: Some(open.clone()), export: Some(open), ..neighbor };
    rib.set_policies(ip(1), of(PolicyConfig::default(), true, &both));
    assert_eq!(best(&rib, "10.1.2.0/24"), Some(1), "nothing was asked of the neighbor");
    assert_eq!(changes(&rib.flush(), 1), (vec!["10.9.0.0/24".to_owned()], vec![]));
}

#[test]
fn an_internal_neighbor_needs_no_policy() {
    let policies = of(PolicyConfig::default(), true, &NeighborConfig::new("n", ip(1), OWN_AS));
    assert!(policies.import.trivial() && policies.export.trivial());
}

#[test]
fn a_changed_import_chain_judges_what_was_received_not_what_was_made_of_it() {
    let add = || Actions { med: Some(MedChange::Add(10)), ..Actions::default() };
    let mut rib = super::stage::rib(rules());
    up_with(&mut rib, 1, 65001, chains(Conditions::default(), add(), Then::Next, true));
    let mut received = path(&[65001]);
    received.med = Some(5);
    announce(&mut rib, 1, "10.1.2.0/24", received);
    let med =
        |rib: &Rib| rib.destination(&net("10.1.2.0/24")).unwrap().best().map(|path| path.attributes.med);
    assert_eq!(med(&rib), Some(Some(15)));
    rib.set_policies(ip(1), chains(in_ten_one(), add(), Then::Accept, true));
    assert_eq!(med(&rib), Some(Some(15)), "once, not twice");
    rib.set_policies(ip(1), chains(in_ten_one(), Actions::default(), Then::Reject, true));
    assert_eq!(med(&rib), None);
    rib.set_policies(ip(1), PeerPolicies::accept_all());
    assert_eq!(med(&rib), Some(Some(5)));
}

#[test]
fn an_equal_configuration_changes_no_policy_and_sends_nothing() {
    let policies = || chains(in_ten_one(), Actions::default(), Then::Reject, false);
    let mut rib = super::stage::rib(rules());
    up_with(&mut rib, 1, 65001, policies());
    rib.originate(LocalPath::new(net("10.1.2.0/24")), super::stage::NOW);
    rib.originate(LocalPath::new(net("10.2.2.0/24")), super::stage::NOW);
    assert_eq!(changes(&rib.flush(), 1), (vec!["10.2.2.0/24".to_owned()], vec![]));
    rib.set_policies(ip(1), policies());
    assert!(rib.flush().is_empty());
    rib.set_policies(ip(1), PeerPolicies::accept_all());
    assert_eq!(changes(&rib.flush(), 1), (vec!["10.1.2.0/24".to_owned()], vec![]), "only the difference");
}
