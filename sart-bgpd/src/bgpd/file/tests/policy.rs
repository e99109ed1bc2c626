//! Policies of the file: every key is understood, every fault named, and RFC 8212 decides where it should.

use sart_bgp::policy::{DefaultAction, MatchKind, MedChange};

use super::refuse;
use crate::bgpd::file::{Overrides, parse};
use crate::bgpd::policy::{policy_config, policy_config_text};

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

/// What is written, what is written wrongly in its place, and the field and the problem named then.
const FAULTS: [(&str, &str, &str); 26] = [
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
    ("origin: igp", "origin: sun", "policies[from-spines].statements[0].match.origin: `sun` is not one of"),
    ("+10", "x10", "policies[from-spines].statements[0].set.med: `x10` is not a number"),
    ("count: 2", "count: 33", "policies[from-spines].statements[0].set.prepend.count: `33` must be 1 to 32"),
    (
        "add: [65000:7]",
        "add: ['65000:*']",
        "policies[from-spines].statements[0].set.communities.add: `65000:*`",
    ),
    ("next_hop: 10.0.0.9", "next_hop: here", "policies[to-spines].statements[0].set.next_hop: `here` is not"),
    (
        "next_hop: 10.0.0.9",
        "next_hop: 0.0.0.0",
        "policies[to-spines].statements[0].set.next_hop: `0.0.0.0` must",
    ),
    ("next_hop: peer", "next_hop: self", "neighbors[10.0.0.2].import.policies: `from-spines` sets next_hop"),
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
];

#[test]
fn every_fault_of_a_policy_names_line_and_field() {
    for (from, to, wanted) in FAULTS {
        assert_eq!(POLICIES.matches(from).count(), 1, "{from}");
        let line = POLICIES.lines().position(|line| line.contains(from)).unwrap() + 1;
        // What a chain cannot do is said of the chain.
        let line = if wanted.starts_with("neighbors[10.0.0.2].import.policies") { 6 } else { line };
        let refusal = refuse(&POLICIES.replace(from, to));
        assert!(
            refusal.starts_with(&format!("{line}: {wanted}")),
            "wanted {line}: {wanted}\ngot    {refusal}"
        );
    }
}
