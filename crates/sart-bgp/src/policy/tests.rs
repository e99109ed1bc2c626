//! Patterns, texts and the order of things in a chain; everything else is compared with references.

use ipnet::IpNet;

use super::{
    Actions, AsPathPattern, Chain, ChainConfig, ChainOwner, CommunityPattern, Conditions, DefaultAction,
    Direction, ExtCommunityPattern, Facts, LargeCommunityPattern, MatchKind, NamedSet, NextHopAction,
    Policies, Policy, PolicyConfig, PrefixRange, RejectReason, SetMatch, Signature, Source, Statement, Then,
    Verdict, format_community, format_ext_community, format_large_community, parse_community,
    parse_ext_community, parse_large_community,
};
use crate::wire::attr::Attributes;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn owner(direction: Direction) -> ChainOwner {
    ChainOwner { neighbor: "192.0.2.1".parse().unwrap(), direction, own_asn: 65_000 }
}

fn one(statements: Vec<Statement>, default: DefaultAction) -> Chain {
    let config =
        PolicyConfig { policies: vec![Policy { name: "p".into(), statements }], ..PolicyConfig::default() };
    let chain = ChainConfig { policies: vec!["p".into()], default };
    Policies::new(&config).unwrap().chain(&chain, owner(Direction::Export), "chain").unwrap()
}

fn local(attributes: &Attributes) -> Facts<'_> {
    Facts { attributes, next_hop: None, source: Source::Local }
}

#[test]
fn an_underscore_stands_between_numbers_and_never_inside_one() {
    let paths = ["", "7", "65001", "65001 7", "7 65001", "17 71", "65001 {7,8} 9", "{7}"];
    for (pattern, matches) in [
        ("_7_", vec!["7", "65001 7", "7 65001", "65001 {7,8} 9", "{7}"]),
        ("^65001_", vec!["65001", "65001 7", "65001 {7,8} 9"]),
        ("_65001$", vec!["65001", "7 65001"]),
        ("^$", vec![""]),
        ("^[0-9]+$", vec!["7", "65001"]),
        ("^(7|17) ", vec!["7 65001", "17 71"]),
        ("\\{", vec!["65001 {7,8} 9", "{7}"]),
        ("^.* 9$", vec!["65001 {7,8} 9"]),
    ] {
        let compiled: AsPathPattern = pattern.parse().unwrap();
        let found: Vec<_> = paths.into_iter().filter(|path| compiled.matches(path)).collect();
        assert_eq!(found, matches, "{pattern}");
        assert_eq!(compiled.to_string(), pattern);
    }
}

#[test]
fn patterns_that_cannot_match_a_path_or_cost_too_much_are_refused() {
    for pattern in ["", "AS7", "[_7]", "(7", "(((\\d{1,99}){1,99}){1,99}){1,99}", "7\n", "(?i)7"] {
        assert!(pattern.parse::<AsPathPattern>().is_err(), "{pattern:?}");
    }
}

#[test]
fn communities_of_each_kind_read_back_as_printed() {
    for (text, value) in [("65000:100", 65_000 << 16 | 100), ("no-export", 0xffff_ff01), ("0:0", 0)] {
        assert_eq!((parse_community(text), format_community(value).as_str()), (Some(value), text));
    }
    assert_eq!(parse_community("65535:65281"), Some(0xffff_ff01), "a well-known one by its number");
    for (text, value) in [
        ("rt:65000:100", 0x0002_fde8_0000_0064),
        ("rt:70000:100", 0x0202_0001_1170_0064),
        ("soo:192.0.2.1:7", 0x0103_c000_0201_0007),
        ("0x4004fde800000064", 0x4004_fde8_0000_0064),
        // Four octets for a number that two would hold: the text of the other form must not stand for it.
        ("0x02020000fde80064", 0x0202_0000_fde8_0064),
    ] {
        assert_eq!((parse_ext_community(text), format_ext_community(value).as_str()), (Some(value), text));
    }
    assert_eq!(parse_large_community("65000:1:2"), Some([65_000, 1, 2]));
    assert_eq!(format_large_community(&[65_000, 1, 2]), "65000:1:2");
}

