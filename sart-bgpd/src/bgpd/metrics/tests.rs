//! Names and labels of the figures, that they follow what happens, and that nothing stays of a neighbor that is gone.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use sart_bgp::config::{Config, Global, LocalPath, NeighborConfig};
use sart_bgp::policy::PolicyConfig;
use sart_bgp::session::SessionState;
use sart_bgp::wire::fault::{Fault, FaultClass, Problem};
use sart_bgp::wire::notification::Notification;

use super::*;

const PEER: &str = "192.0.2.1";

fn config(peers: &[&str]) -> Config {
    let neighbor = |address: &&str| NeighborConfig::new(address, address.parse().unwrap(), 65_001);
    Config {
        global: Global::new(65_000, [10, 0, 0, 1].into()),
        neighbors: peers.iter().map(neighbor).collect(),
        paths: vec![LocalPath::new("10.1.0.0/24".parse().unwrap())],
        policy: PolicyConfig::default(),
    }
}

fn text(metrics: &Metrics) -> String {
    let mut registry = Registry::with_prefix("sart_bgpd");
    metrics.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

/// One event of every kind that makes a series.
fn happen(metrics: &Metrics, peer: &str) {
    let fault = |class, problem| SessionEvent::UpdateFault { fault: Fault { code: 8, problem, class } };
    let notification = Notification::new(Notification::ADMIN_RESET);
    let events = [
        SessionEvent::State { from: SessionState::OpenConfirm, to: SessionState::Established },
        fault(FaultClass::TreatAsWithdraw, Problem::Length),
        fault(FaultClass::TreatAsWithdraw, Problem::Length),
        fault(FaultClass::AttributeDiscard, Problem::Flags),
        SessionEvent::NotificationSent { notification: notification.clone(), detail: String::new() },
        SessionEvent::NotificationReceived { notification },
        SessionEvent::NotificationReceived { notification: Notification::new((250, 1)) },
        SessionEvent::NotificationReceived { notification: Notification::new((251, 1)) },
        SessionEvent::HoldTimerExpired { hold_time: Duration::from_secs(9) },
    ];
    events.iter().for_each(|event| metrics.session_event(peer.parse().unwrap(), event));
}

const SERIES: &str = r#"sart_bgpd_peer_backlog_high_octets{peer="192.0.2.1"} 0
sart_bgpd_peer_established_total{peer="192.0.2.1"} 1
sart_bgpd_peer_leaks_kept{peer="192.0.2.1",family="ipv4-unicast"} 0
sart_bgpd_peer_leaks_kept{peer="192.0.2.1",family="ipv6-unicast"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="received",type="Keepalive"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="received",type="Notification"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="received",type="Open"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="received",type="RouteRefresh"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="received",type="Update"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="sent",type="Keepalive"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="sent",type="Notification"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="sent",type="Open"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="sent",type="RouteRefresh"} 0
sart_bgpd_peer_messages_total{peer="192.0.2.1",direction="sent",type="Update"} 0
sart_bgpd_peer_notifications_total{peer="192.0.2.1",direction="received",code="Cease"} 1
sart_bgpd_peer_notifications_total{peer="192.0.2.1",direction="received",code="Other"} 2
sart_bgpd_peer_notifications_total{peer="192.0.2.1",direction="sent",code="Cease"} 1
sart_bgpd_peer_notifications_total{peer="192.0.2.1",direction="sent",code="HoldTimerExpired"} 1
sart_bgpd_peer_prefixes_accepted{peer="192.0.2.1",family="ipv4-unicast"} 0
sart_bgpd_peer_prefixes_accepted{peer="192.0.2.1",family="ipv6-unicast"} 0
sart_bgpd_peer_prefixes_advertised{peer="192.0.2.1",family="ipv4-unicast"} 0
sart_bgpd_peer_prefixes_advertised{peer="192.0.2.1",family="ipv6-unicast"} 0
sart_bgpd_peer_prefixes_received{peer="192.0.2.1",family="ipv4-unicast"} 0
sart_bgpd_peer_prefixes_received{peer="192.0.2.1",family="ipv6-unicast"} 0
sart_bgpd_peer_prefixes_withheld{peer="192.0.2.1",family="ipv4-unicast"} 0
sart_bgpd_peer_prefixes_withheld{peer="192.0.2.1",family="ipv6-unicast"} 0
sart_bgpd_peer_state{peer="192.0.2.1"} 2
sart_bgpd_peer_update_faults_total{peer="192.0.2.1",action="AttributeDiscard",reason="Flags"} 1
sart_bgpd_peer_update_faults_total{peer="192.0.2.1",action="TreatAsWithdraw",reason="Length"} 2
sart_bgpd_table_prefixes{family="ipv4-unicast"} 1
sart_bgpd_table_prefixes{family="ipv6-unicast"} 0"#;

#[test]
fn every_series_of_a_neighbor_and_a_table_has_its_documented_name_and_labels() {
    let metrics = Metrics::default();
    let mut speaker = Speaker::new(1);
    speaker.apply_config(config(&[PEER]), Duration::ZERO).unwrap();
    happen(&metrics, PEER);
    metrics.publish(&speaker);
    let text = text(&metrics);
    let ours = |line: &&str| line.starts_with("sart_bgpd_peer_") || line.starts_with("sart_bgpd_table_");
    let mut series: Vec<_> = text.lines().filter(ours).collect();
    series.sort_unstable();
    assert_eq!(series.join("\n"), SERIES);
    let docs = include_str!("../../../../docs/bgp.md");
    for name in series.iter().filter_map(|line| line.split('{').next()) {
        assert!(docs.contains(&format!("`{name}`")), "{name} is not in docs/bgp.md");
    }
}

#[test]
fn nothing_stays_of_a_neighbor_that_is_gone() {
    let metrics = Metrics::default();
    let mut speaker = Speaker::new(1);
    speaker.apply_config(config(&[PEER, "192.0.2.7"]), Duration::ZERO).unwrap();
    happen(&metrics, PEER);
    happen(&metrics, "192.0.2.7");
    metrics.publish(&speaker);
    assert!(text(&metrics).contains(PEER));
    metrics.forget(PEER.parse().unwrap());
    let at_once = text(&metrics);
    assert!(!at_once.contains(PEER) && at_once.contains("192.0.2.7"), "{at_once}");
    speaker.apply_config(config(&[]), Duration::ZERO).unwrap();
    metrics.publish(&speaker);
    assert!(!text(&metrics).contains("peer="), "a publication takes away what it does not name");
}
