//! Which configurations are refused, and that the message names field and value.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::*;
use crate::family::Family;

fn good() -> Config {
    Config {
        global: Global::new(65000, Ipv4Addr::new(10, 0, 0, 1)),
        neighbors: vec![NeighborConfig::new("spine0", IpAddr::from([192, 0, 2, 1]), 65100)],
        paths: vec![LocalPath::new("10.1.0.0/24".parse().unwrap())],
        policy: PolicyConfig::default(),
    }
}

fn refusal(edit: impl FnOnce(&mut Config)) -> String {
    let mut config = good();
    edit(&mut config);
    config.check().unwrap_err().to_string()
}

#[test]
fn a_plain_configuration_is_accepted() {
    assert_eq!(good().check(), Ok(()));
}

#[test]
fn every_refusal_names_field_and_value() {
    type Edit = fn(&mut Config);
    let cases: [(Edit, [&str; 2]); 24] = [
        (|c| c.global.cluster_id = Some(Ipv4Addr::UNSPECIFIED), ["global.cluster_id", "0.0.0.0"]),
        (|c| c.global.decision.max_paths = 0, ["global.max_paths", "0"]),
        (
            |c| (c.global.decision.multipath, c.global.decision.deterministic_med) = (true, false),
            ["global.deterministic_med", "false"],
        ),
        (|c| c.neighbors[0].reflector_client = true, ["neighbors[192.0.2.1].route_reflector_client", "true"]),
        (
            |c| (c.neighbors[0].asn, c.neighbors[0].enforce_first_as) = (c.global.asn, true),
            ["neighbors[192.0.2.1].enforce_first_as", "true"],
        ),
        (|c| c.global.asn = 0, ["global.asn", "0"]),
        (|c| c.global.asn = 23456, ["global.asn", "23456"]),
        (|c| c.global.router_id = Ipv4Addr::UNSPECIFIED, ["global.router_id", "0.0.0.0"]),
        (
            |c| c.global.import.ranges.push("10.0.0.1/8".parse().unwrap()),
            ["global.import_ranges", "10.0.0.1/8"],
        ),
        (
            |c| c.global.import.protected.push("10.0.0.1/8".parse().unwrap()),
            ["protected_prefixes", "10.0.0.1/8"],
        ),
        (|c| c.neighbors[0].asn = u32::MAX, ["neighbors[192.0.2.1].asn", "4294967295"]),
        (|c| c.neighbors[0].hold_time = Some(2), ["neighbors[192.0.2.1].hold_time", "2"]),
        (|c| c.neighbors[0].shutdown = Some("x".repeat(256)), ["shutdown", "xxx"]),
        (|c| c.neighbors[0].prefix_limit = Some(PrefixLimit::new(0)), ["prefix_limit.max", "0"]),
        (
            |c| c.neighbors[0].prefix_limit = Some(PrefixLimit { warn_percent: 101, ..PrefixLimit::new(1) }),
            ["prefix_limit.warn_percent", "101"],
        ),
        (
            |c| c.neighbors[0].prefix_limit = Some(PrefixLimit { restart: Some(0), ..PrefixLimit::new(1) }),
            ["prefix_limit.restart", "0"],
        ),
        (|c| c.neighbors[0].export_limit = Some(0), ["neighbors[192.0.2.1].export_limit", "0"]),
        (|c| c.neighbors[0].name.clear(), ["neighbors[192.0.2.1].name", "\"\""]),
        (|c| c.neighbors[0].address = IpAddr::from([224, 0, 0, 5]), ["address", "224.0.0.5"]),
        (|c| c.neighbors[0].address = "::ffff:192.0.2.1".parse().unwrap(), ["address", "::ffff:192.0.2.1"]),
        (|c| c.neighbors[0].families.push(Family { afi: 25, safi: 70 }), ["families", "l2vpn-evpn"]),
        (|c| c.neighbors[0].router_id = Some(Ipv4Addr::UNSPECIFIED), ["router_id", "0.0.0.0"]),
        (|c| c.neighbors.push(c.neighbors[0].clone()), ["neighbors[].address", "192.0.2.1"]),
        (|c| c.paths.push(c.paths[0].clone()), ["paths[].prefix", "10.1.0.0/24"]),
    ];
    for (edit, [field, value]) in cases {
        let message = refusal(edit);
        assert!(message.contains(field) && message.contains(value), "{message}");
    }
}

#[test]
fn groups_match_only_on_an_intersection_and_absence_means_all() {
    let mut path = LocalPath::new("10.1.0.0/24".parse().unwrap());
    let group = |name: &str| vec![name.to_owned()];
    assert!(path.is_for(&group("y")), "a path without groups goes everywhere");
    path.groups = group("x");
    assert!(!path.is_for(&group("y")));
    assert!(path.is_for(&group("x")));
    assert!(path.is_for(&[]), "a neighbour without groups takes every path");
}

#[test]
fn keepalive_never_exceeds_a_third_of_the_hold_time() {
    let mut neighbor = NeighborConfig::new("a", IpAddr::from([192, 0, 2, 1]), 1);
    let hold = Duration::from_secs(90);
    assert_eq!(neighbor.keepalive_interval(hold), Some(Duration::from_secs(30)));
    neighbor.keepalive_time = 10;
    assert_eq!(neighbor.keepalive_interval(hold), Some(Duration::from_secs(10)));
    neighbor.keepalive_time = 60;
    assert_eq!(neighbor.keepalive_interval(hold), Some(Duration::from_secs(30)));
    assert_eq!(neighbor.keepalive_interval(Duration::ZERO), None, "hold time 0 turns keepalives off");
}