#[test]
fn what_is_no_community_is_refused() {
    for text in ["", "7", "65536:1", "1:65536", "1:2:3", "*:*", "1:+2", "no-such", "a:b", "2-1:3"] {
        assert_eq!(parse_community(text), None, "{text}");
    }
    for text in ["2-1:3", "x:*", "1:2-70000"] {
        assert!(text.parse::<CommunityPattern>().is_err(), "{text}");
    }
    for text in ["rt:1", "rt:1:2:3", "xx:1:2", "rt:70000:65536", "0x12", "rt:*:1", "0x+002fde800000064"] {
        assert_eq!(parse_ext_community(text), None, "{text}");
    }
    for text in ["1:2", "1:2:3:4", "1:*:3", "4294967296:1:1"] {
        assert_eq!(parse_large_community(text), None, "{text}");
    }
}

#[test]
fn patterns_take_ranges_and_both_forms_of_an_as_number() {
    let standard: CommunityPattern = "65000:100-199".parse().unwrap();
    let taken = [99, 100, 199, 200].map(|value| standard.matches(65_000 << 16 | value));
    assert_eq!(taken, [false, true, true, false]);
    let extended: ExtCommunityPattern = "rt:65000:100".parse().unwrap();
    assert!(extended.matches(0x0002_fde8_0000_0064) && extended.matches(0x0202_0000_fde8_0064));
    assert!(!extended.matches(0x0003_fde8_0000_0064), "a route origin is no route target");
    assert!(!extended.matches(0x0102_fde8_0000_0064), "nor is an address an AS");
    let any: ExtCommunityPattern = "rt:*:100".parse().unwrap();
    assert!(any.matches(0x0102_c000_0201_0064), "anybody's");
    let large: LargeCommunityPattern = "65000:*:1-3".parse().unwrap();
    assert!(large.matches(&[65_000, 9, 3]) && !large.matches(&[65_000, 9, 4]));
}

#[test]
fn statements_see_what_earlier_ones_changed_and_the_end_keeps_it() {
    let set = |local_pref| Actions { local_pref: Some(local_pref), ..Actions::default() };
    let incomplete =
        Conditions { origin: Some(crate::wire::attr::Origin::Incomplete), ..Conditions::default() };
    let mut first = set(1);
    first.origin = Some(crate::wire::attr::Origin::Incomplete);
    let statements = vec![
        Statement { actions: first, ..Statement::default() },
        Statement { conditions: incomplete, actions: set(2), ..Statement::default() },
    ];
    let attributes = Attributes::default();
    let Verdict::Accept(changes) =
        one(statements.clone(), DefaultAction::Accept).evaluate(&net("10.0.0.0/8"), &local(&attributes))
    else {
        panic!("the chain ends with accept");
    };
    assert_eq!(changes.local_pref, Some(2));
    let refused = one(statements, DefaultAction::Reject);
    let Verdict::Reject(rejection) = refused.evaluate(&net("10.0.0.0/8"), &local(&attributes)) else {
        panic!("the chain ends with reject");
    };
    assert_eq!((rejection.reason, rejection.step), (RejectReason::Default, None));
    assert_eq!(refused.explain(rejection), "default of the chain");
}

#[test]
fn a_refusal_names_its_statement() {
    let reject = |name: &str| Statement { name: name.into(), then: Then::Reject, ..Statement::default() };
    let attributes = Attributes::default();
    for (statement, words) in
        [(reject("never"), "policy p, statement never"), (reject(""), "policy p, statement 0")]
    {
        let chain = one(vec![statement], DefaultAction::Accept);
        let Verdict::Reject(rejection) = chain.evaluate(&net("::/0"), &local(&attributes)) else {
            panic!("it rejects everything");
        };
        assert_eq!((rejection.reason, chain.explain(rejection).as_str()), (RejectReason::Statement, words));
    }
}

