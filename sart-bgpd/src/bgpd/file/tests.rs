mod policy;

use super::*;
use sart_bgp::config::DecisionRules;
use sart_bgp::config::TransitPolicy;
use sart_bgp::wire::attr::Origin;

const SAMPLE: &str = "\
asn: 65000
router_id: 10.0.0.1
fib_endpoint: 127.0.0.1:5010
multi_path: true
neighbors:
  - name: spine0
    asn: 65001
    address: 10.0.0.2
    router_id: 10.0.0.2
    hold_time: 9
    groups: [to-spine0]
  - asn: 65002
    address: fd00::2
    passive: true
paths:
  - prefixes:
      - 10.69.0.0/24
      - 10.70.0.0/24
    attributes:
      - origin: igp
      - local_pref: 300
  - prefixes: [10.71.0.0/24]
";

fn refuse(text: &str) -> String {
    let fault = parse(text, Overrides::default()).unwrap_err();
    format!("{}: {}: {}", fault.line, fault.field, fault.problem)
}

#[test]
fn upstreams_keys_are_understood_and_the_default_is_the_rfcs() {
    let loaded = parse(SAMPLE, Overrides::default()).unwrap();
    let config = loaded.config;
    assert_eq!((config.global.asn, config.global.decision.multipath), (65000, true));
    assert_eq!(config.global.transit, TransitPolicy::Full);
    assert!(config.global.import.accept_all);
    assert_eq!(config.neighbors[0].name, "spine0");
    assert_eq!(config.neighbors[0].hold_time, Some(9));
    assert_eq!(config.neighbors[1].name, "fd00::2");
    assert!(config.neighbors[1].passive);
    assert_eq!(config.paths.len(), 3);
    assert_eq!(config.paths[0].origin, Origin::Igp);
    assert_eq!(config.paths[1].local_pref, Some(300));
    assert_eq!(config.paths[2].local_pref, None);
    assert_eq!(loaded.warnings.len(), 2);
    assert!(loaded.warnings[0].starts_with("line 3: fib_endpoint is ignored"), "{:?}", loaded.warnings);
    assert!(
        loaded.warnings[1].starts_with("neighbors of other ASes without policy: 2"),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn flags_replace_the_files_identity() {
    let overrides = Overrides { asn: Some(65010), router_id: Some(Ipv4Addr::new(10, 9, 9, 9)) };
    let config = parse("neighbors: []\n", overrides).unwrap().config;
    assert_eq!((config.global.asn, config.global.router_id), (65010, Ipv4Addr::new(10, 9, 9, 9)));
}

#[test]
fn next_hops_are_tracked_only_where_the_file_says_so() {
    let base = "asn: 1\nrouter_id: 1.1.1.1\n";
    let tracked = |text: &str| parse(text, Overrides::default()).unwrap().config.global.track_next_hops;
    assert!(!tracked(base));
    assert!(tracked(&format!("{base}track_next_hops: true\n")));
    assert!(refuse(&format!("{base}track_next_hops: maybe\n")).starts_with("3: track_next_hops: "));
}

#[test]
fn import_ranges_and_transit_narrow_the_default() {
    let text = "asn: 1\nrouter_id: 1.1.1.1\nimport_ranges: [10.0.0.0/8]\ntransit: local_only\n";
    let global = parse(text, Overrides::default()).unwrap().config.global;
    assert!(!global.import.accept_all);
    assert_eq!(global.import.ranges, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(global.transit, TransitPolicy::LocalOnly);
}

#[test]
fn criterion_9_a_key_comes_from_the_file_or_another_one_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "open sesame\n").unwrap();
    let head = "asn: 1\nrouter_id: 1.1.1.1\nneighbors:\n  - asn: 2\n    address: 10.0.0.2\n";
    for line in ["password: open sesame".to_owned(), format!("password_file: {}", key.display())] {
        let config = parse(&format!("{head}    {line}\n"), Overrides::default()).unwrap().config;
        let password = config.neighbors[0].transport.password.clone().unwrap();
        assert_eq!(password.expose(), b"open sesame");
        assert!(!format!("{config:?}").contains("sesame"));
    }
    let long = format!("{head}    password: {}\n", "sesame".repeat(20));
    let refusal = refuse(&long);
    assert!(refusal.starts_with("6: neighbors[10.0.0.2].password: `(not shown)` must have"), "{refusal}");
    let missing = refuse(&format!("{head}    password_file: /nonexistent/key\n"));
    assert!(missing.starts_with("6: neighbors[10.0.0.2].password_file: cannot read"), "{missing}");
}

#[test]
fn how_a_neighbor_is_reached_and_what_it_is_offered_is_understood() {
    let text = "asn: 1\nrouter_id: 1.1.1.1\nneighbors:\n  - asn: 2\n    address: fd00::2\n    \
        local_address: fd00::1\n    ttl_security: 2\n    send_hold_time: 30\n    extended_messages: true\n    \
        extended_next_hop: true\n    add_path: {receive: true, send: 4}\n    role: customer\n    \
        families: [ipv4-unicast, ipv6-unicast]\n";
    let neighbor = &parse(text, Overrides::default()).unwrap().config.neighbors[0];
    assert_eq!((neighbor.transport.least_ttl(), neighbor.transport.send_ttl()), (Some(254), Some(255)));
    assert_eq!(neighbor.transport.send_hold(90).unwrap().as_secs(), 30);
    assert_eq!(
        (neighbor.features.add_path_send, neighbor.features.role.unwrap().to_string()),
        (4, "customer".into())
    );
    assert_eq!(neighbor.families.len(), 2);
    let wrong = refuse(&text.replace("role: customer", "role: king"));
    assert!(wrong.contains("neighbors[fd00::2].role: `king` is not one of"), "{wrong}");
    let both = refuse(&text.replace("ttl_security: 2", "ttl_security: 2\n    ttl: 3"));
    assert!(both.contains("neighbors[fd00::2].ttl: `3` contradicts ttl_security"), "{both}");
}

#[test]
fn the_knobs_of_the_decision_and_of_a_route_reflector_are_understood() {
    let head = "asn: 1\nrouter_id: 1.1.1.1\n";
    let plain = parse(head, Overrides::default()).unwrap().config.global;
    assert_eq!((plain.decision, plain.cluster_id), (DecisionRules::default(), None));
    let text = format!(
        "{head}multi_path: true\nmax_paths: 4\nmulti_path_relax: false\nalways_compare_med: true\n\
        deterministic_med: false\nmissing_med_as_worst: true\nprefer_oldest: true\ncluster_id: 9.9.9.9\n\
        neighbors:\n  - {{asn: 1, address: 10.0.0.2, route_reflector_client: true}}\n"
    );
    let config = parse(&text, Overrides::default()).unwrap().config;
    let wanted = DecisionRules {
        multipath: true,
        max_paths: 4,
        relax: false,
        prefer_oldest: true,
        always_compare_med: true,
        deterministic_med: false,
        missing_med_as_worst: true,
    };
    assert_eq!((config.global.decision, config.global.cluster_id), (wanted, Some([9, 9, 9, 9].into())));
    assert!(config.neighbors[0].reflector_client);
    for (old, new, refusal) in [
        ("max_paths: 4", "max_paths: 0", "4: max_paths: `0` must be 1 to 255"),
        ("max_paths: 4", "max_paths: 256", "4: max_paths: "),
        (
            "always_compare_med: true",
            "always_compare_med: false",
            "7: deterministic_med: `false` excludes multipath",
        ),
        ("always_compare_med: true", "always_compare_med: 1", "6: always_compare_med: "),
        ("multi_path_relax: false", "multi_path_relax: so", "5: multi_path_relax: "),
        ("missing_med_as_worst: true", "missing_med_as_worst: so", "8: missing_med_as_worst: "),
        ("cluster_id: 9.9.9.9", "cluster_id: nine", "10: cluster_id: `nine` is not a router id"),
        ("cluster_id: 9.9.9.9", "cluster_id: 0.0.0.0", "10: cluster_id: `0.0.0.0` must not be 0.0.0.0"),
        (
            "asn: 1, address",
            "asn: 2, address",
            "12: neighbors[10.0.0.2].route_reflector_client: `true` is only for",
        ),
    ] {
        let found = refuse(&text.replace(old, new));
        assert!(found.starts_with(refusal), "wanted {refusal}\ngot    {found}");
    }
}

#[test]
fn criterion_16_first_as_and_as_sets_are_refused_only_where_the_file_says_so() {
    let head = "asn: 1\nrouter_id: 1.1.1.1\n";
    let text = format!(
        "{head}reject_as_sets: true\nneighbors:\n  - {{asn: 2, address: 10.0.0.2, enforce_first_as: true}}\n  - \
        {{asn: 3, address: 10.0.0.3}}\n"
    );
    let config = parse(&text, Overrides::default()).unwrap().config;
    let enforced: Vec<_> = config.neighbors.iter().map(|neighbor| neighbor.enforce_first_as).collect();
    assert_eq!((config.global.reject_as_sets, enforced), (true, vec![true, false]));
    assert!(!parse(head, Overrides::default()).unwrap().config.global.reject_as_sets);
    for (old, new, refusal) in [
        ("reject_as_sets: true", "reject_as_sets: so", "3: reject_as_sets: "),
        ("enforce_first_as: true", "enforce_first_as: so", "5: "),
        (
            "asn: 2",
            "asn: 1",
            "5: neighbors[10.0.0.2].enforce_first_as: `true` is only for a neighbor of another",
        ),
    ] {
        let found = refuse(&text.replace(old, new));
        assert!(found.starts_with(refusal), "wanted {refusal}\ngot    {found}");
    }
}

#[test]
fn a_neighbors_limits_and_timers_are_understood() {
    let text = "asn: 1\nrouter_id: 1.1.1.1\nprefer_oldest: true\nnext_hop_metrics: [{address: 10.0.0.2, metric: 7}]\n\
        neighbors:\n  - asn: 2\n    address: 10.0.0.2\n    hold_time: 0\n    connect_retry: 60\n    \
        shutdown: under repair\n    prefix_limit: {max: 1000, restart: 30}\n    export_limit: 50\n";
    let config = parse(text, Overrides::default()).unwrap().config;
    assert!(config.global.decision.prefer_oldest);
    assert_eq!(config.global.next_hop_metrics.into_iter().collect::<Vec<_>>(), [([10, 0, 0, 2].into(), 7)]);
    let neighbor = &config.neighbors[0];
    assert_eq!((neighbor.hold_time, neighbor.connect_retry), (Some(0), 60));
    assert_eq!(neighbor.shutdown.as_deref(), Some("under repair"));
    assert_eq!(neighbor.export_limit, Some(50));
    let limit = neighbor.prefix_limit.unwrap();
    assert_eq!((limit.max, limit.warn_percent, limit.restart), (1000, 80, Some(30)));
    for (value, refusal) in
        [("0", "12: neighbors[10.0.0.2].export_limit: `0` must be"), ("few", "12: export_limit: ")]
    {
        let found = refuse(&text.replace("export_limit: 50", &format!("export_limit: {value}")));
        assert!(found.starts_with(refusal), "{found}");
    }
}

#[test]
fn every_fault_names_line_and_field() {
    let head = "asn: 65000\nrouter_id: 10.0.0.1\n";
    let peer = "neighbors:\n  - asn: 65001\n    address: 10.0.0.2\n";
    for (text, wanted) in [
        ("router_id: 10.0.0.1\n".to_owned(), "1: asn: missing"),
        ("asn: 65000\n".to_owned(), "1: router_id: missing"),
        ("asn: 0\nrouter_id: 10.0.0.1\n".to_owned(), "1: asn: `0` must be"),
        ("asn: 65000\nrouter_id: x\n".to_owned(), "2: router_id: `x` is not a router id"),
        ("router_id: 10.0.0.1\nasn: many\n".to_owned(), "2: asn: "),
        (format!("{head}colour: red\n"), "3: colour: "),
        (format!("{head}asn: 2\n"), "3: asn: "),
        (format!("{head}transit: half\n"), "3: transit: `half` is not one of full, local_only"),
        (
            format!("{head}import_ranges:\n  - 10.0.0.0/33\n"),
            "4: import_ranges: `10.0.0.0/33` is not a prefix",
        ),
        (
            format!("{head}import_ranges:\n  - 10.0.0.1/8\n"),
            "4: import_ranges: `10.0.0.1/8` must have no bits",
        ),
        (format!("{head}{peer}    hold_time: 2\n"), "6: neighbors[10.0.0.2].hold_time: `2` must be 0"),
        (
            format!("{head}{peer}    prefix_limit: {{max: 9, warn_percent: 0}}\n"),
            "6: neighbors[10.0.0.2].prefix_limit.warn_percent: `0` must be 1 to 100",
        ),
        (format!("{head}{peer}    prefix_limit: {{warn_percent: 5}}\n"), "6: "),
        (
            format!(
                "{head}next_hop_metrics:\n  - {{address: ::1, metric: 1}}\n  - {{address: ::1, metric: 1}}\n"
            ),
            "5: next_hop_metrics[].address: `::1` is given twice",
        ),
        (format!("{head}{peer}    holdtime: 2\n"), "6: holdtime: "),
        (
            format!("{head}{peer}  - asn: 1\n    address: 10.0.0.2\n"),
            "7: neighbors[].address: `10.0.0.2` is given twice",
        ),
        (format!("{head}neighbors:\n  - asn: 1\n    address: ten\n"), "5: neighbors[].address: `ten` is not"),
        (format!("{head}neighbors:\n  - address: 10.0.0.2\n"), "4: "),
        (
            format!("{head}paths:\n  - prefixes: [10.0.0.1/24]\n"),
            "4: paths[].prefix: `10.0.0.1/24` must have no",
        ),
        (
            format!("{head}paths:\n  - prefixes:\n      - 1.0.0.0/8\n      - 1.0.0.0/8\n"),
            "6: paths[].prefix: `1.0.0.0/8` is given twice",
        ),
        (
            format!("{head}paths:\n  - prefixes: [1.0.0.0/8]\n    attributes:\n      - origin: heaven\n"),
            "6: paths[].attributes[].origin: `heaven` is not one of igp, egp, incomplete",
        ),
        (format!("{head}neighbors: {{\n"), "3: "),
        (format!("{head}\tneighbors: []\n"), "2: router_id: "),
    ] {
        let refusal = refuse(&text);
        assert!(refusal.starts_with(wanted), "{text}\nwanted {wanted}\ngot    {refusal}");
        assert!(!refusal.contains('\n'), "one line: {refusal}");
        assert_eq!(refusal.splitn(3, ": ").count(), 3, "line, field and problem: {refusal}");
    }
}

#[test]
fn criterion_37_the_log_level_of_the_file_is_known_or_refused_with_its_line() {
    let head = "asn: 1\nrouter_id: 1.1.1.1\n";
    let level = |text: &str| parse(text, Overrides::default()).unwrap().log_level;
    assert_eq!(level(head), None);
    assert_eq!(level(&format!("{head}log_level: info,sart_bgpd=debug\n")).unwrap(), "info,sart_bgpd=debug");
    let refusal = refuse(&format!("{head}log_level: loud\n"));
    assert!(refusal.starts_with("3: log_level: `loud` is not one of error, warn"), "{refusal}");
}

#[test]
fn the_file_is_named() {
    let error = load(Path::new("/nonexistent/bgp.yaml"), Overrides::default()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nonexistent/bgp.yaml: "));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bgp.yaml");
    std::fs::write(&path, "asn: 0\nrouter_id: 1.1.1.1\n").unwrap();
    let error = load(&path, Overrides::default()).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}:1: asn: `0` must be", path.display())));
    assert_eq!(error.reason(), "InvalidField");
}
