//! Sets, policies and chains of the file: the keys as written, and their values as the API would be given them, with the
//! line each stands on. Must never give a missing value a meaning.

use sart_bgp::config::ConfigError;
use sart_bgp::policy::{ChainConfig, PolicyConfig};
use sart_rpc::v1;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Fault, Marks};
use crate::bgpd::policy as text;

type Text = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSets {
    prefix_sets: Vec<RawPrefixSet>,
    as_path_sets: Vec<RawValueSet>,
    community_sets: Vec<RawValueSet>,
    ext_community_sets: Vec<RawValueSet>,
    large_community_sets: Vec<RawValueSet>,
    next_hop_sets: Vec<RawValueSet>,
    neighbor_sets: Vec<RawValueSet>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrefixSet {
    name: Text,
    prefixes: Vec<RawPrefixRange>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrefixRange {
    prefix: Text,
    ge: Option<Spanned<u32>>,
    le: Option<Spanned<u32>>,
    #[serde(default)]
    covering: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawValueSet {
    name: Text,
    members: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicy {
    name: Text,
    statements: Vec<RawStatement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatement {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "match")]
    conditions: RawConditions,
    #[serde(default)]
    set: RawActions,
    then: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConditions {
    prefix_set: Option<RawSetMatch>,
    family: Option<Text>,
    as_path_set: Option<RawSetMatch>,
    as_path_length: Option<Text>,
    community_set: Option<RawSetMatch>,
    ext_community_set: Option<RawSetMatch>,
    large_community_set: Option<RawSetMatch>,
    next_hop_set: Option<RawSetMatch>,
    neighbor_set: Option<RawSetMatch>,
    source_set: Option<RawSetMatch>,
    source: Option<Text>,
    origin: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSetMatch {
    set: Text,
    how: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawActions {
    local_pref: Option<u32>,
    med: Option<Text>,
    prepend: Option<RawPrepend>,
    origin: Option<Text>,
    communities: Option<RawChange>,
    ext_communities: Option<RawChange>,
    large_communities: Option<RawChange>,
    next_hop: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrepend {
    asn: Option<Spanned<u32>>,
    count: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawChange {
    replace: Option<Vec<Text>>,
    remove: Vec<Text>,
    add: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChain {
    #[serde(default)]
    policies: Vec<Text>,
    default: Option<Text>,
}

/// Sets and policies. Their lines go to `marks`, by which a fault found later is named.
pub(super) fn policy(
    sets: RawSets,
    policies: Vec<RawPolicy>,
    marks: &mut Marks,
) -> Result<PolicyConfig, Fault> {
    let config = v1::PolicyConfig {
        prefix_sets: sets.prefix_sets.into_iter().map(|set| prefix_set(set, marks)).collect(),
        as_path_sets: value_sets("as_path_sets", sets.as_path_sets, marks),
        community_sets: value_sets("community_sets", sets.community_sets, marks),
        ext_community_sets: value_sets("ext_community_sets", sets.ext_community_sets, marks),
        large_community_sets: value_sets("large_community_sets", sets.large_community_sets, marks),
        next_hop_sets: value_sets("next_hop_sets", sets.next_hop_sets, marks),
        neighbor_sets: value_sets("neighbor_sets", sets.neighbor_sets, marks),
        policies: policies
            .into_iter()
            .map(|policy| self::statements(policy, marks))
            .collect::<Result<_, _>>()?,
    };
    text::policy_config(&config).map_err(|error| marks.fault(ConfigError::from(error)))
}

/// A neighbour's chain; `field` is `neighbors[ADDRESS].import` or `.export`.
pub(super) fn chain(field: &str, raw: RawChain, marks: &mut Marks) -> Result<ChainConfig, Fault> {
    let policies = texts(marks, &format!("{field}.policies"), raw.policies);
    let default = match raw.default {
        None => v1::PolicyDefault::Reject,
        Some(default) => word(
            &format!("{field}.default"),
            &default,
            &[("reject", v1::PolicyDefault::Reject), ("accept", v1::PolicyDefault::Accept)],
        )?,
    };
    Ok(text::chain(&v1::PolicyChain { policies, default: default.into() }))
}

fn mark(marks: &mut Marks, field: impl Into<String>, text: Text) -> String {
    marks.add(field, &text.value, line(&text));
    text.value
}

fn optional(marks: &mut Marks, field: String, text: Option<Text>) -> String {
    text.map(|text| mark(marks, field, text)).unwrap_or_default()
}

fn texts(marks: &mut Marks, field: &str, list: Vec<Text>) -> Vec<String> {
    list.into_iter().map(|text| mark(marks, field, text)).collect()
}

fn number(marks: &mut Marks, field: String, number: Option<Spanned<u32>>) -> Option<u32> {
    number.map(|number| {
        marks.add(field, number.value, line(&number));
        number.value
    })
}

fn line<T>(raw: &Spanned<T>) -> u64 {
    raw.referenced.line()
}

/// One of a few words.
fn word<T: Copy>(field: &str, raw: &Text, words: &[(&str, T)]) -> Result<T, Fault> {
    let found = words.iter().find(|(word, _)| *word == raw.value).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let problem = format!("`{}` is not one of {}", raw.value, known.join(", "));
        Fault { line: line(raw), field: field.to_owned(), problem }
    })
}

fn prefix_set(raw: RawPrefixSet, marks: &mut Marks) -> v1::PrefixSet {
    let name = mark(marks, "defined_sets.prefix_sets[].name", raw.name);
    let at = |key: &str| format!("defined_sets.prefix_sets[{name}].{key}");
    let prefixes = raw.prefixes.into_iter().map(|range| v1::PrefixRange {
        prefix: mark(marks, at("prefix"), range.prefix),
        ge: number(marks, at("ge"), range.ge),
        le: number(marks, at("le"), range.le),
        covering: range.covering,
    });
    let prefixes = prefixes.collect();
    v1::PrefixSet { name, prefixes }
}

fn value_sets(kind: &str, raw: Vec<RawValueSet>, marks: &mut Marks) -> Vec<v1::ValueSet> {
    let set = |set: RawValueSet| {
        let name = mark(marks, format!("defined_sets.{kind}[].name"), set.name);
        let members = texts(marks, &format!("defined_sets.{kind}[{name}].members"), set.members);
        v1::ValueSet { name, members }
    };
    raw.into_iter().map(set).collect()
}

fn statements(raw: RawPolicy, marks: &mut Marks) -> Result<v1::Policy, Fault> {
    let name = mark(marks, "policies[].name", raw.name);
    let mut statements = Vec::new();
    for (index, statement) in raw.statements.into_iter().enumerate() {
        let field = format!("policies[{name}].statements[{index}]");
        let then = match &statement.then {
            None => v1::PolicyThen::Next,
            Some(then) => word(
                &format!("{field}.then"),
                then,
                &[
                    ("next", v1::PolicyThen::Next),
                    ("accept", v1::PolicyThen::Accept),
                    ("reject", v1::PolicyThen::Reject),
                ],
            )?,
        };
        statements.push(v1::PolicyStatement {
            name: statement.name,
            conditions: Some(conditions(&format!("{field}.match"), statement.conditions, marks)?),
            actions: Some(actions(&format!("{field}.set"), statement.set, marks)),
            then: then.into(),
        });
    }
    Ok(v1::Policy { name, statements })
}

fn conditions(field: &str, raw: RawConditions, marks: &mut Marks) -> Result<v1::PolicyConditions, Fault> {
    let at = |key: &str| format!("{field}.{key}");
    let source = match &raw.source {
        None => v1::RouteSource::Unspecified,
        Some(source) => word(
            &at("source"),
            source,
            &[
                ("local", v1::RouteSource::Local),
                ("external", v1::RouteSource::External),
                ("internal", v1::RouteSource::Internal),
            ],
        )?,
    };
    Ok(v1::PolicyConditions {
        prefix_set: set_match(at("prefix_set"), raw.prefix_set, marks)?,
        family: optional(marks, at("family"), raw.family),
        as_path_set: set_match(at("as_path_set"), raw.as_path_set, marks)?,
        as_path_length: optional(marks, at("as_path_length"), raw.as_path_length),
        community_set: set_match(at("community_set"), raw.community_set, marks)?,
        ext_community_set: set_match(at("ext_community_set"), raw.ext_community_set, marks)?,
        large_community_set: set_match(at("large_community_set"), raw.large_community_set, marks)?,
        next_hop_set: set_match(at("next_hop_set"), raw.next_hop_set, marks)?,
        neighbor_set: set_match(at("neighbor_set"), raw.neighbor_set, marks)?,
        source_set: set_match(at("source_set"), raw.source_set, marks)?,
        source: source.into(),
        origin: optional(marks, at("origin"), raw.origin),
    })
}

fn set_match(
    field: String,
    raw: Option<RawSetMatch>,
    marks: &mut Marks,
) -> Result<Option<v1::SetMatch>, Fault> {
    let Some(raw) = raw else { return Ok(None) };
    let how = match &raw.how {
        None => v1::SetMatchKind::Any,
        Some(how) => word(
            &format!("{field}.how"),
            how,
            &[
                ("any", v1::SetMatchKind::Any),
                ("all", v1::SetMatchKind::All),
                ("invert", v1::SetMatchKind::Invert),
            ],
        )?,
    };
    Ok(Some(v1::SetMatch { set: mark(marks, field, raw.set), how: how.into() }))
}

fn actions(field: &str, raw: RawActions, marks: &mut Marks) -> v1::PolicyActions {
    let at = |key: &str| format!("{field}.{key}");
    v1::PolicyActions {
        local_pref: raw.local_pref,
        med: optional(marks, at("med"), raw.med),
        prepend: raw.prepend.map(|prepend| v1::PolicyPrepend {
            asn: number(marks, at("prepend.asn"), prepend.asn).unwrap_or_default(),
            count: number(marks, at("prepend.count"), prepend.count).unwrap_or(1),
        }),
        origin: optional(marks, at("origin"), raw.origin),
        communities: change(&at("communities"), raw.communities, marks),
        ext_communities: change(&at("ext_communities"), raw.ext_communities, marks),
        large_communities: change(&at("large_communities"), raw.large_communities, marks),
        next_hop: optional(marks, at("next_hop"), raw.next_hop),
    }
}

fn change(field: &str, raw: Option<RawChange>, marks: &mut Marks) -> Option<v1::CommunityChange> {
    let raw = raw?;
    let replaces = raw.replace.is_some();
    Some(v1::CommunityChange {
        replaces,
        replace: texts(marks, &format!("{field}.replace"), raw.replace.unwrap_or_default()),
        remove: texts(marks, &format!("{field}.remove"), raw.remove),
        add: texts(marks, &format!("{field}.add"), raw.add),
    })
}
