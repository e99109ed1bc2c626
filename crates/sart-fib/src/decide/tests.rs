//! From sources and a dump to verdicts.

use super::*;
use crate::plan::plan;
use crate::route::{RouteKind, TABLE_MAIN};

fn policy() -> Policy {
    Policy {
        protocol: 186,
        resolve: ResolveOptions::default(),
        protected: vec!["10.96.0.1/32".parse().unwrap()],
    }
}

fn leg(gateway: Option<&str>, ifindex: u32) -> Leg {
    Leg { gateway: gateway.map(|address| address.parse().unwrap()), ifindex, weight: 1, onlink: false }
}

fn kernel_route(prefix: &str, protocol: u8, metric: u32, legs: Vec<Leg>) -> KernelRoute {
    let key = RouteKey { table: TABLE_MAIN, prefix: prefix.parse().unwrap(), metric };
    KernelRoute::up(Route::unicast(key, protocol, legs))
}

/// Two connected links.
fn kernel() -> Vec<KernelRoute> {
    vec![
        kernel_route("10.9.0.0/24", 2, 0, vec![leg(None, 2)]),
        kernel_route("10.9.1.0/24", 2, 0, vec![leg(None, 3)]),
    ]
}

fn bgp(prefix: &str, internal: bool, next_hops: &[&str]) -> SourceRoute {
    let hops = next_hops.iter().map(|address| (address.parse().unwrap(), 1)).collect();
    SourceRoute {
        prefix: prefix.parse().unwrap(),
        source: Source::Bgp { internal },
        target: Target::NextHops(hops),
    }
}

fn rib(routes: Vec<SourceRoute>) -> Rib {
    let mut rib = Rib::new(1);
    rib.replace(0, routes);
    rib
}

fn run(rib: &Rib, kernel: &[KernelRoute]) -> Decision {
    decide(&[Channel { rib, tables: &[TABLE_MAIN] }], kernel, &policy())
}

fn words(decision: &Decision) -> Vec<&'static str> {
    decision.verdicts.iter().map(|verdict| verdict.state.word()).collect()
}

#[test]
fn both_next_hops_become_legs_with_the_metric_of_the_distance() {
    let rib = rib(vec![
        bgp("10.0.1.0/32", false, &["10.9.0.2", "10.9.1.2"]),
        bgp("10.0.2.0/32", true, &["10.9.0.2"]),
    ]);
    let decision = run(&rib, &kernel());
    let routes: Vec<_> = decision.desired.routes.values().collect();
    assert_eq!(routes[0].legs, [leg(Some("10.9.0.2"), 2), leg(Some("10.9.1.2"), 3)]);
    assert_eq!((routes[0].key.metric, routes[1].key.metric), (20, 200));
    assert_eq!(words(&decision), ["pending", "pending"]);
}

#[test]
fn what_the_kernel_has_is_installed() {
    let rib = rib(vec![bgp("10.0.1.0/32", false, &["10.9.0.2"])]);
    let mut kernel = kernel();
    kernel.push(kernel_route("10.0.1.0/32", 186, 20, vec![leg(Some("10.9.0.2"), 2)]));
    let decision = run(&rib, &kernel);
    assert_eq!(words(&decision), ["installed"]);
    assert_eq!(plan(&decision.desired, &kernel, true), []);
}

#[test]
fn issue_7_1_2_an_unresolved_next_hop_leaves_the_set_and_the_last_one_the_table() {
    let rib = rib(vec![
        bgp("10.0.1.0/32", false, &["9.9.9.9", "10.9.0.2"]),
        bgp("10.0.2.0/32", false, &["9.9.9.9"]),
    ]);
    let mut kernel = kernel();
    kernel.push(kernel_route("10.0.2.0/32", 186, 20, vec![leg(Some("10.9.0.3"), 2)]));
    let decision = run(&rib, &kernel);
    assert_eq!(decision.desired.routes.len(), 1);
    assert_eq!(words(&decision), ["pending", "unresolved"]);
    assert!(decision.verdicts[1].state.explain().contains("9.9.9.9"));
    let actions = plan(&decision.desired, &kernel, false);
    assert!(actions.contains(&crate::plan::RouteAction::Delete(kernel[2].route.clone())), "{actions:?}");
}

