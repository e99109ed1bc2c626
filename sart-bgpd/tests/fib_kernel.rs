//! `sart-fibd` against the real kernel: each test has a network namespace and a small speaker of its own.
#![expect(clippy::unwrap_used, reason = "a test fails at its failed step and says why it was skipped")]

#[path = "fib_kernel/lab.rs"]
mod lab;
#[path = "fib_kernel/speaker.rs"]
mod speaker;
#[path = "fib_kernel/traffic.rs"]
mod traffic;

use std::time::{Duration, Instant};

use lab::{Lab, eventually};

/// What the main table holds of ours, one line per route, legs joined.
fn ours(lab: &Lab) -> Vec<String> {
    let text = lab.ip("-o route show proto bgp");
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| line.replace('\\', " ").split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    lines
}

fn has(lab: &Lab, needle: &str) -> bool {
    ours(lab).iter().any(|line| line.contains(needle))
}

#[test]
fn issue_7_1_2_a_withdrawn_route_leaves_and_a_dead_leg_leaves_its_route() {
    let Some(mut lab) = Lab::new("fib-leave") else { return };
    lab.two_links();
    lab.speaker.announce("10.0.1.0/32", &["10.9.0.2", "10.9.1.2"]);
    lab.speaker.announce("10.0.2.0/24", &["10.9.0.2"]);
    lab.start();
    eventually("both routes", || ours(&lab).len() == 2);
    let ecmp = ours(&lab).remove(0);
    assert!(ecmp.contains("nexthop via 10.9.0.2") && ecmp.contains("nexthop via 10.9.1.2"), "{ecmp}");
    assert!(ecmp.contains("metric 20"), "{ecmp}");
    lab.speaker.announce("10.0.1.0/32", &["10.9.1.2"]);
    eventually("one leg left", || has(&lab, "10.0.1.0 via 10.9.1.2"));
    assert!(!has(&lab, "10.0.1.0 via 10.9.0.2") && ours(&lab).len() == 2);
    lab.speaker.withdraw("10.0.1.0/32");
    lab.speaker.withdraw("10.0.2.0/24");
    eventually("no route left", || ours(&lab).is_empty());
}

#[test]
fn a_leg_whose_link_goes_down_leaves_and_returns_with_it() {
    let Some(mut lab) = Lab::new("fib-link") else { return };
    lab.two_links();
    lab.speaker.announce("10.0.1.0/32", &["10.9.0.2", "10.9.1.2"]);
    lab.start();
    eventually("two legs", || has(&lab, "nexthop via 10.9.0.2"));
    lab.ip("link set a1 down");
    eventually("one leg", || has(&lab, "10.0.1.0 via 10.9.1.2"));
    lab.ip("link set a1 up");
    eventually("two legs again", || has(&lab, "nexthop via 10.9.0.2") && has(&lab, "nexthop via 10.9.1.2"));
}

#[test]
fn issue_7_1_2_a_replaced_route_loses_no_packet() {
    let Some(mut lab) = Lab::new("fib-atomic") else { return };
    let (one, two) = (lab.neighbour("a", "10.9.0"), lab.neighbour("b", "10.9.1"));
    lab.speaker.announce("10.0.1.1/32", &["10.9.0.2"]);
    lab.start();
    eventually("the route", || has(&lab, "10.0.1.1 via 10.9.0.2"));
    let (echo_one, echo_two) = (traffic::echo(&one), traffic::echo(&two));
    let flow = traffic::Flow::start(&lab.name);
    let gateways = ["10.9.1.2", "10.9.0.2"];
    for round in 0..100 {
        lab.speaker.announce("10.0.1.1/32", &[gateways[round % 2]]);
        eventually("the replacement", || has(&lab, &format!("10.0.1.1 via {}", gateways[round % 2])));
    }
    let (sent, refused, unanswered) = flow.stop();
    println!("replaced 100 times under {sent} packets: {refused} refused, {unanswered} unanswered");
    assert!(sent > 200, "only {sent} packets were sent");
    assert_eq!((refused, unanswered), (0, 0));
    let (one, two) = (echo_one.stop(), echo_two.stop());
    assert!(one > 0 && two > 0, "both gateways carried traffic: {one} and {two}");
}

#[test]
fn issue_7_1_2_a_restart_sweeps_what_is_stale_after_end_of_rib_and_writes_nothing_else() {
    let Some(mut lab) = Lab::new("fib-restart") else { return };
    lab.two_links();
    for n in 0..20 {
        lab.speaker.announce(&format!("10.0.1.{n}/32"), &["10.9.0.2", "10.9.1.2"]);
    }
    lab.start();
    eventually("all routes", || ours(&lab).len() == 20);
    assert!(lab.stop().success());
    assert_eq!(ours(&lab).len(), 20, "routes stay when the daemon stops");

    let monitor = lab.monitor();
    lab.start();
    eventually("synced", || lab.channels()[0].synced);
    assert_eq!(monitor.stop(), Vec::<String>::new(), "a restart with nothing changed writes nothing");

    assert!(lab.stop().success());
    lab.speaker.withdraw("10.0.1.7/32");
    lab.speaker.hold_end_of_rib(true);
    let monitor = lab.monitor();
    lab.start();
    eventually("routes known", || lab.channels()[0].installed_routes == 19);
    assert_eq!(ours(&lab).len(), 20, "no sweep before the end of the set");
    lab.speaker.hold_end_of_rib(false);
    eventually("the sweep", || ours(&lab).len() == 19);
    let events = monitor.stop();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].starts_with("Deleted 10.0.1.7"), "{events:?}");
}

