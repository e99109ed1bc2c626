//! Prefixes that stay with the node.

use super::*;
use crate::route::{Leg, Route, RouteKey};

fn found(prefix: &str, protocol: u8, kind: RouteKind, gateway: Option<&str>) -> KernelRoute {
    let key = RouteKey { table: 254, prefix: prefix.parse().unwrap(), metric: 0 };
    let gateway = gateway.map(|address| address.parse().unwrap());
    let mut route =
        Route::unicast(key, protocol, vec![Leg { gateway, ifindex: 2, weight: 1, onlink: false }]);
    route.kind = kind;
    KernelRoute::up(route)
}

fn guard() -> Guard {
    let kernel = [
        found("172.18.0.0/16", 2, RouteKind::Unicast, None),
        found("172.18.0.5/32", 2, RouteKind::Local, None),
        found("10.244.1.7/32", 3, RouteKind::Unicast, None),
        found("10.50.0.0/16", 4, RouteKind::Unicast, Some("172.18.0.1")),
        found("10.60.0.0/16", 186, RouteKind::Unicast, None),
        found("0.0.0.0/0", 4, RouteKind::Unicast, None),
    ];
    Guard::new(&kernel, &["10.96.0.0/24".parse().unwrap()], &[186, 187])
}

fn reason(prefix: &str) -> Result<(), &'static str> {
    guard().check(prefix.parse().unwrap()).map_err(|refusal| refusal.reason())
}

#[test]
fn what_equals_or_lies_inside_a_connected_local_or_protected_prefix_is_refused() {
    for (prefix, expected) in [
        ("172.18.0.0/16", "connected"),
        ("172.18.7.0/24", "connected"),
        ("172.18.0.5/32", "connected"),
        ("10.244.1.7/32", "connected"),
        ("10.96.0.0/24", "protected"),
        ("10.96.0.1/32", "protected"),
    ] {
        assert_eq!(reason(prefix), Err(expected), "{prefix}");
    }
}

#[test]
fn what_is_wider_or_elsewhere_is_allowed() {
    for prefix in
        ["0.0.0.0/0", "172.16.0.0/12", "10.50.1.0/24", "10.50.0.0/16", "10.60.0.0/16", "10.0.1.0/32"]
    {
        assert_eq!(reason(prefix), Ok(()), "{prefix}");
    }
}
