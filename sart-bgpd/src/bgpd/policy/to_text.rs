//! Policies to text. What is printed here reads back as the same policy.

use std::net::IpAddr;

use ipnet::IpNet;
use sart_bgp::config::{ChainEnd, EffectiveChain};
use sart_bgp::policy::{
    Actions, ChainConfig, Conditions, DefaultAction, ListChange, MatchKind, MedChange, NamedSet,
    NextHopAction, Policy, PolicyConfig, PrefixRange, SetMatch, SourceKind, Statement, Then,
    format_community, format_ext_community, format_large_community,
};
use sart_rpc::v1;

/// All sets and policies.
#[must_use]
pub fn policy_config_text(config: &PolicyConfig) -> v1::PolicyConfig {
    let sets = &config.sets;
    v1::PolicyConfig {
        prefix_sets: sets.prefixes.iter().map(prefix_set).collect(),
        as_path_sets: value_sets(&sets.as_paths, ToString::to_string),
        community_sets: value_sets(&sets.communities, ToString::to_string),
        ext_community_sets: value_sets(&sets.ext_communities, ToString::to_string),
        large_community_sets: value_sets(&sets.large_communities, ToString::to_string),
        next_hop_sets: value_sets(&sets.next_hops, net),
        neighbor_sets: value_sets(&sets.neighbors, net),
        policies: config.policies.iter().map(policy).collect(),
    }
}

/// A neighbour's chain as configured.
#[must_use]
pub fn chain_text(chain: &ChainConfig) -> v1::PolicyChain {
    let default = match chain.default {
        DefaultAction::Reject => v1::PolicyDefault::Reject,
        DefaultAction::Accept => v1::PolicyDefault::Accept,
    };
    v1::PolicyChain { policies: chain.policies.clone(), default: default.into() }
}

/// A chain as it is in force.
#[must_use]
pub fn effective_text(chain: EffectiveChain) -> v1::EffectiveChain {
    let end = match chain.end {
        ChainEnd::Accept => "accept",
        ChainEnd::Reject => "reject",
        ChainEnd::NoPolicy => "reject (no policy, RFC 8212)",
    };
    v1::EffectiveChain { policies: chain.policies, end: end.to_owned() }
}

fn value_sets<T>(sets: &[NamedSet<T>], text: impl Fn(&T) -> String) -> Vec<v1::ValueSet> {
    let set = |set: &NamedSet<T>| v1::ValueSet {
        name: set.name.clone(),
        members: set.members.iter().map(&text).collect(),
    };
    sets.iter().map(set).collect()
}

/// One host as its address, as it is usually written.
fn net(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { IpAddr::to_string(&net.addr()) } else { net.to_string() }
}

fn prefix_set(set: &NamedSet<PrefixRange>) -> v1::PrefixSet {
    v1::PrefixSet { name: set.name.clone(), prefixes: set.members.iter().map(prefix_range).collect() }
}

fn prefix_range(range: &PrefixRange) -> v1::PrefixRange {
    let (own, most) = (range.prefix.prefix_len(), range.prefix.max_prefix_len());
    let (ge, le) = match (range.ge == own, range.le) {
        (true, le) if le == own => (None, None),
        (true, le) => (None, Some(le)),
        (false, le) if le == most => (Some(range.ge), None),
        (false, le) => (Some(range.ge), Some(le)),
    };
    v1::PrefixRange {
        prefix: range.prefix.to_string(),
        ge: ge.map(u32::from),
        le: le.map(u32::from),
        covering: range.covering,
    }
}

fn policy(policy: &Policy) -> v1::Policy {
    v1::Policy { name: policy.name.clone(), statements: policy.statements.iter().map(statement).collect() }
}

fn statement(statement: &Statement) -> v1::PolicyStatement {
    let then = match statement.then {
        Then::Next => v1::PolicyThen::Next,
        Then::Accept => v1::PolicyThen::Accept,
        Then::Reject => v1::PolicyThen::Reject,
    };
    let (conditions, actions) = (&statement.conditions, &statement.actions);
    v1::PolicyStatement {
        name: statement.name.clone(),
        conditions: (*conditions != Conditions::default()).then(|| self::conditions(conditions)),
        actions: (*actions != Actions::default()).then(|| self::actions(actions)),
        then: then.into(),
    }
}

fn conditions(conditions: &Conditions) -> v1::PolicyConditions {
    let set = |condition: &Option<SetMatch>| condition.as_ref().map(set_match);
    let source = match conditions.source {
        None => v1::RouteSource::Unspecified,
        Some(SourceKind::Local) => v1::RouteSource::Local,
        Some(SourceKind::External) => v1::RouteSource::External,
        Some(SourceKind::Internal) => v1::RouteSource::Internal,
    };
    v1::PolicyConditions {
        prefix_set: set(&conditions.prefix_set),
        family: conditions.family.map(|family| family.to_string()).unwrap_or_default(),
        as_path_set: set(&conditions.as_path_set),
        as_path_length: conditions
            .as_path_length
            .map(|range| match (range.min, range.max) {
                (min, max) if min == max => min.to_string(),
                (min, max) => format!("{min}-{max}"),
            })
            .unwrap_or_default(),
        community_set: set(&conditions.community_set),
        ext_community_set: set(&conditions.ext_community_set),
        large_community_set: set(&conditions.large_community_set),
        next_hop_set: set(&conditions.next_hop_set),
        neighbor_set: set(&conditions.neighbor_set),
        source_set: set(&conditions.source_set),
        source: source.into(),
        origin: conditions.origin.map(|origin| origin.to_string()).unwrap_or_default(),
    }
}

fn set_match(condition: &SetMatch) -> v1::SetMatch {
    let how = match condition.how {
        MatchKind::Any => v1::SetMatchKind::Any,
        MatchKind::All => v1::SetMatchKind::All,
        MatchKind::Invert => v1::SetMatchKind::Invert,
    };
    v1::SetMatch { set: condition.set.clone(), how: how.into() }
}

fn actions(actions: &Actions) -> v1::PolicyActions {
    let next_hop = actions.next_hop.map(|action| match action {
        NextHopAction::Own => "self".to_owned(),
        NextHopAction::Unchanged => "unchanged".to_owned(),
        NextHopAction::Peer => "peer".to_owned(),
        NextHopAction::Address(address) => address.to_string(),
    });
    let med = actions.med.map(|change| match change {
        MedChange::Set(value) => value.to_string(),
        MedChange::Add(value) => format!("+{value}"),
        MedChange::Subtract(value) => format!("-{value}"),
    });
    v1::PolicyActions {
        local_pref: actions.local_pref,
        med: med.unwrap_or_default(),
        prepend: actions.prepend.map(|prepend| v1::PolicyPrepend {
            asn: prepend.asn.unwrap_or_default(),
            count: u32::from(prepend.count),
        }),
        origin: actions.origin.map(|origin| origin.to_string()).unwrap_or_default(),
        communities: change(&actions.communities, |value| format_community(*value)),
        ext_communities: change(&actions.ext_communities, |value| format_ext_community(*value)),
        large_communities: change(&actions.large_communities, format_large_community),
        next_hop: next_hop.unwrap_or_default(),
    }
}

fn change<V, P: ToString>(
    change: &ListChange<V, P>,
    text: impl Fn(&V) -> String,
) -> Option<v1::CommunityChange> {
    (!change.is_empty()).then(|| v1::CommunityChange {
        replaces: change.replace.is_some(),
        replace: change.replace.iter().flatten().map(&text).collect(),
        remove: change.remove.iter().map(ToString::to_string).collect(),
        add: change.add.iter().map(&text).collect(),
    })
}
