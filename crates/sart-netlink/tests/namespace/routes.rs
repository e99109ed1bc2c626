//! Routes, rules, lookups and notifications.

use std::time::{Duration, Instant};

use sart_fib::{Leg, Route, RouteAction, RouteKey, RouteKind};
use sart_netlink::{Change, RouteHandle, RouteMonitor, Rule};

use crate::netns::Netns;

const PROTOCOL: u8 = 186;
/// What each wait may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn key(prefix: &str, table: u32, metric: u32) -> RouteKey {
    RouteKey { table, prefix: prefix.parse().unwrap(), metric }
}

fn leg(gateway: &str, ifindex: u32, weight: u16) -> Leg {
    Leg { gateway: Some(gateway.parse().unwrap()), ifindex, weight, onlink: false }
}

async fn ours(handle: &mut RouteHandle) -> Vec<Route> {
    let routes = handle.routes().await.unwrap().into_iter().map(|found| found.route);
    routes.filter(|route| route.protocol == PROTOCOL).collect()
}

async fn index(handle: &mut RouteHandle, name: &str) -> u32 {
    handle.links().await.unwrap().into_iter().find(|link| link.name == name).unwrap().index
}

#[test]
fn what_is_written_is_what_is_dumped_in_both_families() {
    let Some(netns) = Netns::new("nl-routes") else { return };
    netns.link("a", "10.9.0.1/24");
    netns.link("b", "10.9.1.1/24");
    netns.ip("addr add fd00:9::1/64 dev a0 nodad");
    netns.ip("addr add fd00:a::1/64 dev b0 nodad");
    netns.block_on(async {
        let mut handle = RouteHandle::open().unwrap();
        let (a, b) = (index(&mut handle, "a0").await, index(&mut handle, "b0").await);
        let mut wanted = vec![
            Route::unicast(key("10.0.1.0/32", 254, 20), PROTOCOL, vec![leg("10.9.0.2", a, 1)]),
            Route::unicast(
                key("10.0.2.0/24", 254, 20),
                PROTOCOL,
                vec![leg("10.9.0.2", a, 1), leg("10.9.1.2", b, 3)],
            ),
            Route::unreachable(key("10.0.3.0/32", 2179, 1), PROTOCOL),
            Route::unicast(
                key("fd00:1::/64", 254, 20),
                PROTOCOL,
                vec![leg("fd00:9::2", a, 1), leg("fd00:a::2", b, 1)],
            ),
            Route::unreachable(key("fd00:2::1/128", 2179, 1), PROTOCOL),
        ];
        let adds: Vec<_> = wanted.iter().cloned().map(RouteAction::Add).collect();
        assert_eq!(handle.apply(&adds).await.unwrap(), vec![]);
        let mut found = ours(&mut handle).await;
        found.sort_by_key(|route| route.key);
        wanted.sort_by_key(|route| route.key);
        assert_eq!(found, wanted);

        let replaced = Route::unicast(key("10.0.1.0/32", 254, 20), PROTOCOL, vec![leg("10.9.1.2", b, 1)]);
        let mut actions = vec![RouteAction::Replace(replaced.clone())];
        actions.extend(wanted.iter().filter(|r| r.key != replaced.key).cloned().map(RouteAction::Delete));
        assert_eq!(handle.apply(&actions).await.unwrap(), vec![]);
        assert_eq!(ours(&mut handle).await, vec![replaced.clone()]);

        let lookup = handle.lookup("10.0.1.0".parse().unwrap()).await.unwrap();
        assert_eq!((lookup.kind, lookup.table, lookup.ifindex), (RouteKind::Unicast, 254, b));
        assert_eq!(lookup.gateway, Some("10.9.1.2".parse().unwrap()));
    });
}

#[test]
fn a_refused_write_names_its_action_and_the_others_are_done() {
    let Some(netns) = Netns::new("nl-refuse") else { return };
    netns.link("a", "10.9.0.1/24");
    netns.block_on(async {
        let mut handle = RouteHandle::open().unwrap();
        let a = index(&mut handle, "a0").await;
        let route = |n: u32, gateway: &str| {
            let key = key(&format!("10.1.{}.{}/32", n / 256, n % 256), 254, 20);
            Route::unicast(key, PROTOCOL, vec![leg(gateway, a, 1)])
        };
        // More than one batch, with refusals in the first and at the very end.
        let mut actions: Vec<_> = (0..300).map(|n| RouteAction::Add(route(n, "10.9.0.2"))).collect();
        actions[7] = RouteAction::Add(route(7, "10.77.0.1"));
        actions.push(RouteAction::Add(route(0, "10.9.0.3")));
        actions.push(RouteAction::Delete(route(1000, "10.9.0.2")));
        let failures = handle.apply(&actions).await.unwrap();
        let indexes: Vec<_> = failures.iter().map(|f| (f.index, f.refusal.errno)).collect();
        assert_eq!(indexes, vec![(7, libc::ENETUNREACH), (300, libc::EEXIST)]);
        assert!(failures[0].refusal.text.contains("gateway"), "{:?}", failures[0]);
        assert_eq!(ours(&mut handle).await.len(), 299);
    });
}

