//! The naive evaluator: walks the configuration itself and changes the attributes as it goes.

use core::net::IpAddr;

use ipnet::IpNet;

use super::strategies::Route;
use crate::family::Family;
use crate::policy::{
    Actions, ChainConfig, ChainOwner, Conditions, DefaultAction, ListChange, MatchKind, MedChange, NamedSet,
    NextHopAction, NextHopChange, PolicyConfig, SetMatch, Source, SourceKind, Then,
};
use crate::wire::attr::Attributes;

type Taken = (Attributes, Option<NextHopChange>);

pub(super) fn evaluate(
    config: &PolicyConfig,
    chain: &ChainConfig,
    owner: &ChainOwner,
    route: &Route,
) -> Option<Taken> {
    let mut taken: Taken = (route.attributes.clone(), None);
    for name in &chain.policies {
        let policy = config.policies.iter().find(|policy| policy.name == *name).unwrap();
        for statement in &policy.statements {
            if !holds(config, &statement.conditions, owner, route, &taken.0) {
                continue;
            }
            if statement.then == Then::Reject {
                return None;
            }
            act(&statement.actions, owner, route, &mut taken);
            if statement.then == Then::Accept {
                return Some(taken);
            }
        }
    }
    (chain.default == DefaultAction::Accept).then_some(taken)
}

fn holds(
    config: &PolicyConfig,
    conditions: &Conditions,
    owner: &ChainOwner,
    route: &Route,
    now: &Attributes,
) -> bool {
    let sets = &config.sets;
    let source = match route.source {
        Source::Local => (SourceKind::Local, None),
        Source::External(peer) => (SourceKind::External, Some(peer)),
        Source::Internal(peer) => (SourceKind::Internal, Some(peer)),
    };
    let printed = now.as_path.to_string();
    let hops = now.as_path.hops() as u32;
    ask(&conditions.prefix_set, &sets.prefixes, &[route.prefix], |range, prefix| range.contains(prefix), true)
        && conditions.family.is_none_or(|family| family == Family::of_prefix(&route.prefix))
        && ask(
            &conditions.as_path_set,
            &sets.as_paths,
            &[printed],
            |pattern, path| pattern.matches(path),
            false,
        )
        && conditions.as_path_length.is_none_or(|range| range.min <= hops && hops <= range.max)
        && ask(&conditions.community_set, &sets.communities, &now.communities, |p, v| p.matches(*v), false)
        && ask(
            &conditions.ext_community_set,
            &sets.ext_communities,
            &now.ext_communities,
            |p, v| p.matches(*v),
            false,
        )
        && ask(
            &conditions.large_community_set,
            &sets.large_communities,
            &now.large_communities,
            |p, v| p.matches(v),
            false,
        )
        && addresses(&conditions.next_hop_set, &sets.next_hops, route.next_hop)
        && addresses(&conditions.neighbor_set, &sets.neighbors, Some(owner.neighbor))
        && addresses(&conditions.source_set, &sets.neighbors, source.1)
        && conditions.source.is_none_or(|kind| kind == source.0)
        && conditions.origin.is_none_or(|origin| origin == now.origin)
}

fn addresses(condition: &Option<SetMatch>, sets: &[NamedSet<IpNet>], address: Option<IpAddr>) -> bool {
    let values: Vec<IpAddr> = address.into_iter().collect();
    ask(condition, sets, &values, |net, address| net.contains(address), true)
}

/// `all_is_any`: the condition is about one value.
fn ask<P, V>(
    condition: &Option<SetMatch>,
    sets: &[NamedSet<P>],
    values: &[V],
    matches: impl Fn(&P, &V) -> bool,
    all_is_any: bool,
) -> bool {
    let Some(condition) = condition else { return true };
    let set = sets.iter().find(|set| set.name == condition.set).unwrap();
    let mut hits = Vec::new();
    for member in &set.members {
        hits.push(values.iter().any(|value| matches(member, value)));
    }
    match condition.how {
        MatchKind::Invert => !hits.contains(&true),
        MatchKind::All if !all_is_any => !hits.is_empty() && !hits.contains(&false),
        MatchKind::Any | MatchKind::All => hits.contains(&true),
    }
}

fn act(actions: &Actions, owner: &ChainOwner, route: &Route, (now, next_hop): &mut Taken) {
    if let Some(value) = actions.local_pref {
        now.local_pref = Some(value);
    }
    let med = u64::from(now.med.unwrap_or(0));
    match actions.med {
        None => {}
        Some(MedChange::Set(value)) => now.med = Some(value),
        Some(MedChange::Add(value)) => {
            now.med = Some((med + u64::from(value)).min(u64::from(u32::MAX)) as u32);
        }
        Some(MedChange::Subtract(value)) => now.med = Some(med.saturating_sub(u64::from(value)) as u32),
    }
    if let Some(prepend) = actions.prepend {
        for _ in 0..prepend.count {
            now.as_path = now.as_path.prepended(prepend.asn.unwrap_or(owner.own_asn));
        }
    }
    if let Some(origin) = actions.origin {
        now.origin = origin;
    }
    change(&mut now.communities, &actions.communities, |p, v| p.matches(*v));
    change(&mut now.ext_communities, &actions.ext_communities, |p, v| p.matches(*v));
    change(&mut now.large_communities, &actions.large_communities, |p, v| p.matches(v));
    let v4 = matches!(route.prefix, IpNet::V4(_));
    match actions.next_hop {
        None => {}
        Some(NextHopAction::Own) => *next_hop = Some(NextHopChange::Own),
        Some(NextHopAction::Unchanged) => *next_hop = Some(NextHopChange::Unchanged),
        Some(NextHopAction::Peer) => {
            if let Source::External(peer) | Source::Internal(peer) = route.source
                && (v4 || peer.is_ipv6())
            {
                *next_hop = Some(NextHopChange::Address(peer));
            }
        }
        Some(NextHopAction::Address(address)) if v4 || address.is_ipv6() => {
            *next_hop = Some(NextHopChange::Address(address));
        }
        Some(NextHopAction::Address(_)) => {}
    }
}

fn change<V: Clone + PartialEq, P>(
    list: &mut Vec<V>,
    change: &ListChange<V, P>,
    matches: impl Fn(&P, &V) -> bool,
) {
    if let Some(new) = &change.replace {
        *list = new.clone();
    }
    let mut kept = Vec::new();
    for value in list.iter() {
        if change.remove.iter().all(|pattern| !matches(pattern, value)) {
            kept.push(value.clone());
        }
    }
    for value in &change.add {
        if !kept.contains(value) {
            kept.push(value.clone());
        }
    }
    *list = kept;
}
