use super::*;
use jiff::Timestamp;

fn global() -> v1::Global {
    v1::Global {
        asn: 65000,
        router_id: "10.0.0.1".into(),
        port: 179,
        multipath: true,
        transit: v1::TransitPolicy::LocalOnly.into(),
        import_ranges: vec!["10.0.0.0/8".into(), "fd00::/8".into()],
        import_all: false,
        protected_prefixes: vec!["172.18.0.10/32".into()],
        ..Default::default()
    }
}

fn neighbors() -> Vec<v1::Neighbor> {
    let config = v1::NeighborConfig {
        name: "spine0".into(),
        address: "10.0.0.2".into(),
        asn: 65001,
        families: vec![v1::AddressFamily::Ipv4Unicast.into(), v1::AddressFamily::Ipv6Unicast.into()],
        groups: vec!["to-spine0".into()],
        ..Default::default()
    };
    let counter = v1::MessageCounter { open: 1, update: 5, keepalive: 42, ..Default::default() };
    let up = v1::Neighbor {
        config: Some(config),
        state: v1::SessionState::Established.into(),
        router_id: "10.0.0.2".into(),
        uptime_seconds: 3_725,
        negotiated_hold_time: 90,
        negotiated_keepalive_time: 30,
        capabilities: vec!["multiprotocol ipv4-unicast".into(), "route-refresh".into()],
        sent: Some(counter),
        received: Some(v1::MessageCounter { update: 7, ..counter }),
        prefixes_received: 3,
        prefixes_accepted: 2,
        prefixes_sent: 4,
        import_refused: [("AsLoop".to_owned(), 1)].into(),
        ..Default::default()
    };
    let config = v1::NeighborConfig {
        name: "spine1".into(),
        address: "fd00::2".into(),
        asn: 65002,
        ..Default::default()
    };
    let down = v1::Neighbor {
        config: Some(config),
        state: v1::SessionState::Active.into(),
        flaps: 2,
        last_error: "connecting failed: Connection refused".into(),
        ..Default::default()
    };
    vec![up, down]
}

fn paths() -> Vec<v1::Path> {
    let kinds =
        [(v1::as_segment::Kind::Sequence, vec![65001, 65010]), (v1::as_segment::Kind::Set, vec![1, 2])];
    let segments = kinds.map(|(kind, asns)| v1::AsSegment { kind: kind.into(), asns }).to_vec();
    let learned = v1::Path {
        prefix: "10.1.0.0/24".into(),
        family: v1::AddressFamily::Ipv4Unicast.into(),
        next_hops: vec!["10.0.0.2".into()],
        segments,
        med: Some(10),
        communities: vec![65_001 << 16 | 100],
        peer_asn: 65001,
        peer_address: "10.0.0.2".into(),
        best: true,
        multipath: true,
        age_seconds: 60,
        ..Default::default()
    };
    let second = v1::Path { best: false, peer_address: "10.0.0.3".into(), ..learned.clone() };
    let local = v1::Path {
        prefix: "fd00:1::/64".into(),
        family: v1::AddressFamily::Ipv6Unicast.into(),
        local_pref: Some(300),
        origin: v1::Origin::Incomplete.into(),
        peer_asn: 65000,
        best: true,
        ..Default::default()
    };
    vec![learned, second, local]
}

#[test]
fn the_speaker_in_both_formats() {
    insta::assert_snapshot!(show_global(&global(), Format::Plain).unwrap());
    insta::assert_snapshot!(show_global(&global(), Format::Json).unwrap());
    insta::assert_snapshot!(show_global(&v1::Global::default(), Format::Plain).unwrap());
}

#[test]
fn neighbors_in_both_formats() {
    insta::assert_snapshot!(plain::neighbors(&neighbors()));
    insta::assert_snapshot!(to_json(&json::Peers::from(neighbors().as_slice())).unwrap());
    insta::assert_snapshot!(show_neighbor(&neighbors()[0], Format::Plain).unwrap());
    insta::assert_snapshot!(show_neighbor(&neighbors()[1], Format::Json).unwrap());
}

#[test]
fn paths_in_both_formats() {
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    insta::assert_snapshot!(plain::paths(&paths()));
    insta::assert_snapshot!(to_json(&json::Paths::new(&paths(), now)).unwrap());
}

#[test]
fn setting_one_switch_keeps_the_others() {
    let set = SetArgs { asn: None, router_id: None, multi_path: Some(false) };
    assert_eq!(changed(global(), &set), v1::Global { multipath: false, ..global() });
}

#[test]
fn a_speaker_that_gets_its_identity_by_hand_follows_the_rfc() {
    let set = SetArgs { asn: Some(65000), router_id: Some([10, 0, 0, 1].into()), multi_path: None };
    let global = changed(v1::Global::default(), &set);
    assert_eq!((global.asn, global.router_id.as_str(), global.import_all), (65000, "10.0.0.1", true));
    assert_eq!(global.transit(), v1::TransitPolicy::Full);
}

#[test]
fn attributes_given_become_the_paths() {
    let attributes = [Attribute::Origin(v1::Origin::Egp), Attribute::LocalPref(300), Attribute::Med(7)];
    let path = local_path("10.0.0.0/24".into(), &attributes, &["g".into()]);
    assert_eq!((path.origin(), path.local_pref, path.med), (v1::Origin::Egp, Some(300), Some(7)));
    assert_eq!(path.groups, ["g"]);
}
