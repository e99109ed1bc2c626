use super::*;
use jiff::Timestamp;

fn global() -> v1::Global {
    v1::Global {
        asn: 65000,
        router_id: "10.0.0.1".into(),
        port: 179,
        multipath: Some(true),
        max_paths: 64,
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
        import: Some(v1::PolicyChain {
            policies: vec!["from-spine".into()],
            default: v1::PolicyDefault::Reject.into(),
        }),
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
        shutdown: Some("maintenance".into()),
        prefix_limit: Some(v1::PrefixLimit { max: 100, warn_percent: 80, restart_seconds: 30 }),
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

/// A listing as it is printed in the end.
fn listed(paths: &[v1::Path], table: v1::Table, format: Format) -> String {
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut listing = Listing::new(format, table);
    paths.iter().for_each(|path| listing.push(path, now).unwrap());
    listing.finish()
}

/// Everything a speaker and a neighbor can be told to be.
fn everything() -> (v1::Global, v1::Neighbor) {
    let metric = v1::NextHopMetric { address: "10.0.0.2".into(), metric: 7 };
    let global = v1::Global {
        max_paths: 8,
        multipath_relax: Some(false),
        always_compare_med: true,
        missing_med_as_worst: true,
        prefer_oldest: true,
        cluster_id: "10.0.0.9".into(),
        reject_as_sets: true,
        graceful_shutdown: true,
        ebgp_requires_policy: true,
        track_next_hops: true,
        next_hop_metrics: vec![metric],
        ..global()
    };
    let mut neighbor = neighbors().remove(0);
    let config = neighbor.config.as_mut().unwrap();
    config.route_reflector_client = true;
    config.enforce_first_as = true;
    config.export_limit = 4;
    config.transport = Some(v1::Transport {
        local_address: "10.0.0.1".into(),
        ttl_security: 1,
        has_password: true,
        send_hold_time: 60,
        ..Default::default()
    });
    config.features = Some(v1::Features {
        extended_messages: true,
        extended_next_hop: true,
        add_path_receive: true,
        add_path_send: 3,
        role: v1::Role::Customer.into(),
        strict_role: true,
    });
    neighbor.prefixes_withheld = 12;
    (global, neighbor)
}

#[test]
fn next_hops_show_their_state_and_who_says_so_in_both_formats() {
    let hop = |last: u8, state: v1::NextHopState, metric| v1::NextHop {
        address: format!("10.0.0.{last}"),
        state: state.into(),
        metric,
        reason: if state == v1::NextHopState::Unreachable {
            "no route leads there".into()
        } else {
            String::new()
        },
    };
    let next_hops = vec![
        hop(2, v1::NextHopState::Reachable, 20),
        hop(3, v1::NextHopState::Unreachable, 0),
        hop(4, v1::NextHopState::Unanswered, 0),
    ];
    let tracked = v1::ListNextHopsResponse { next_hops: next_hops.clone(), tracked: true };
    let alone = v1::ListNextHopsResponse { next_hops, tracked: false };
    for (answer, format) in [(&tracked, Format::Plain), (&alone, Format::Plain), (&tracked, Format::Json)] {
        insta::assert_snapshot!(next_hops::show(answer, format).unwrap());
    }
}

#[test]
fn everything_that_can_be_configured_is_shown_in_both_formats() {
    let (global, neighbor) = everything();
    for format in [Format::Plain, Format::Json] {
        insta::assert_snapshot!(show_global(&global, format).unwrap());
        insta::assert_snapshot!(show_neighbor(&neighbor, format).unwrap());
    }
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
    insta::assert_snapshot!(show_neighbor(&neighbors()[1], Format::Plain).unwrap());
}

#[test]
fn paths_in_both_formats() {
    let mut paths = paths();
    paths[1].path_id = 7;
    insta::assert_snapshot!(listed(&paths, v1::Table::Local, Format::Plain));
    insta::assert_snapshot!(listed(&paths, v1::Table::Local, Format::Json));
    assert_eq!(listed(&[], v1::Table::Local, Format::Plain).lines().count(), 1);
    assert_eq!(listed(&[], v1::Table::Local, Format::Json), "{\n  \"paths\": []\n}\n");
}

#[test]
fn what_a_neighbor_sent_shows_why_it_is_refused_and_every_attribute() {
    let mut refused = paths().remove(0);
    refused.best = false;
    refused.refused = "policy".into();
    refused.ext_communities = vec!["rt:65000:1".into()];
    refused.large_communities = vec!["65000:1:2".into()];
    refused.aggregator = "65010 10.0.0.9".into();
    refused.originator_id = "10.0.0.9".into();
    refused.cluster_list = vec!["10.0.0.8".into()];
    refused.atomic_aggregate = true;
    insta::assert_snapshot!(listed(&[refused.clone()], v1::Table::AdjIn, Format::Plain));
    insta::assert_snapshot!(listed(&[refused], v1::Table::AdjIn, Format::Json));
}

#[test]
fn a_listing_of_a_full_table_is_written_while_it_comes() {
    const ROWS: usize = 6_000;
    let now = Timestamp::UNIX_EPOCH;
    for format in [Format::Plain, Format::Json] {
        let mut listing = Listing::new(format, v1::Table::Local);
        let (mut whole, mut longest, mut first) = (String::new(), 0, None);
        for n in 0..ROWS {
            let path = v1::Path { prefix: format!("10.{}.{}.0/24", n / 256, n % 256), ..paths().remove(0) };
            listing.push(&path, now).unwrap();
            if let Some(piece) = listing.piece() {
                first.get_or_insert(n);
                longest = longest.max(piece.len());
                whole.push_str(&piece);
            }
        }
        let rest = listing.finish();
        assert!(first.unwrap() < 2_000 && longest < 70_000 && rest.len() < 70_000, "{first:?} {longest}");
        whole.push_str(&rest);
        match format {
            Format::Plain => {
                assert_eq!(whole.lines().count(), ROWS + 1);
                // Wider than any of the first ones, and still one cell of one line.
                assert!(whole.lines().last().unwrap().starts_with("*     10.23.111.0/24  -   10.0.0.2"));
            }
            Format::Json => {
                let read: serde_json::Value = serde_json::from_str(&whole).unwrap();
                assert_eq!(read["paths"].as_array().unwrap().len(), ROWS);
                assert_eq!(read["paths"][ROWS - 1]["nlri"], "10.23.111.0/24");
            }
        }
    }
}

/// One with everything, and one without anything but a refusal.
fn statements() -> Vec<v1::PolicyStatement> {
    let set = |name: &str, how: v1::SetMatchKind| Some(v1::SetMatch { set: name.into(), how: how.into() });
    let change = |replaces, remove: &[&str], add: &[&str]| {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Some(v1::CommunityChange { replaces, replace: vec![], remove: list(remove), add: list(add) })
    };
    let first = v1::PolicyStatement {
        name: "lab".into(),
        conditions: Some(v1::PolicyConditions {
            prefix_set: set("lab", v1::SetMatchKind::Any),
            as_path_set: set("via-7", v1::SetMatchKind::Invert),
            community_set: set("blue", v1::SetMatchKind::All),
            family: "ipv4-unicast".into(),
            as_path_length: "1-3".into(),
            source: v1::RouteSource::External.into(),
            ..Default::default()
        }),
        actions: Some(v1::PolicyActions {
            local_pref: Some(200),
            med: "+10".into(),
            prepend: Some(v1::PolicyPrepend { asn: 0, count: 2 }),
            communities: change(true, &["65000:*"], &["65000:7", "no-export"]),
            next_hop: "self".into(),
            ..Default::default()
        }),
        then: v1::PolicyThen::Accept.into(),
    };
    let last = v1::PolicyStatement { then: v1::PolicyThen::Reject.into(), ..Default::default() };
    vec![first, last]
}

fn policy() -> v1::GetPolicyResponse {
    let range = v1::PrefixRange { prefix: "10.1.0.0/16".into(), ge: Some(24), le: Some(28), covering: false };
    let values = |name: &str, members: &[&str]| v1::ValueSet {
        name: name.into(),
        members: members.iter().map(|text| (*text).to_owned()).collect(),
    };
    let configured = v1::PolicyConfig {
        prefix_sets: vec![v1::PrefixSet { name: "lab".into(), prefixes: vec![range] }],
        as_path_sets: vec![values("via-7", &["_7_"])],
        community_sets: vec![values("blue", &["65000:100", "no-export"])],
        policies: vec![v1::Policy { name: "from-spine".into(), statements: statements() }],
        ..Default::default()
    };
    let ranges = v1::PrefixRange { prefix: "172.18.0.10/32".into(), covering: true, ..Default::default() };
    let protected = v1::PolicyStatement {
        name: "protected-prefix".into(),
        conditions: Some(v1::PolicyConditions {
            prefix_set: Some(v1::SetMatch { set: "sart:protected-prefixes".into(), how: 0 }),
            ..Default::default()
        }),
        then: v1::PolicyThen::Reject.into(),
        ..Default::default()
    };
    let generated = v1::PolicyConfig {
        prefix_sets: vec![v1::PrefixSet { name: "sart:protected-prefixes".into(), prefixes: vec![ranges] }],
        policies: vec![v1::Policy { name: "sart:node-import".into(), statements: vec![protected] }],
        ..Default::default()
    };
    let chain = |policies: &[&str], end: &str| {
        let policies = policies.iter().map(|name| (*name).to_owned()).collect();
        Some(v1::EffectiveChain { policies, end: end.into() })
    };
    let neighbor = v1::NeighborPolicy {
        address: "10.0.0.2".into(),
        name: "spine0".into(),
        import: chain(&["sart:node-import", "from-spine"], "reject"),
        export: chain(&[], "reject (no policy, RFC 8212)"),
    };
    v1::GetPolicyResponse {
        configured: Some(configured),
        generated: Some(generated),
        neighbors: vec![neighbor],
    }
}

#[test]
fn policies_sets_and_chains_in_both_formats() {
    for format in [Format::Plain, Format::Json] {
        insta::assert_snapshot!(policy::policies(&policy(), None, format).unwrap());
        insta::assert_snapshot!(policy::sets(&policy(), format).unwrap());
        insta::assert_snapshot!(policy::chains(&policy().neighbors, format).unwrap());
    }
    let one = policy::policies(&policy(), Some("from-spine"), Format::Plain).unwrap();
    assert_eq!(one.lines().count(), 3, "{one}");
    let error = policy::policies(&policy(), Some("nobody"), Format::Plain).unwrap_err().to_string();
    assert_eq!(error, "no policy nobody; `sart bgp policy` shows which there are");
}

#[test]
fn a_chain_changes_by_what_is_given_and_none_takes_it_away() {
    use crate::args::ChainDefault::{Accept, Reject};
    let chain = |names: &[&str], default: v1::PolicyDefault| {
        let policies = names.iter().map(|name| (*name).to_owned()).collect();
        Some(v1::PolicyChain { policies, default: default.into() })
    };
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let old = || chain(&["a"], v1::PolicyDefault::Accept);
    assert_eq!(policy::changed(old(), None, None), old());
    assert_eq!(policy::changed(None, None, None), None);
    assert_eq!(
        policy::changed(old(), names(&["b", "c"]), None),
        chain(&["b", "c"], v1::PolicyDefault::Accept)
    );
    assert_eq!(policy::changed(old(), None, Some(Reject)), chain(&["a"], v1::PolicyDefault::Reject));
    assert_eq!(policy::changed(old(), names(&["none"]), None), None);
    assert_eq!(policy::changed(None, None, Some(Accept)), chain(&[], v1::PolicyDefault::Accept));
    assert_eq!(policy::changed(old(), names(&["none"]), Some(Accept)), chain(&[], v1::PolicyDefault::Accept));
}

#[test]
fn each_event_of_a_watch_is_one_line() {
    use v1::{best_path_event, neighbor_event};
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let neighbor = |event| v1::NeighborEvent { event: Some(event) };
    let path = |hops: &[&str]| {
        let hop = |address: &&str| v1::BestNextHop { address: (*address).to_owned(), weight: 1 };
        let next_hops = hops.iter().map(hop).collect();
        let path = v1::BestPath { prefix: "10.1.0.0/24".into(), next_hops, internal: true };
        v1::BestPathEvent { event: Some(best_path_event::Event::Path(path)) }
    };
    let neighbors = [
        neighbor(neighbor_event::Event::Neighbor(neighbors().remove(0))),
        neighbor(neighbor_event::Event::Neighbor(neighbors().remove(1))),
        neighbor(neighbor_event::Event::DeletedAddress("10.0.0.2".into())),
        neighbor(neighbor_event::Event::Synced(true)),
    ];
    let synced = v1::BestPathEvent { event: Some(best_path_event::Event::EndOfRib(true)) };
    let paths = [path(&["10.0.0.2", "10.0.0.3"]), path(&[]), synced];
    for format in [Format::Plain, Format::Json] {
        let lines = neighbors.iter().map(|event| watch::neighbor_line(event, format, now).unwrap().unwrap());
        let lines =
            lines.chain(paths.iter().map(|event| watch::path_line(event, format, now).unwrap().unwrap()));
        let lines: Vec<String> = lines.collect();
        assert!(lines.iter().all(|line| line.ends_with('\n') && line.matches('\n').count() == 1));
        insta::assert_snapshot!(lines.concat());
    }
}

#[test]
fn setting_one_switch_keeps_the_others() {
    let set = SetArgs { multi_path: Some(false), ..SetArgs::default() };
    assert_eq!(changed(global(), &set), v1::Global { multipath: Some(false), ..global() });
    let set = SetArgs { reject_as_sets: Some(true), ..SetArgs::default() };
    assert_eq!(changed(global(), &set), v1::Global { reject_as_sets: true, ..global() });
}

#[test]
fn a_speaker_that_gets_its_identity_by_hand_follows_the_rfc() {
    let set = SetArgs { asn: Some(65000), router_id: Some([10, 0, 0, 1].into()), ..SetArgs::default() };
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