#[test]
fn a_change_of_the_route_to_the_next_hop_changes_the_legs() {
    let rib = rib(vec![bgp("10.0.1.0/32", false, &["9.9.9.9"])]);
    let mut kernel = kernel();
    for (gateway, ifindex) in [("10.9.0.2", 2), ("10.9.1.2", 3)] {
        kernel.truncate(2);
        kernel.push(kernel_route("9.9.9.9/32", 4, 0, vec![leg(Some(gateway), ifindex)]));
        let decision = run(&rib, &kernel);
        let legs: Vec<_> = decision.desired.routes.values().flat_map(|route| route.legs.clone()).collect();
        assert_eq!(legs, [leg(Some(gateway), ifindex)]);
    }
}

#[test]
fn connected_local_and_protected_prefixes_are_refused_and_removed_if_they_stand() {
    let rib = rib(vec![bgp("10.9.0.0/24", false, &["10.9.1.2"]), bgp("10.96.0.1/32", false, &["10.9.1.2"])]);
    let mut kernel = kernel();
    kernel.push(kernel_route("10.96.0.1/32", 186, 20, vec![leg(Some("10.9.1.2"), 3)]));
    let decision = run(&rib, &kernel);
    assert_eq!(words(&decision), ["refused", "refused"]);
    assert!(decision.desired.routes.is_empty());
    assert_eq!(plan(&decision.desired, &kernel, false).len(), 1);
}

#[test]
fn a_foreign_route_with_our_metric_is_a_refusal() {
    let rib = rib(vec![bgp("10.0.1.0/32", false, &["10.9.0.2"])]);
    let mut kernel = kernel();
    kernel.push(kernel_route("10.0.1.0/32", 4, 20, vec![leg(Some("10.9.1.2"), 3)]));
    let decision = run(&rib, &kernel);
    assert_eq!(words(&decision), ["refused"]);
    assert!(decision.verdicts[0].state.explain().contains("protocol 4"));
}

#[test]
fn a_static_route_imported_from_the_same_table_keeps_bgp_out() {
    let mut kernel = kernel();
    kernel.push(kernel_route("10.0.1.0/32", 4, 0, vec![leg(Some("10.9.1.2"), 3)]));
    let mut rib = Rib::new(2);
    rib.replace(0, vec![bgp("10.0.1.0/32", false, &["10.9.0.2"])]);
    rib.replace(1, crate::merge::import(&kernel, &[TABLE_MAIN], true, &[186]));
    let decision = run(&rib, &kernel);
    assert!(decision.desired.routes.is_empty());
    assert!(decision.desired.unwanted.contains(&(TABLE_MAIN, "10.0.1.0/32".parse().unwrap())));
}

#[test]
fn of_two_channels_the_lower_distance_writes_the_table() {
    let (first, second) = (
        rib(vec![bgp("10.0.1.0/32", true, &["10.9.0.2"])]),
        rib(vec![bgp("10.0.1.0/32", false, &["10.9.1.2"])]),
    );
    let tables = [TABLE_MAIN];
    let channels = [Channel { rib: &first, tables: &tables }, Channel { rib: &second, tables: &tables }];
    let decision = decide(&channels, &kernel(), &policy());
    assert_eq!(decision.verdicts.len(), 1);
    assert_eq!(decision.verdicts[0].channel, 1);
}

#[test]
fn a_route_without_next_hops_is_unresolved() {
    let decision = run(&rib(vec![bgp("10.0.1.0/32", false, &[])]), &kernel());
    assert_eq!(words(&decision), ["unresolved"]);
}

#[test]
fn an_unreachable_route_of_ours_is_replaced_by_a_unicast_one() {
    let rib = rib(vec![bgp("10.0.1.0/32", false, &["10.9.0.2"])]);
    let mut kernel = kernel();
    let mut odd = kernel_route("10.0.1.0/32", 186, 20, vec![]);
    odd.route.kind = RouteKind::Unreachable;
    kernel.push(odd);
    let actions = plan(&run(&rib, &kernel).desired, &kernel, false);
    assert!(matches!(actions.as_slice(), [crate::plan::RouteAction::Replace(_)]), "{actions:?}");
}
