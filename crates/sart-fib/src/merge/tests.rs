//! Merging sources.

use super::*;
use crate::route::{Route, RouteKey};

fn route(prefix: &str, internal: bool, next_hop: &str) -> SourceRoute {
    SourceRoute {
        prefix: prefix.parse().unwrap(),
        source: Source::Bgp { internal },
        target: Target::NextHops(vec![(next_hop.parse().unwrap(), 1)]),
    }
}

fn prefixes(rib: &Rib) -> Vec<String> {
    rib.merged().keys().map(ToString::to_string).collect()
}

#[test]
fn the_lower_distance_wins_and_the_other_takes_over_when_it_goes() {
    let mut rib = Rib::new(2);
    let (external, internal) =
        (route("10.0.0.0/24", false, "1.1.1.1"), route("10.0.0.0/24", true, "2.2.2.2"));
    rib.upsert(0, internal.clone());
    rib.upsert(1, external.clone());
    assert_eq!(rib.merged()[&external.prefix], &external);
    rib.withdraw(1, external.prefix);
    assert_eq!(rib.merged()[&internal.prefix], &internal);
}

#[test]
fn static_beats_bgp_and_connected_beats_static() {
    let kernel = |protocol| Source::Kernel { protocol, table: 254 }.distance();
    let distances = [kernel(2), kernel(4), 20, 90, 110, 120, 200];
    assert_eq!(distances[..2], [0, 1]);
    assert_eq!([kernel(192), kernel(188), kernel(189)], [90, 110, 120]);
    assert!(distances.is_sorted());
}

#[test]
fn a_lost_source_keeps_its_routes_until_it_has_said_everything_again() {
    let mut rib = Rib::new(1);
    rib.upsert(0, route("10.0.0.0/24", false, "1.1.1.1"));
    rib.upsert(0, route("10.0.1.0/24", false, "1.1.1.1"));
    assert!(!rib.synced());
    rib.end_of_rib(0);
    assert!(rib.synced());
    rib.begin(0);
    assert_eq!(prefixes(&rib).len(), 2);
    rib.upsert(0, route("10.0.1.0/24", false, "2.2.2.2"));
    assert_eq!(prefixes(&rib).len(), 2);
    rib.end_of_rib(0);
    assert_eq!(prefixes(&rib), ["10.0.1.0/24"]);
}

#[test]
fn a_prefix_taken_back_before_the_end_of_rib_is_remembered_as_withdrawn() {
    let mut rib = Rib::new(1);
    rib.upsert(0, route("10.0.0.0/24", false, "1.1.1.1"));
    rib.withdraw(0, "10.0.0.0/24".parse().unwrap());
    assert_eq!(rib.withdrawn().len(), 1);
    rib.upsert(0, route("10.0.0.0/24", false, "1.1.1.1"));
    assert_eq!(rib.withdrawn().len(), 0);
}

#[test]
fn import_takes_unicast_routes_of_its_tables_and_never_our_own() {
    let kernel = |prefix: &str, table, protocol| {
        let key = RouteKey { table, prefix: prefix.parse().unwrap(), metric: 0 };
        let leg = Leg { gateway: None, ifindex: 3, weight: 1, onlink: false };
        KernelRoute::up(Route::unicast(key, protocol, vec![leg]))
    };
    let dump = vec![
        kernel("10.0.0.0/24", 254, 4),
        kernel("10.0.1.0/24", 254, 186),
        kernel("10.0.2.0/24", 100, 4),
        kernel("fd00::/64", 254, 4),
        KernelRoute::up(Route::unreachable(
            RouteKey { table: 254, prefix: "10.0.3.0/24".parse().unwrap(), metric: 0 },
            4,
        )),
    ];
    let imported = import(&dump, &[254], true, &[186, 187]);
    assert_eq!(imported.len(), 1);
    assert_eq!(imported[0].prefix, "10.0.0.0/24".parse().unwrap());
    assert_eq!(imported[0].source, Source::Kernel { protocol: 4, table: 254 });
}

#[test]
fn issue_7_1_2_a_withdrawal_removes_the_prefix_whatever_its_next_hops_were() {
    let mut rib = Rib::new(1);
    rib.upsert(0, route("10.0.1.0/32", false, "10.9.0.2"));
    rib.upsert(0, route("10.0.1.0/32", false, "10.9.1.2"));
    rib.upsert(0, route("10.0.2.0/32", false, "10.9.0.2"));
    rib.end_of_rib(0);
    rib.withdraw(0, "10.0.1.0/32".parse().unwrap());
    assert_eq!(prefixes(&rib).len(), 1);
}
