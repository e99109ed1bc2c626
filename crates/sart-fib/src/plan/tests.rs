//! Plans for single situations; the general laws are in the property tests.

use super::*;
use crate::route::Leg;

fn route(prefix: &str, metric: u32, gateways: &[&str]) -> Route {
    let key = RouteKey { table: 254, prefix: prefix.parse().unwrap(), metric };
    let leg = |gateway: &&str| Leg {
        gateway: Some(gateway.parse().unwrap()),
        ifindex: 2,
        weight: 1,
        onlink: false,
    };
    Route::unicast(key, 186, gateways.iter().map(leg).collect())
}

fn desired(route: Option<&Route>) -> Desired {
    Desired {
        protocol: 186,
        tables: [254].into(),
        routes: route.map(|route| (route.key, route.clone())).into_iter().collect(),
        unwanted: BTreeSet::new(),
    }
}

fn kernel(route: &Route) -> Vec<KernelRoute> {
    vec![KernelRoute::up(route.clone())]
}

#[test]
fn issue_7_1_2_a_withdrawn_multipath_route_is_deleted() {
    let old = route("10.0.1.0/32", 20, &["10.0.0.1", "10.0.0.2"]);
    assert_eq!(plan(&desired(None), &kernel(&old), true), [RouteAction::Delete(old)]);
}

#[test]
fn issue_7_1_2_a_dead_leg_leaves_in_one_replace() {
    let old = route("10.0.1.0/32", 20, &["10.0.0.1", "10.0.0.2"]);
    let new = route("10.0.1.0/32", 20, &["10.0.0.2"]);
    assert_eq!(plan(&desired(Some(&new)), &kernel(&old), true), [RouteAction::Replace(new)]);
}

#[test]
fn issue_7_1_2_stale_routes_wait_for_the_end_of_rib_and_then_go() {
    let stale = route("10.0.1.0/32", 20, &["10.0.0.1"]);
    assert_eq!(plan(&desired(None), &kernel(&stale), false), []);
    assert_eq!(plan(&desired(None), &kernel(&stale), true), [RouteAction::Delete(stale)]);
}

#[test]
fn a_route_known_to_be_wrong_leaves_before_the_sweep() {
    let wrong = route("10.0.1.0/32", 20, &["10.0.0.1"]);
    let mut wanted = desired(None);
    wanted.unwanted.insert((254, wrong.key.prefix));
    assert_eq!(plan(&wanted, &kernel(&wrong), false), [RouteAction::Delete(wrong)]);
}

#[test]
fn a_change_of_metric_adds_before_it_deletes() {
    let (old, new) = (route("10.0.1.0/32", 20, &["10.0.0.1"]), route("10.0.1.0/32", 200, &["10.0.0.1"]));
    let actions = plan(&desired(Some(&new)), &kernel(&old), false);
    assert_eq!(actions, [RouteAction::Add(new), RouteAction::Delete(old)]);
}

#[test]
fn a_foreign_route_at_the_key_is_left_alone_and_named() {
    let mine = route("10.0.1.0/32", 20, &["10.0.0.1"]);
    let foreign = Route { protocol: 4, ..mine.clone() };
    let wanted = desired(Some(&mine));
    assert_eq!(plan(&wanted, &kernel(&foreign), true), []);
    let blocked = occupied(&wanted, &kernel(&foreign));
    assert_eq!(blocked[&mine.key], Refusal::Occupied(mine.key.prefix, 4));
}

#[test]
fn our_protocol_in_a_table_of_someone_else_is_not_ours() {
    let mut elsewhere = route("10.0.1.0/32", 20, &["10.0.0.1"]);
    elsewhere.key.table = 100;
    assert_eq!(plan(&desired(None), &kernel(&elsewhere), true), []);
}
