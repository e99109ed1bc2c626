use sart_bgp::policy::{PolicyConfig, PrefixRange};
use sart_rpc::v1;

use super::{policy_config, policy_config_text};

fn ranges(texts: &[v1::PrefixRange]) -> Vec<PrefixRange> {
    let set = v1::PrefixSet { name: "s".into(), prefixes: texts.to_vec() };
    let config = policy_config(&v1::PolicyConfig { prefix_sets: vec![set], ..Default::default() }).unwrap();
    config.sets.prefixes[0].members.clone()
}

#[test]
fn prefix_ranges_print_as_they_were_written() {
    let written = |ge, le| v1::PrefixRange { prefix: "10.0.0.0/8".into(), ge, le, covering: false };
    let texts = [
        written(None, None),
        written(Some(9), None),
        written(None, Some(9)),
        written(Some(9), Some(10)),
        v1::PrefixRange { covering: true, ..written(None, Some(32)) },
    ];
    let read = ranges(&texts);
    let lengths: Vec<_> = read.iter().map(|range| (range.ge, range.le)).collect();
    assert_eq!(lengths, [(8, 8), (9, 32), (8, 9), (9, 10), (8, 32)]);
    let config = policy_config(&v1::PolicyConfig {
        prefix_sets: vec![v1::PrefixSet { name: "s".into(), prefixes: texts.to_vec() }],
        ..Default::default()
    });
    assert_eq!(policy_config_text(&config.unwrap()).prefix_sets[0].prefixes, texts);
}

#[test]
fn an_enumeration_value_that_is_not_known_is_refused_by_field() {
    let statement = |change: fn(&mut v1::PolicyStatement)| {
        let mut statement =
            v1::PolicyStatement { conditions: Some(v1::PolicyConditions::default()), ..Default::default() };
        change(&mut statement);
        let policy = v1::Policy { name: "p".into(), statements: vec![statement] };
        policy_config(&v1::PolicyConfig { policies: vec![policy], ..Default::default() })
    };
    assert_eq!(statement(|_| {}).map(|config| config.policies.len()), Ok(1));
    type Change = fn(&mut v1::PolicyStatement);
    let cases: [(Change, &str); 3] = [
        (|statement| statement.then = 9, "policies[p].statements[0].then"),
        (
            |statement| statement.conditions.as_mut().unwrap().source = 9,
            "policies[p].statements[0].match.source",
        ),
        (
            |statement| {
                let set = v1::SetMatch { set: "s".into(), how: 9 };
                statement.conditions.as_mut().unwrap().source_set = Some(set);
            },
            "policies[p].statements[0].match.source_set.how",
        ),
    ];
    for (change, field) in cases {
        let error = statement(change).unwrap_err();
        assert_eq!((error.field.as_str(), error.value.as_str()), (field, "9"));
    }
}

#[test]
fn no_policy_is_no_policy() {
    assert_eq!(policy_config(&v1::PolicyConfig::default()), Ok(PolicyConfig::default()));
    assert_eq!(policy_config_text(&PolicyConfig::default()), v1::PolicyConfig::default());
}