#[test]
fn a_next_hop_behind_a_static_route_is_resolved_again_when_that_changes() {
    let Some(mut lab) = Lab::new("fib-recursive") else { return };
    lab.two_links();
    lab.ip("addr add 169.254.1.0/31 dev a0");
    lab.ip("route add 9.9.9.9/32 via 169.254.1.1 dev a0");
    lab.speaker.announce("10.0.1.0/32", &["9.9.9.9"]);
    lab.start();
    eventually("resolved", || has(&lab, "10.0.1.0 via 169.254.1.1 dev a0"));
    let route = lab.only_route("installed");
    let hop = &route.next_hops[0];
    assert_eq!((hop.gateway.as_str(), hop.resolved_gateway.as_str()), ("9.9.9.9", "169.254.1.1"));
    assert_eq!(hop.interface, "a0");
    lab.ip("route replace 9.9.9.9/32 via 10.9.1.2 dev b0");
    eventually("resolved over the other link", || has(&lab, "10.0.1.0 via 10.9.1.2 dev b0"));
    lab.ip("route add 9.9.9.0/24 via 10.9.0.2 dev a0");
    lab.ip("route del 9.9.9.9/32");
    eventually("resolved by the next longest match", || has(&lab, "10.0.1.0 via 10.9.0.2 dev a0"));
    lab.ip("route del 9.9.9.0/24");
    eventually("gone with its next hop", || ours(&lab).is_empty());
    let route = lab.only_route("unresolved");
    assert!(route.reason.contains("9.9.9.9"), "{}", route.reason);
    lab.ip("route add default via 10.9.0.2");
    std::thread::sleep(Duration::from_millis(100));
    assert!(ours(&lab).is_empty(), "the default route does not resolve unless told");
}

#[test]
fn connected_local_and_protected_prefixes_are_refused_with_a_reason() {
    let Some(mut lab) = Lab::new("fib-refuse") else { return };
    lab.two_links();
    lab.ip("addr add 10.200.0.1/32 dev lo");
    let before = lab.ip("route show table all");
    for prefix in ["10.9.0.0/24", "10.9.0.128/25", "10.200.0.1/32", "10.96.0.1/32"] {
        lab.speaker.announce(prefix, &["10.9.1.2"]);
    }
    lab.extra_config("protected_prefixes: [10.96.0.0/24]");
    lab.start();
    eventually("four refusals", || lab.channels()[0].refused_routes == 4);
    assert_eq!(lab.ip("route show table all"), before);
    let reasons: Vec<_> = lab.routes().into_iter().map(|route| (route.prefix, route.reason)).collect();
    for (prefix, reason) in reasons {
        let expected = match prefix.as_str() {
            "10.96.0.1/32" => "protected",
            "10.200.0.1/32" => "local",
            _ => "connected",
        };
        assert!(reason.contains(expected), "{prefix}: {reason}");
    }
    lab.speaker.announce("10.0.1.0/32", &["10.9.1.2"]);
    eventually("others are written", || has(&lab, "10.0.1.0"));
}

#[test]
fn routes_of_others_are_never_touched_and_ours_come_back_within_a_second() {
    let Some(lab) = Lab::new("fib-foreign") else { return };
    lab.two_links();
    lab.ip("route add 10.0.5.0/24 via 10.9.1.2 proto static metric 20");
    lab.ip("route add 10.0.6.0/24 via 10.9.1.2 proto 187 metric 20");
    lab.ip("route add 10.0.7.0/24 via 10.9.1.2 proto bgp table 100");
    let others = || {
        (lab.ip("route show proto static"), lab.ip("route show proto 187"), lab.ip("route show table 100"))
    };
    let before = others();
    lab.speaker.announce("10.0.1.0/32", &["10.9.0.2"]);
    lab.speaker.announce("10.0.5.0/24", &["10.9.0.2"]);
    let mut daemon = lab.spawn();
    eventually("our route", || has(&lab, "10.0.1.0"));
    eventually("the refusal", || {
        lab.routes().iter().any(|route| route.state == "refused" && route.reason.contains("protocol 4"))
    });
    // A busy machine may take its time: some try is quick.
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        lab.ip("route del 10.0.1.0/32 proto bgp");
        let began = Instant::now();
        eventually("our route again", || has(&lab, "10.0.1.0"));
        quickest = quickest.min(began.elapsed());
    }
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    lab.ip("route replace 10.0.1.0/32 via 10.9.1.2 proto bgp metric 20");
    eventually("our legs again", || has(&lab, "10.0.1.0 via 10.9.0.2"));
    assert_eq!(others(), before);
    daemon.stop();
    // Gone for good once the other program has left.
    lab.ip("route del 10.0.5.0/24 proto static");
    let _daemon = lab.spawn();
    eventually("the prefix is free now", || has(&lab, "10.0.5.0/24 via 10.9.0.2"));
}

