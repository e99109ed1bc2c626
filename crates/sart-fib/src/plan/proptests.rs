//! The laws of plans, against a reference model of the kernel's route table.

use proptest::prelude::*;

use super::*;
use crate::route::{Leg, MAX_WEIGHT};

const OURS: u8 = 186;

/// The kernel as the writes see it: several routes may share a key, the first one is hit.
#[derive(Debug, Clone)]
struct Model(Vec<KernelRoute>);

impl Model {
    fn apply(&mut self, actions: &[RouteAction]) {
        for action in actions {
            let key = action.route().key;
            assert_eq!(action.route().protocol, OURS, "wrote with a foreign protocol");
            let first = self.0.iter().position(|found| found.route.key == key);
            match action {
                RouteAction::Add(route) => {
                    assert_eq!(first, None, "EEXIST");
                    self.0.push(KernelRoute::up(route.clone()));
                }
                RouteAction::Replace(route) => {
                    let at = first.expect("replaced nothing");
                    assert_eq!(self.0[at].route.protocol, OURS, "replaced a foreign route");
                    self.0[at] = KernelRoute::up(route.clone());
                }
                RouteAction::Delete(_) => {
                    let own = |found: &KernelRoute| found.route.key == key && found.route.protocol == OURS;
                    let at = self.0.iter().position(own).expect("deleted nothing");
                    self.0.remove(at);
                }
            }
        }
    }

    fn foreign(&self) -> Vec<Route> {
        let others = self.0.iter().filter(|found| found.route.protocol != OURS);
        others.map(|found| found.route.clone()).collect()
    }
}

fn leg() -> impl Strategy<Value = Leg> {
    (0u8..3, 1u32..3, 1u16..4).prop_map(|(gateway, ifindex, weight)| Leg {
        gateway: Some([10, 0, 0, gateway].into()),
        ifindex,
        weight,
        onlink: false,
    })
}

fn route(protocol: impl Strategy<Value = u8>) -> impl Strategy<Value = Route> {
    let key = (
        prop_oneof![Just(254u32), Just(100)],
        prop_oneof!["10\\.0\\.[0-5]\\.0/24", "fd00:0:0:[0-3]::/64"],
        prop_oneof![Just(20u32), Just(200)],
    );
    (key, protocol, prop::collection::vec(leg(), 0..3)).prop_map(
        |((table, prefix, metric), protocol, legs)| {
            let key = RouteKey { table, prefix: prefix.parse().unwrap(), metric };
            if legs.is_empty() {
                Route::unreachable(key, protocol)
            } else {
                Route::unicast(key, protocol, legs)
            }
        },
    )
}

fn wanted() -> impl Strategy<Value = Desired> {
    let tables = prop_oneof![Just(vec![254u32]), Just(vec![100, 254])];
    (prop::collection::vec(route(Just(OURS)), 0..12), tables).prop_map(|(routes, tables)| Desired {
        protocol: OURS,
        routes: routes
            .into_iter()
            .filter(|route| tables.contains(&route.key.table))
            .map(|route| (route.key, route))
            .collect(),
        tables: tables.into_iter().collect(),
        unwanted: BTreeSet::new(),
    })
}

/// Doubles under one key only where Linux allows them: IPv4, appended.
fn kernel() -> impl Strategy<Value = Model> {
    prop::collection::vec(route(prop_oneof![Just(OURS), Just(4), Just(187)]), 0..16).prop_map(|routes| {
        let mut seen = BTreeSet::new();
        let kept = routes.into_iter().filter(|route| {
            let first = seen.insert((route.key, 0));
            let double = route.key.prefix.addr().is_ipv4() && route.protocol == OURS;
            first || double
        });
        Model(kept.map(KernelRoute::up).collect())
    })
}

proptest! {
    #[test]
    fn planning_again_after_applying_yields_nothing(desired in wanted(), model in kernel(), sweep: bool) {
        let mut model = model;
        let foreign = model.foreign();
        model.apply(&plan(&desired, &model.0, sweep));
        prop_assert_eq!(plan(&desired, &model.0, sweep), vec![]);
        prop_assert_eq!(model.foreign(), foreign, "routes of others stay as they were");
    }

    #[test]
    fn after_a_sweep_our_tables_hold_what_is_desired_and_nothing_else(desired in wanted(), model in kernel()) {
        let mut model = model;
        model.apply(&plan(&desired, &model.0, true));
        let blocked = occupied(&desired, &model.0);
        let held: BTreeMap<_, _> = model.0.iter().map(|found| &found.route)
            .filter(|route| route.protocol == OURS && desired.tables.contains(&route.key.table))
            .map(|route| (route.key, route.clone()))
            .collect();
        let expected = desired.routes.clone().into_iter().filter(|(key, _)| !blocked.contains_key(key));
        let held: BTreeMap<_, _> = held.into_iter().filter(|(key, _)| !blocked.contains_key(key)).collect();
        prop_assert_eq!(held, expected.collect::<BTreeMap<_, _>>());
    }

    #[test]
    fn the_order_depends_on_the_routes_alone(desired in wanted(), model in kernel()) {
        let mut shuffled = model.0.clone();
        shuffled.sort_by_key(|found| found.route.key);
        let mut by_key = model.0.clone();
        by_key.reverse();
        by_key.sort_by_key(|found| found.route.key);
        let distinct: BTreeSet<_> = model.0.iter().map(|found| found.route.key).collect();
        prop_assume!(distinct.len() == model.0.len());
        prop_assert_eq!(plan(&desired, &shuffled, true), plan(&desired, &by_key, true));
    }

    /// A dump that was cut short (interrupted, then given up) or is older than the last writes may cost a failed write,
    /// but the next complete dump leads to the same table.
    #[test]
    fn a_partial_dump_never_leads_astray(desired in wanted(), model in kernel(), keep in prop::collection::vec(any::<bool>(), 16)) {
        let mut model = model;
        let seen: Vec<_> = model.0.iter().zip(keep).filter(|(_, keep)| *keep).map(|(found, _)| found.clone()).collect();
        for action in plan(&desired, &seen, false) {
            // What a real kernel does with an Add where something stands: EEXIST, nothing changes.
            let exists = model.0.iter().any(|found| found.route.key == action.route().key);
            let own_first = model.0.iter().find(|found| found.route.key == action.route().key)
                .is_some_and(|found| found.route.protocol == OURS);
            match action {
                RouteAction::Add(_) if exists => {}
                RouteAction::Replace(_) if !own_first => {}
                action => model.apply(&[action]),
            }
        }
        model.apply(&plan(&desired, &model.0, true));
        prop_assert_eq!(plan(&desired, &model.0, true), vec![]);
    }

    #[test]
    fn normalised_legs_are_sorted_unique_and_in_range(legs in prop::collection::vec(leg(), 0..8)) {
        let normal = crate::route::normalise(legs);
        prop_assert!(normal.windows(2).all(|pair| (pair[0].gateway, pair[0].ifindex) < (pair[1].gateway, pair[1].ifindex)));
        prop_assert!(normal.iter().all(|leg| (1..=MAX_WEIGHT).contains(&leg.weight)));
        prop_assert_eq!(crate::route::normalise(normal.clone()), normal);
    }
}