#[test]
fn a_delete_leaves_the_route_of_another_protocol() {
    let Some(netns) = Netns::new("nl-foreign") else { return };
    netns.link("a", "10.9.0.1/24");
    netns.ip("route add 10.0.1.0/32 via 10.9.0.2 metric 20 proto 99");
    netns.block_on(async {
        let mut handle = RouteHandle::open().unwrap();
        let mine = Route::unicast(key("10.0.1.0/32", 254, 20), PROTOCOL, vec![]);
        assert_eq!(handle.apply(&[RouteAction::Delete(mine)]).await.unwrap(), vec![]);
        let routes = handle.routes().await.unwrap();
        assert!(routes.iter().any(|found| found.route.protocol == 99));
    });
}

#[test]
fn rules_are_added_once_listed_and_deleted() {
    let Some(netns) = Netns::new("nl-rules") else { return };
    netns.link("a", "10.9.0.1/24");
    netns.block_on(async {
        let mut handle = RouteHandle::open().unwrap();
        for v6 in [false, true] {
            let rule = Rule { v6, input: Some("a0".into()), table: 2179, preference: 31000, protocol: 187 };
            assert!(handle.add_rule(&rule).await.unwrap());
            assert!(!handle.add_rule(&rule).await.unwrap());
            assert!(handle.rules().await.unwrap().contains(&rule));
            assert!(handle.delete_rule(&rule).await.unwrap());
            assert!(!handle.delete_rule(&rule).await.unwrap());
            assert!(!handle.rules().await.unwrap().contains(&rule));
        }
    });
}

/// The route that a change is about, and whether it was deleted.
fn of(change: &Change) -> Option<(&Route, bool)> {
    match change {
        Change::Route { route, deleted } => Some((&route.route, *deleted)),
        _ => None,
    }
}

/// All changes up to those that came together with a wanted one.
async fn changes_until(monitor: &mut RouteMonitor, wanted: impl Fn(&Change) -> bool) -> Vec<Change> {
    let mut seen = Vec::new();
    while !seen.iter().any(&wanted) {
        let changed = tokio::time::timeout(PATIENCE, monitor.changed()).await;
        assert!(changed.is_ok(), "only {seen:?}");
        seen.extend(changed.unwrap().unwrap());
    }
    seen
}

#[test]
fn the_monitor_reports_others_and_not_our_own_writes() {
    let Some(netns) = Netns::new("nl-monitor") else { return };
    netns.link("a", "10.9.0.1/24");
    netns.block_on(async {
        let mut monitor = RouteMonitor::open().unwrap();
        let mut handle = RouteHandle::open().unwrap();
        monitor.ignore(handle.port());
        let a = index(&mut handle, "a0").await;
        let mine = Route::unicast(key("10.0.1.0/32", 254, 20), PROTOCOL, vec![leg("10.9.0.2", a, 1)]);
        handle.apply(&[RouteAction::Add(mine.clone())]).await.unwrap();
        netns.ip("route del 10.0.1.0/32 metric 20");
        // The kernel's own routes may come in between, when it finds the link's carrier.
        let changes = changes_until(&mut monitor, |change| of(change) == Some((&mine, true))).await;
        assert!(changes.iter().all(|change| of(change) != Some((&mine, false))), "{changes:?}");
        netns.ip("link set a1 down");
        changes_until(&mut monitor, |change| *change == Change::Link).await;
        // The news of `a1` may come before the kernel has taken the carrier from `a0`, which it does later on its own.
        let until = Instant::now() + PATIENCE;
        loop {
            let found = handle.routes().await.unwrap();
            let connected = found.into_iter().find(|found| found.is_connected()).unwrap();
            if connected.down == connected.route.legs {
                break;
            }
            assert!(Instant::now() < until, "the leg is not down: {connected:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn links_and_addresses_are_listed() {
    let Some(netns) = Netns::new("nl-links") else { return };
    netns.link("a", "10.9.0.1/24");
    netns.block_on(async {
        let mut handle = RouteHandle::open().unwrap();
        let links = handle.links().await.unwrap();
        let lo = links.iter().find(|link| link.name == "lo").unwrap();
        let a0 = links.iter().find(|link| link.name == "a0").unwrap();
        assert!(lo.loopback && lo.up);
        assert!(!a0.loopback && a0.up && a0.carrier);
        assert_eq!((a0.kind.as_str(), a0.mtu), ("veth", 1500));
        let addresses = handle.addresses().await.unwrap();
        let found = addresses.iter().find(|address| address.ifindex == a0.index && address.scope == 0);
        assert_eq!(found.unwrap().address, "10.9.0.1/24".parse().unwrap());
    });
}
