//! Longest match and its refusals.

use super::*;
use crate::route::{Route, RouteKey};

fn leg(gateway: Option<&str>, ifindex: u32) -> Leg {
    Leg { gateway: gateway.map(|address| address.parse().unwrap()), ifindex, weight: 1, onlink: false }
}

fn route(prefix: &str, protocol: u8, legs: Vec<Leg>) -> KernelRoute {
    let key = RouteKey { table: TABLE_MAIN, prefix: prefix.parse().unwrap(), metric: 0 };
    KernelRoute::up(Route::unicast(key, protocol, legs))
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn resolve(kernel: &[KernelRoute], address: &str) -> Result<Vec<Leg>, Unresolved> {
    Resolver::new(kernel, &ResolveOptions::default()).resolve(ip(address), 1)
}

#[test]
fn a_connected_match_sends_to_the_next_hop_itself() {
    let kernel = [route("10.0.0.0/24", 2, vec![leg(None, 3)])];
    assert_eq!(resolve(&kernel, "10.0.0.7"), Ok(vec![leg(Some("10.0.0.7"), 3)]));
}

#[test]
fn issue_7_1_2_the_longest_match_resolves_and_not_the_last_one() {
    let mut kernel = vec![
        route("9.9.9.9/32", 4, vec![leg(Some("169.254.1.1"), 3)]),
        route("9.0.0.0/8", 4, vec![leg(Some("169.254.2.1"), 4)]),
    ];
    assert_eq!(resolve(&kernel, "9.9.9.9"), Ok(vec![leg(Some("169.254.1.1"), 3)]));
    kernel.reverse();
    assert_eq!(resolve(&kernel, "9.9.9.9"), Ok(vec![leg(Some("169.254.1.1"), 3)]));
    assert_eq!(resolve(&kernel, "9.9.9.8"), Ok(vec![leg(Some("169.254.2.1"), 4)]));
}

#[test]
fn routes_that_sart_wrote_never_resolve_a_next_hop() {
    for protocol in [186, 187] {
        let kernel = [route("9.9.9.9/32", protocol, vec![leg(Some("169.254.1.1"), 3)])];
        assert_eq!(resolve(&kernel, "9.9.9.9"), Err(Unresolved::NoRoute(ip("9.9.9.9"))));
    }
}

#[test]
fn the_default_route_resolves_only_when_told() {
    let kernel = [route("0.0.0.0/0", 4, vec![leg(Some("10.0.0.1"), 3)])];
    assert_eq!(resolve(&kernel, "9.9.9.9"), Err(Unresolved::OnlyDefault(ip("9.9.9.9"))));
    let options = ResolveOptions { via_default: true, ..ResolveOptions::default() };
    let found = Resolver::new(&kernel, &options).resolve(ip("9.9.9.9"), 1);
    assert_eq!(found, Ok(vec![leg(Some("10.0.0.1"), 3)]));
}

#[test]
fn a_multipath_route_gives_all_its_legs_with_their_shares() {
    let legs =
        vec![Leg { weight: 1, ..leg(Some("10.0.0.1"), 3) }, Leg { weight: 3, ..leg(Some("10.0.1.1"), 4) }];
    let kernel = [route("9.9.9.9/32", 4, legs)];
    let found = Resolver::new(&kernel, &ResolveOptions::default()).resolve(ip("9.9.9.9"), 2).unwrap();
    assert_eq!(found.iter().map(|leg| leg.weight).collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn a_gateway_without_an_interface_is_resolved_in_turn_and_a_loop_ends() {
    let mut kernel = vec![
        route("9.9.9.9/32", 4, vec![leg(Some("8.8.8.8"), 0)]),
        route("8.8.8.0/24", 4, vec![leg(Some("10.0.0.1"), 3)]),
    ];
    assert_eq!(resolve(&kernel, "9.9.9.9"), Ok(vec![leg(Some("10.0.0.1"), 3)]));
    kernel[1] = route("8.8.8.0/24", 4, vec![leg(Some("9.9.9.9"), 0)]);
    assert!(matches!(resolve(&kernel, "9.9.9.9"), Err(Unresolved::TooDeep(_))));
}

#[test]
fn local_dropped_and_dead_matches_say_so() {
    let mut kernel = vec![route("10.0.0.0/24", 2, vec![leg(None, 3)])];
    kernel[0].down = kernel[0].route.legs.clone();
    let dead = Unresolved::LinkDown(ip("10.0.0.7"), "10.0.0.0/24".parse().unwrap());
    assert_eq!(resolve(&kernel, "10.0.0.7"), Err(dead));
    kernel[0].route.kind = RouteKind::Unreachable;
    assert!(matches!(resolve(&kernel, "10.0.0.7"), Err(Unresolved::Dropped(..))));
    let own = RouteKey { table: TABLE_LOCAL, prefix: "10.0.0.7/32".parse().unwrap(), metric: 0 };
    let mut local = Route::unicast(own, 2, vec![leg(None, 3)]);
    local.kind = RouteKind::Local;
    kernel.push(KernelRoute::up(local));
    assert_eq!(resolve(&kernel, "10.0.0.7"), Err(Unresolved::OwnAddress(ip("10.0.0.7"))));
}

#[test]
fn of_two_routes_to_one_prefix_the_lower_metric_resolves() {
    let mut kernel = vec![
        route("9.9.9.9/32", 4, vec![leg(Some("10.0.0.1"), 3)]),
        route("9.9.9.9/32", 4, vec![leg(Some("10.0.1.1"), 4)]),
    ];
    kernel[0].route.key.metric = 100;
    assert_eq!(resolve(&kernel, "9.9.9.9"), Ok(vec![leg(Some("10.0.1.1"), 4)]));
}

fn metered(prefix: &str, metric: u32, legs: Vec<Leg>) -> KernelRoute {
    let mut found = route(prefix, 4, legs);
    found.route.key.metric = metric;
    found
}

#[test]
fn criterion_19_a_next_hop_is_as_far_as_the_metric_of_its_route_and_at_0_on_a_link() {
    let over = |gateway: &str| vec![leg(Some(gateway), 3)];
    let kernel = [
        metered("10.0.0.0/24", 0, vec![leg(None, 3)]),
        metered("fd00::/64", 256, vec![leg(None, 3)]),
        metered("fd01::/64", 7, vec![leg(None, 4)]),
        metered("9.9.9.0/24", 30, over("10.0.0.1")),
        metered("9.9.9.9/32", 50, over("10.0.0.2")),
        metered("fd09::/64", 1024, over("fd00::1")),
        metered("0.0.0.0/0", 0, over("10.0.0.1")),
    ];
    let resolver = Resolver::new(&kernel, &ResolveOptions::default());
    let far = |address: &str| resolver.distance(ip(address));
    assert_eq!([far("10.0.0.7"), far("fd00::7"), far("fd01::7")], [Ok(0), Ok(0), Ok(7)]);
    assert_eq!([far("9.9.9.8"), far("9.9.9.9"), far("fd09::9")], [Ok(30), Ok(50), Ok(1024)]);
    assert_eq!(far("8.8.8.8"), Err(Unresolved::OnlyDefault(ip("8.8.8.8"))));
    assert_eq!(far("fd0a::1"), Err(Unresolved::NoRoute(ip("fd0a::1"))));
}
