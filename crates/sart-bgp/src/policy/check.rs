//! Checks sets and policies before anything is compiled. Every refusal names field and value; must never repair one.

use core::net::IpAddr;
use std::collections::BTreeSet;

use ipnet::IpNet;

use super::error::PolicyError;
use super::model::{
    Actions, Conditions, DefinedSets, NamedSet, NextHopAction, PolicyConfig, PrefixRange, Prepend, SetMatch,
    Statement,
};
use super::node::RESERVED;

type Checked = Result<(), PolicyError>;

pub(super) fn check(config: &PolicyConfig) -> Checked {
    let sets = &config.sets;
    check_names("prefix_sets", &sets.prefixes)?;
    check_names("as_path_sets", &sets.as_paths)?;
    check_names("community_sets", &sets.communities)?;
    check_names("ext_community_sets", &sets.ext_communities)?;
    check_names("large_community_sets", &sets.large_communities)?;
    check_names("next_hop_sets", &sets.next_hops)?;
    check_names("neighbor_sets", &sets.neighbors)?;
    for set in &sets.prefixes {
        let field = format!("defined_sets.prefix_sets[{}]", set.name);
        set.members.iter().try_for_each(|range| check_range(&field, range))?;
    }
    for (kind, list) in [("next_hop_sets", &sets.next_hops), ("neighbor_sets", &sets.neighbors)] {
        for set in list {
            let field = format!("defined_sets.{kind}[{}].members", set.name);
            set.members.iter().try_for_each(|net| check_net(&field, net))?;
        }
    }
    check_policies(config)
}

fn check_names<T>(kind: &str, sets: &[NamedSet<T>]) -> Checked {
    check_unique(&format!("defined_sets.{kind}[].name"), sets.iter().map(|set| set.name.as_str()))
}

fn check_unique<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Checked {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            return Err(PolicyError::invalid(field, name, "must not be empty"));
        }
        if name.starts_with(RESERVED) {
            return Err(PolicyError::invalid(
                field,
                name,
                "must not begin with sart:, which names built-in ones",
            ));
        }
        if !seen.insert(name) {
            return Err(PolicyError::duplicate(field, name));
        }
    }
    Ok(())
}

fn check_range(field: &str, range: &PrefixRange) -> Checked {
    check_net(&format!("{field}.prefix"), &range.prefix)?;
    if range.ge < range.prefix.prefix_len() {
        return Err(PolicyError::invalid(
            format!("{field}.ge"),
            range.ge,
            "must not be shorter than the prefix's own length",
        ));
    }
    if range.le < range.ge || range.le > range.prefix.max_prefix_len() {
        return Err(PolicyError::invalid(
            format!("{field}.le"),
            range.le,
            "must be between ge (or the prefix's own length) and the length of an address",
        ));
    }
    Ok(())
}

/// Host bits are a typing error more often than a wish.
fn check_net(field: &str, net: &IpNet) -> Checked {
    if net.trunc() != *net {
        return Err(PolicyError::invalid(field, net, "must have no bits set behind the prefix length"));
    }
    Ok(())
}

fn check_policies(config: &PolicyConfig) -> Checked {
    check_unique("policies[].name", config.policies.iter().map(|policy| policy.name.as_str()))?;
    for policy in &config.policies {
        for (index, statement) in policy.statements.iter().enumerate() {
            check_statement(
                &format!("policies[{}].statements[{index}]", policy.name),
                statement,
                &config.sets,
            )?;
        }
    }
    Ok(())
}

fn check_statement(field: &str, statement: &Statement, sets: &DefinedSets) -> Checked {
    check_conditions(&format!("{field}.match"), &statement.conditions, sets)?;
    check_actions(&format!("{field}.set"), &statement.actions)
}

fn check_conditions(field: &str, conditions: &Conditions, sets: &DefinedSets) -> Checked {
    known(field, "prefix_set", conditions.prefix_set.as_ref(), &sets.prefixes)?;
    known(field, "as_path_set", conditions.as_path_set.as_ref(), &sets.as_paths)?;
    known(field, "community_set", conditions.community_set.as_ref(), &sets.communities)?;
    known(field, "ext_community_set", conditions.ext_community_set.as_ref(), &sets.ext_communities)?;
    known(field, "large_community_set", conditions.large_community_set.as_ref(), &sets.large_communities)?;
    known(field, "next_hop_set", conditions.next_hop_set.as_ref(), &sets.next_hops)?;
    known(field, "neighbor_set", conditions.neighbor_set.as_ref(), &sets.neighbors)?;
    known(field, "source_set", conditions.source_set.as_ref(), &sets.neighbors)?;
    if let Some(family) = conditions.family.filter(|family| !family.is_supported()) {
        return Err(PolicyError::invalid(
            format!("{field}.family"),
            family,
            "must be ipv4-unicast or ipv6-unicast",
        ));
    }
    if let Some(range) = conditions.as_path_length.filter(|range| range.min > range.max) {
        let value = format!("{}-{}", range.min, range.max);
        return Err(PolicyError::invalid(
            format!("{field}.as_path_length"),
            value,
            "must not end before it begins",
        ));
    }
    Ok(())
}

fn known<T>(field: &str, key: &str, condition: Option<&SetMatch>, sets: &[NamedSet<T>]) -> Checked {
    match condition {
        Some(condition) if !sets.iter().any(|set| set.name == condition.set) => Err(PolicyError::invalid(
            format!("{field}.{key}"),
            &condition.set,
            "is not the name of a defined set of that kind",
        )),
        _ => Ok(()),
    }
}

fn check_actions(field: &str, actions: &Actions) -> Checked {
    if let Some(prepend) = actions.prepend {
        check_prepend(&format!("{field}.prepend"), prepend)?;
    }
    match actions.next_hop {
        Some(NextHopAction::Address(address)) if !is_next_hop(address) => Err(PolicyError::invalid(
            format!("{field}.next_hop"),
            address,
            "must be the address of one host that can be forwarded to",
        )),
        _ => Ok(()),
    }
}

fn check_prepend(field: &str, prepend: Prepend) -> Checked {
    if !(1..=Prepend::MAX_COUNT).contains(&prepend.count) {
        return Err(PolicyError::invalid(format!("{field}.count"), prepend.count, "must be 1 to 32"));
    }
    // RFC 7607: AS 0 makes a route malformed.
    if prepend.asn == Some(0) {
        return Err(PolicyError::invalid(format!("{field}.asn"), 0, "must be 1 to 4294967295 (RFC 7607)"));
    }
    Ok(())
}

fn is_next_hop(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast)
}
