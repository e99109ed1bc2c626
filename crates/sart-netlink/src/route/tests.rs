//! Encoding a route and reading it back.

use super::*;
use crate::attr::messages;

fn round_trip(route: &Route) -> KernelRoute {
    let bytes = action_request(&RouteAction::Add(route.clone())).finish(1);
    let message = messages(&bytes).next().unwrap();
    assert_eq!(message.kind, RTM_NEWROUTE);
    decode(message.body).unwrap()
}

fn key(prefix: &str, table: u32) -> RouteKey {
    RouteKey { table, prefix: prefix.parse().unwrap(), metric: 20 }
}

fn leg(gateway: Option<&str>, ifindex: u32, weight: u16, onlink: bool) -> Leg {
    Leg { gateway: gateway.map(|address| address.parse().unwrap()), ifindex, weight, onlink }
}

#[test]
fn every_shape_of_route_survives_the_way_through_bytes() {
    for route in [
        Route::unicast(key("0.0.0.0/0", 254), 186, vec![leg(Some("10.0.0.1"), 3, 1, false)]),
        Route::unicast(key("10.1.0.0/16", 70_000), 186, vec![leg(Some("10.0.0.1"), 3, 1, true)]),
        Route::unicast(key("10.2.0.0/16", 254), 186, vec![leg(Some("fe80::1"), 3, 1, false)]),
        Route::unicast(key("10.3.0.0/16", 254), 186, vec![leg(None, 3, 1, false)]),
        Route::unicast(
            key("fd00::/64", 254),
            186,
            vec![leg(Some("fe80::1"), 3, 256, true), leg(Some("fe80::2"), 4, 2, false)],
        ),
        Route::unreachable(key("10.0.1.0/32", 2179), 187),
    ] {
        assert_eq!(round_trip(&route), KernelRoute::up(route.clone()));
    }
}

#[test]
fn a_leg_without_carrier_is_known_to_be_down() {
    let route = Route::unicast(key("10.1.0.0/16", 254), 186, vec![leg(Some("10.0.0.1"), 3, 1, false)]);
    let mut bytes = action_request(&RouteAction::Add(route)).finish(1);
    bytes[16 + 8] |= RTNH_F_LINKDOWN as u8;
    let found = decode(messages(&bytes).next().unwrap().body).unwrap();
    assert_eq!(found.usable_legs().count(), 0);
}

#[test]
fn routes_with_a_type_of_service_or_from_the_cache_are_not_ours_to_judge() {
    let route = Route::unreachable(key("10.0.1.0/32", 2179), 187);
    let bytes = action_request(&RouteAction::Add(route)).finish(1);
    let body = messages(&bytes).next().unwrap().body;
    let mut tos = body.to_vec();
    tos[3] = 8;
    assert_eq!(decode(&tos), None);
    let mut cloned = body.to_vec();
    cloned[8..12].copy_from_slice(&RTM_F_CLONED.to_ne_bytes());
    assert_eq!(decode(&cloned), None);
}
