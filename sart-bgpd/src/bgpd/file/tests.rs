use super::*;
use sart_bgp::config::TransitPolicy;
use sart_bgp::policy::{DefaultAction, MatchKind, MedChange};
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
    assert_eq!((config.global.asn, config.global.multipath), (65000, true));
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
fn import_ranges_and_transit_narrow_the_default() {
    let text = "asn: 1\nrouter_id: 1.1.1.1\nimport_ranges: [10.0.0.0/8]\ntransit: local_only\n";
    let global = parse(text, Overrides::default()).unwrap().config.global;
    assert!(!global.import.accept_all);
    assert_eq!(global.import.ranges, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(global.transit, TransitPolicy::LocalOnly);
}

#[test]
fn a_neighbors_limits_and_timers_are_understood() {
    let text = "asn: 1\nrouter_id: 1.1.1.1\nprefer_oldest: true\nnext_hop_metrics: [{address: 10.0.0.2, metric: 7}]\n\
        neighbors:\n  - asn: 2\n    address: 10.0.0.2\n    hold_time: 0\n    connect_retry: 60\n    \
        shutdown: under repair\n    prefix_limit: {max: 1000, restart: 30}\n";
    let config = parse(text, Overrides::default()).unwrap().config;
    assert!(config.global.prefer_oldest);
    assert_eq!(config.global.next_hop_metrics.into_iter().collect::<Vec<_>>(), [([10, 0, 0, 2].into(), 7)]);
    let neighbor = &config.neighbors[0];
    assert_eq!((neighbor.hold_time, neighbor.connect_retry), (Some(0), 60));
    assert_eq!(neighbor.shutdown.as_deref(), Some("under repair"));
    let limit = neighbor.prefix_limit.unwrap();
    assert_eq!((limit.max, limit.warn_percent, limit.restart), (1000, 80, Some(30)));
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

const POLICIES: &str = "\
asn: 65000
router_id: 10.0.0.1
neighbors:
  - asn: 65001
    address: 10.0.0.2
    import: {policies: [from-spines], default: reject}
    export: {policies: [to-spines]}
  - asn: 65002
    address: 10.0.0.3
defined_sets:
  prefix_sets:
    - name: lab
      prefixes:
        - {prefix: 10.1.0.0/16, ge: 24, le: 28}
        - prefix: 10.2.0.0/16
  as_path_sets: [{name: via-7, members: [_7_, ^65001_]}]
  community_sets: [{name: blue, members: [65000:100, no-export]}]
  ext_community_sets: [{name: target, members: ['rt:65000:1', 0x0002fde800000064]}]
  large_community_sets: [{name: large, members: [65000:1:*]}]
  next_hop_sets: [{name: hops, members: [10.0.0.2, 10.0.0.0/24]}]
  neighbor_sets: [{name: spines, members: [10.0.0.2]}]
policies:
  - name: from-spines
    statements:
      - name: lab
        match:
          prefix_set: {set: lab}
          as_path_set: {set: via-7, how: invert}
          community_set: {set: blue, how: all}
          ext_community_set: {set: target}
          large_community_set: {set: large}
          next_hop_set: {set: hops}
          neighbor_set: {set: spines}
          family: ipv4-unicast
          as_path_length: 1-3
          source: external
          origin: igp
        set:
          local_pref: 200
          med: +10
          prepend: {count: 2}
          origin: incomplete
          communities: {replace: [], add: [65000:7], remove: ['65000:*']}
          ext_communities: {add: ['rt:65000:2']}
          large_communities: {add: [65000:1:1]}
          next_hop: peer
        then: accept
  - name: to-spines
    statements:
      - set: {med: 7, next_hop: 10.0.0.9}
        then: accept
";

#[test]
fn every_key_of_a_policy_is_understood_and_prints_as_it_reads() {
    use crate::bgpd::policy::{policy_config, policy_config_text};
    let loaded = parse(POLICIES, Overrides::default()).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let config = loaded.config;
    assert_eq!(config.check(), Ok(()));
    let import = config.neighbors[0].import.as_ref().unwrap();
    assert_eq!(
        (import.policies.as_slice(), import.default),
        (&["from-spines".to_owned()][..], DefaultAction::Reject)
    );
    let statement = &config.policy.policies[0].statements[0];
    assert_eq!(statement.actions.med, Some(MedChange::Add(10)));
    assert_eq!(statement.actions.communities.replace, Some(vec![]));
    assert_eq!(statement.conditions.as_path_set.as_ref().unwrap().how, MatchKind::Invert);
    assert_eq!(config.policy.sets.prefixes[0].members[0].ge, 24);
    assert_eq!(policy_config(&policy_config_text(&config.policy)), Ok(config.policy));
}

#[test]
fn a_file_that_names_policies_gets_rfc_8212_and_one_that_does_not_a_warning() {
    let requires = |text: &str| {
        let loaded = parse(text, Overrides::default()).unwrap();
        (
            loaded.config.global.ebgp_requires_policy,
            loaded.warnings.iter().any(|text| text.contains("RFC 8212")),
        )
    };
    let head = "asn: 65000\nrouter_id: 10.0.0.1\n";
    let peer = "neighbors:\n  - asn: 65001\n    address: 10.0.0.2\n";
    let with_chain = format!("{head}{peer}    import: {{default: accept}}\n");
    assert_eq!(requires(&format!("{head}{peer}")), (false, true));
    assert_eq!(requires(&with_chain), (true, false));
    assert_eq!(requires(&format!("{with_chain}ebgp_requires_policy: false\n")), (false, false));
    assert_eq!(requires(&format!("{head}{peer}ebgp_requires_policy: true\n")), (true, false));
    assert_eq!(requires(&format!("{head}{peer}policies: []\n")), (true, false));
    assert_eq!(requires(&format!("{head}{peer}import_ranges: []\ntransit: local_only\n")), (false, false));
    assert_eq!(requires("asn: 1\nrouter_id: 10.0.0.1\n"), (false, false), "nobody to exchange with");
}

#[test]
fn every_fault_of_a_policy_names_line_and_field() {
    let wrong = |from: &str, to: &str| {
        assert_eq!(POLICIES.matches(from).count(), 1, "{from}");
        let line = POLICIES.lines().position(|line| line.contains(from)).unwrap() + 1;
        (line, refuse(&POLICIES.replace(from, to)))
    };
    for (from, to, wanted) in [
        (
            "10.1.0.0/16, ge",
            "10.1.0.0/99, ge",
            "defined_sets.prefix_sets[lab].prefix: `10.1.0.0/99` is not a prefix",
        ),
        (
            "10.1.0.0/16, ge",
            "10.1.0.1/16, ge",
            "defined_sets.prefix_sets[lab].prefix: `10.1.0.1/16` must have no",
        ),
        ("ge: 24", "ge: 8", "defined_sets.prefix_sets[lab].ge: `8` must not be shorter"),
        ("le: 28", "le: 33", "defined_sets.prefix_sets[lab].le: `33` must be between"),
        ("members: [_7_", "members: [_seven_", "defined_sets.as_path_sets[via-7].members: `_seven_` is not"),
        ("65000:100", "65000:x", "defined_sets.community_sets[blue].members: `65000:x` is not a community"),
        ("rt:65000:1'", "rt:65000'", "defined_sets.ext_community_sets[target].members: `rt:65000` is not"),
        ("65000:1:*", "65000:1", "defined_sets.large_community_sets[large].members: `65000:1` is not"),
        (
            "members: [10.0.0.2, ",
            "members: [10.0.0, ",
            "defined_sets.next_hop_sets[hops].members: `10.0.0` is not",
        ),
        ("name: to-spines", "name: from-spines", "policies[].name: `from-spines` is given twice"),
        ("name: to-spines", "name: 'sart:mine'", "policies[].name: `sart:mine` must not begin"),
        (
            "{set: lab}",
            "{set: lob}",
            "policies[from-spines].statements[0].match.prefix_set: `lob` is not the name",
        ),
        (
            "how: invert",
            "how: not",
            "policies[from-spines].statements[0].match.as_path_set.how: `not` is not one of",
        ),
        ("ipv4-unicast", "ipv4", "policies[from-spines].statements[0].match.family: `ipv4` is not one of"),
        ("1-3", "3-1", "policies[from-spines].statements[0].match.as_path_length: `3-1` must not end"),
        ("external", "outside", "policies[from-spines].statements[0].match.source: `outside` is not one of"),
        (
            "origin: igp",
            "origin: sun",
            "policies[from-spines].statements[0].match.origin: `sun` is not one of",
        ),
        ("+10", "x10", "policies[from-spines].statements[0].set.med: `x10` is not a number"),
        (
            "count: 2",
            "count: 33",
            "policies[from-spines].statements[0].set.prepend.count: `33` must be 1 to 32",
        ),
        (
            "add: [65000:7]",
            "add: ['65000:*']",
            "policies[from-spines].statements[0].set.communities.add: `65000:*`",
        ),
        (
            "next_hop: 10.0.0.9",
            "next_hop: here",
            "policies[to-spines].statements[0].set.next_hop: `here` is not",
        ),
        (
            "next_hop: 10.0.0.9",
            "next_hop: 0.0.0.0",
            "policies[to-spines].statements[0].set.next_hop: `0.0.0.0` must",
        ),
        (
            "next_hop: peer",
            "next_hop: self",
            "neighbors[10.0.0.2].import.policies: `from-spines` sets next_hop",
        ),
        (
            "[to-spines]}",
            "[to-moon]}",
            "neighbors[10.0.0.2].export.policies: `to-moon` is not the name of a policy",
        ),
        (
            "default: reject",
            "default: drop",
            "neighbors[10.0.0.2].import.default: `drop` is not one of reject, accept",
        ),
        ("med: 7", "mad: 7", "set: unknown field `mad`"),
    ] {
        let (line, refusal) = wrong(from, to);
        let line = if wanted.starts_with("neighbors[10.0.0.2].import.policies") { 6 } else { line };
        assert!(
            refusal.starts_with(&format!("{line}: {wanted}")),
            "wanted {line}: {wanted}\ngot    {refusal}"
        );
    }
}