#[test]
fn a_lost_speaker_takes_nothing_away_and_its_successor_may() {
    let Some(mut lab) = Lab::new("fib-lost") else { return };
    lab.two_links();
    lab.speaker.announce("10.0.1.0/32", &["10.9.0.2"]);
    lab.speaker.announce("10.0.2.0/32", &["10.9.0.2"]);
    lab.start();
    eventually("both routes", || ours(&lab).len() == 2);
    lab.speaker.stop();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(ours(&lab).len(), 2, "routes stay while the speaker is away");
    lab.ip("route del 10.0.1.0/32 proto bgp");
    eventually("and are kept", || ours(&lab).len() == 2);
    lab.speaker.withdraw("10.0.2.0/32");
    lab.speaker.start();
    eventually("what was not said again leaves", || ours(&lab).len() == 1);
    assert!(has(&lab, "10.0.1.0"));
}

#[test]
fn ipv6_routes_with_two_legs_are_written_replaced_and_removed() {
    let Some(mut lab) = Lab::new("fib-v6") else { return };
    lab.two_links();
    lab.speaker.announce("fd00:1::/64", &["fd00:9::2", "fd00:a::2"]);
    lab.start();
    let routes = || lab.ip("-6 -o route show proto bgp");
    eventually("two legs", || routes().contains("via fd00:9::2") && routes().contains("via fd00:a::2"));
    lab.speaker.announce("fd00:1::/64", &["fd00:a::2"]);
    eventually("one leg", || !routes().contains("via fd00:9::2") && routes().contains("via fd00:a::2"));
    lab.speaker.withdraw("fd00:1::/64");
    eventually("none", || routes().is_empty());
}

#[test]
fn a_kernel_table_is_imported_into_another_one() {
    let Some(mut lab) = Lab::new("fib-import") else { return };
    lab.two_links();
    lab.ip("route add 10.0.8.0/24 via 10.9.0.2 proto static table 100");
    lab.channel_of_tables(100, 101);
    lab.start();
    eventually("copied", || lab.ip_quiet("route show table 101").contains("10.0.8.0/24 via 10.9.0.2"));
    lab.ip("route del 10.0.8.0/24 table 100");
    eventually("removed", || lab.ip_quiet("route show table 101").is_empty());
}

#[test]
fn wrong_flags_and_files_end_with_2_and_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fib.yaml");
    std::fs::write(&file, "channels:\n- name: x\n  ip_version: ipv5\n").unwrap();
    let path = file.display().to_string();
    for (arguments, expected) in [
        (vec!["-f", path.as_str()], "fib.yaml:3: channels[0].ip_version: `ipv5` is neither ipv4 nor ipv6"),
        (vec!["-f", "/nonexistent.yaml"], "cannot read /nonexistent.yaml"),
        (vec!["--api", "10.0.0.1:5001"], "TCP is not supported"),
        (vec!["--colour"], "--colour"),
    ] {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_sart-fibd")).args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_thousand_routes_come_and_go_in_one_burst() {
    let Some(mut lab) = Lab::new("fib-many") else { return };
    lab.two_links();
    let prefix = |n: u32| format!("10.{}.{}.0/24", 100 + n / 256, n % 256);
    (0..1000).for_each(|n| lab.speaker.announce(&prefix(n), &["10.9.0.2", "10.9.1.2"]));
    lab.start();
    eventually("all of them", || lab.channels()[0].installed_routes == 1000);
    assert_eq!(ours(&lab).len(), 1000);
    (0..1000).for_each(|n| lab.speaker.withdraw(&prefix(n)));
    eventually("none of them", || ours(&lab).is_empty());
}

#[test]
fn a_route_that_the_kernel_refuses_is_tried_again_and_explained() {
    let Some(mut lab) = Lab::new("fib-retry") else { return };
    lab.two_links();
    // The kernel takes no gateway behind an on-link route of global scope (net/ipv4/fib_semantics.c, fib_check_nh_v4_gw).
    lab.ip("route add 10.88.0.1/32 dev a0 scope global");
    lab.speaker.announce("10.0.1.0/32", &["10.88.0.1"]);
    lab.speaker.announce("10.0.2.0/32", &["10.9.0.2"]);
    lab.start();
    eventually("the other route is not held up", || has(&lab, "10.0.2.0"));
    eventually("the kernel's own words", || {
        lab.routes().iter().any(|route| {
            route.prefix == "10.0.1.0/32"
                && route.state == "pending"
                && route.reason.contains("kernel refused")
        })
    });
    lab.ip("route del 10.88.0.1/32");
    lab.ip("route add 10.88.0.1/32 dev a0 scope link");
    eventually("accepted now", || has(&lab, "10.0.1.0 via 10.88.0.1"));
}