#[test]
fn a_condition_about_the_neighbor_is_decided_when_the_chain_is_made() {
    let member = "192.0.2.1/32".parse().unwrap();
    let mut config = PolicyConfig::default();
    config.sets.neighbors.push(NamedSet { name: "n".into(), members: vec![member] });
    let statement = |how| {
        let neighbor_set = Some(SetMatch { set: "n".into(), how });
        let conditions = Conditions { neighbor_set, ..Conditions::default() };
        Statement { conditions, then: Then::Reject, ..Statement::default() }
    };
    config.policies.push(Policy { name: "any".into(), statements: vec![statement(MatchKind::Any)] });
    config.policies.push(Policy { name: "invert".into(), statements: vec![statement(MatchKind::Invert)] });
    let policies = Policies::new(&config).unwrap();
    let chain = |name: &str, neighbor: &str| {
        let chain = ChainConfig { policies: vec![name.into()], default: DefaultAction::Accept };
        let owner = ChainOwner { neighbor: neighbor.parse().unwrap(), ..owner(Direction::Export) };
        policies.chain(&chain, owner, "chain").unwrap()
    };
    assert!(chain("any", "192.0.2.2").trivial() && chain("invert", "192.0.2.1").trivial());
    assert!(!chain("any", "192.0.2.1").trivial() && !chain("invert", "192.0.2.2").trivial());
    assert_eq!(chain("any", "192.0.2.2"), chain("any", "192.0.2.3"), "neighbors that may share an answer");
    assert_ne!(chain("any", "192.0.2.1"), chain("any", "192.0.2.3"));
}

#[test]
fn a_direction_refuses_the_next_hops_it_cannot_have() {
    for (action, import, export) in [
        (NextHopAction::Own, false, true),
        (NextHopAction::Unchanged, false, true),
        (NextHopAction::Peer, true, false),
        (NextHopAction::Address("192.0.2.9".parse().unwrap()), true, true),
    ] {
        let actions = Actions { next_hop: Some(action), ..Actions::default() };
        let statements = vec![Statement { actions, ..Statement::default() }];
        let policy = Policy { name: "p".into(), statements };
        let config = PolicyConfig { policies: vec![policy], ..PolicyConfig::default() };
        let chain = ChainConfig { policies: vec!["p".into()], default: DefaultAction::Accept };
        let policies = Policies::new(&config).unwrap();
        let made = |direction| policies.chain(&chain, owner(direction), "chain").is_ok();
        assert_eq!((made(Direction::Import), made(Direction::Export)), (import, export), "{action:?}");
    }
}

#[test]
fn a_chain_about_too_many_prefix_sets_is_refused_not_cut() {
    let chain = |count: usize| {
        let mut config = PolicyConfig::default();
        let mut statements = Vec::new();
        for index in 0..count {
            let name = format!("s{index}");
            let prefix = net(&format!("10.{index}.0.0/16"));
            let set = NamedSet { name: name.clone(), members: vec![PrefixRange::exact(prefix)] };
            config.sets.prefixes.push(set);
            let prefix_set = Some(SetMatch { set: name, how: MatchKind::Any });
            let conditions = Conditions { prefix_set, ..Conditions::default() };
            statements.push(Statement { conditions, then: Then::Reject, ..Statement::default() });
        }
        config.policies.push(Policy { name: "p".into(), statements });
        let chain = ChainConfig { policies: vec!["p".into()], default: DefaultAction::Accept };
        Policies::new(&config).unwrap().chain(&chain, owner(Direction::Import), "chain")
    };
    let full = chain(Signature::MAX_SETS).unwrap();
    let attributes = Attributes::default();
    let last = net(&format!("10.{}.0.0/16", Signature::MAX_SETS - 1));
    assert!(matches!(full.evaluate(&last, &local(&attributes)), Verdict::Reject(_)));
    assert!(matches!(full.evaluate(&net("10.200.0.0/16"), &local(&attributes)), Verdict::Accept(_)));
    assert!(matches!(full.evaluate(&net("fd00::/16"), &local(&attributes)), Verdict::Accept(_)));
    let error = chain(Signature::MAX_SETS + 1).unwrap_err();
    assert_eq!((error.field.as_str(), error.value.as_str()), ("chain", "s127"));
}
