//! Text to policies. Every refusal names field and value, with the file's names of the fields.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use sart_bgp::family::Family;
use sart_bgp::policy::{
    Actions, ChainConfig, Conditions, DefaultAction, DefinedSets, ListChange, MatchKind, MedChange, NamedSet,
    NextHopAction, NumberRange, Policy, PolicyConfig, PolicyError, PrefixRange, Prepend, SetMatch,
    SourceKind, Statement, Then, parse_community, parse_ext_community, parse_large_community,
};
use sart_bgp::wire::attr::Origin;
use sart_rpc::v1;

type Read<T> = Result<T, PolicyError>;

const A_PREFIX: &str = "is not a prefix like 192.0.2.0/24";
const AN_ADDRESS: &str = "is not an address or a prefix like 192.0.2.0/24";
const A_COMMUNITY: &str = "is not a community like 65000:100, 65000:* or no-export";
const AN_EXT_COMMUNITY: &str = "is not an extended community like rt:65000:100 or 0x0002fde800000064";
const A_LARGE_COMMUNITY: &str = "is not a large community like 65000:1:2";
const A_PATTERN: &str = "is not a regular expression over AS numbers like ^65001_ or _65010$";

fn invalid(field: impl Into<String>, value: impl Display, rule: &'static str) -> PolicyError {
    PolicyError { field: field.into(), value: value.to_string(), rule, duplicate: false }
}

/// All sets and policies. Their meaning is checked by the core: names, ranges, references.
///
/// # Errors
/// The first value that cannot be read.
pub fn policy_config(text: &v1::PolicyConfig) -> Read<PolicyConfig> {
    Ok(PolicyConfig {
        sets: DefinedSets {
            prefixes: text.prefix_sets.iter().map(prefix_set).collect::<Read<_>>()?,
            as_paths: sets("as_path_sets", &text.as_path_sets, A_PATTERN)?,
            communities: sets("community_sets", &text.community_sets, A_COMMUNITY)?,
            ext_communities: sets("ext_community_sets", &text.ext_community_sets, AN_EXT_COMMUNITY)?,
            large_communities: sets("large_community_sets", &text.large_community_sets, A_LARGE_COMMUNITY)?,
            next_hops: nets("next_hop_sets", &text.next_hop_sets)?,
            neighbors: nets("neighbor_sets", &text.neighbor_sets)?,
        },
        policies: text.policies.iter().map(policy).collect::<Read<_>>()?,
    })
}

/// A neighbour's chain. Whether its policies exist is checked by the core.
#[must_use]
pub fn chain(text: &v1::PolicyChain) -> ChainConfig {
    let default = match text.default() {
        v1::PolicyDefault::Reject => DefaultAction::Reject,
        v1::PolicyDefault::Accept => DefaultAction::Accept,
    };
    ChainConfig { policies: text.policies.clone(), default }
}

fn prefix_set(text: &v1::PrefixSet) -> Read<NamedSet<PrefixRange>> {
    let at = |key: &str| format!("defined_sets.prefix_sets[{}].{key}", text.name);
    let length = |key: &str, value: Option<u32>| {
        let small =
            |value: u32| u8::try_from(value).map_err(|_| invalid(at(key), value, "is not a prefix length"));
        value.map(small).transpose()
    };
    let range = |range: &v1::PrefixRange| {
        let prefix = range.prefix.parse().map_err(|_| invalid(at("prefix"), &range.prefix, A_PREFIX))?;
        let written = PrefixRange::written(prefix, length("ge", range.ge)?, length("le", range.le)?);
        Ok(PrefixRange { covering: range.covering, ..written })
    };
    let members = text.prefixes.iter().map(range).collect::<Read<_>>()?;
    Ok(NamedSet { name: text.name.clone(), members })
}

fn sets<T: FromStr>(kind: &str, texts: &[v1::ValueSet], rule: &'static str) -> Read<Vec<NamedSet<T>>> {
    sets_with(kind, texts, rule, |text| text.parse().ok())
}

fn nets(kind: &str, texts: &[v1::ValueSet]) -> Read<Vec<NamedSet<IpNet>>> {
    let net = |text: &str| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    sets_with(kind, texts, AN_ADDRESS, net)
}

fn sets_with<T>(
    kind: &str,
    texts: &[v1::ValueSet],
    rule: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Read<Vec<NamedSet<T>>> {
    let member = |name: &str, text: &String| {
        read(text).ok_or_else(|| invalid(format!("defined_sets.{kind}[{name}].members"), text, rule))
    };
    let set = |set: &v1::ValueSet| {
        let members = set.members.iter().map(|text| member(&set.name, text)).collect::<Read<_>>()?;
        Ok(NamedSet { name: set.name.clone(), members })
    };
    texts.iter().map(set).collect()
}

fn policy(text: &v1::Policy) -> Read<Policy> {
    let statement = |(index, statement): (usize, &v1::PolicyStatement)| {
        let field = format!("policies[{}].statements[{index}]", text.name);
        Ok(Statement {
            name: statement.name.clone(),
            conditions: conditions(&format!("{field}.match"), statement.conditions.as_ref())?,
            actions: actions(&format!("{field}.set"), statement.actions.as_ref())?,
            then: then(&format!("{field}.then"), statement.then)?,
        })
    };
    let statements = text.statements.iter().enumerate().map(statement).collect::<Read<_>>()?;
    Ok(Policy { name: text.name.clone(), statements })
}

fn then(field: &str, value: i32) -> Read<Then> {
    match v1::PolicyThen::try_from(value) {
        Ok(v1::PolicyThen::Next) => Ok(Then::Next),
        Ok(v1::PolicyThen::Accept) => Ok(Then::Accept),
        Ok(v1::PolicyThen::Reject) => Ok(Then::Reject),
        Err(_) => Err(invalid(field, value, "is not one of next, accept, reject")),
    }
}

fn conditions(field: &str, text: Option<&v1::PolicyConditions>) -> Read<Conditions> {
    let Some(text) = text else { return Ok(Conditions::default()) };
    let set = |key: &str, condition: &Option<v1::SetMatch>| {
        condition.as_ref().map(|condition| set_match(&format!("{field}.{key}.how"), condition)).transpose()
    };
    Ok(Conditions {
        prefix_set: set("prefix_set", &text.prefix_set)?,
        family: given(&text.family).map(|name| family(&format!("{field}.family"), name)).transpose()?,
        as_path_set: set("as_path_set", &text.as_path_set)?,
        as_path_length: given(&text.as_path_length)
            .map(|range| number_range(&format!("{field}.as_path_length"), range))
            .transpose()?,
        community_set: set("community_set", &text.community_set)?,
        ext_community_set: set("ext_community_set", &text.ext_community_set)?,
        large_community_set: set("large_community_set", &text.large_community_set)?,
        next_hop_set: set("next_hop_set", &text.next_hop_set)?,
        neighbor_set: set("neighbor_set", &text.neighbor_set)?,
        source_set: set("source_set", &text.source_set)?,
        source: source(&format!("{field}.source"), text.source)?,
        origin: given(&text.origin).map(|name| origin(&format!("{field}.origin"), name)).transpose()?,
    })
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn set_match(field: &str, text: &v1::SetMatch) -> Read<SetMatch> {
    let how = match v1::SetMatchKind::try_from(text.how) {
        Ok(v1::SetMatchKind::Any) => MatchKind::Any,
        Ok(v1::SetMatchKind::All) => MatchKind::All,
        Ok(v1::SetMatchKind::Invert) => MatchKind::Invert,
        Err(_) => return Err(invalid(field, text.how, "is not one of any, all, invert")),
    };
    Ok(SetMatch { set: text.set.clone(), how })
}

fn family(field: &str, name: &str) -> Read<Family> {
    let named = |family: &&Family| family.to_string() == name;
    let found = Family::SUPPORTED.iter().find(named).copied();
    found.ok_or_else(|| invalid(field, name, "is not one of ipv4-unicast, ipv6-unicast"))
}

fn number_range(field: &str, text: &str) -> Read<NumberRange> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    match (min.parse(), max.parse()) {
        (Ok(min), Ok(max)) => Ok(NumberRange { min, max }),
        _ => Err(invalid(field, text, "is not a number like 3 or a range like 2-5")),
    }
}

fn source(field: &str, value: i32) -> Read<Option<SourceKind>> {
    match v1::RouteSource::try_from(value) {
        Ok(v1::RouteSource::Unspecified) => Ok(None),
        Ok(v1::RouteSource::Local) => Ok(Some(SourceKind::Local)),
        Ok(v1::RouteSource::External) => Ok(Some(SourceKind::External)),
        Ok(v1::RouteSource::Internal) => Ok(Some(SourceKind::Internal)),
        Err(_) => Err(invalid(field, value, "is not one of local, external, internal")),
    }
}

fn origin(field: &str, name: &str) -> Read<Origin> {
    let known = [Origin::Igp, Origin::Egp, Origin::Incomplete];
    let found = known.into_iter().find(|origin| origin.to_string() == name);
    found.ok_or_else(|| invalid(field, name, "is not one of igp, egp, incomplete"))
}

fn actions(field: &str, text: Option<&v1::PolicyActions>) -> Read<Actions> {
    let Some(text) = text else { return Ok(Actions::default()) };
    let at = |key: &str| format!("{field}.{key}");
    Ok(Actions {
        local_pref: text.local_pref,
        med: given(&text.med).map(|med| med_change(&at("med"), med)).transpose()?,
        prepend: text.prepend.as_ref().map(|asns| prepend(&at("prepend.count"), asns)).transpose()?,
        origin: given(&text.origin).map(|name| origin(&at("origin"), name)).transpose()?,
        communities: change(&at("communities"), text.communities.as_ref(), parse_community, A_COMMUNITY)?,
        ext_communities: change(
            &at("ext_communities"),
            text.ext_communities.as_ref(),
            parse_ext_community,
            AN_EXT_COMMUNITY,
        )?,
        large_communities: change(
            &at("large_communities"),
            text.large_communities.as_ref(),
            parse_large_community,
            A_LARGE_COMMUNITY,
        )?,
        next_hop: given(&text.next_hop).map(|hop| next_hop(&at("next_hop"), hop)).transpose()?,
    })
}

fn med_change(field: &str, text: &str) -> Read<MedChange> {
    let (make, digits): (fn(u32) -> MedChange, &str) = match text.split_at_checked(1) {
        Some(("+", digits)) => (MedChange::Add, digits),
        Some(("-", digits)) => (MedChange::Subtract, digits),
        _ => (MedChange::Set, text),
    };
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let value = digits.and_then(|digits| digits.parse().ok());
    value.map(make).ok_or_else(|| invalid(field, text, "is not a number like 100, +10 or -10"))
}

fn prepend(field: &str, text: &v1::PolicyPrepend) -> Read<Prepend> {
    let count = u8::try_from(text.count).map_err(|_| invalid(field, text.count, "must be 1 to 32"))?;
    Ok(Prepend { asn: Some(text.asn).filter(|asn| *asn != 0), count })
}

fn change<V, P: FromStr>(
    field: &str,
    text: Option<&v1::CommunityChange>,
    value: fn(&str) -> Option<V>,
    rule: &'static str,
) -> Read<ListChange<V, P>> {
    let Some(text) = text else { return Ok(ListChange::default()) };
    let values = |key: &str, list: &[String]| {
        let one = |text: &String| value(text).ok_or_else(|| invalid(format!("{field}.{key}"), text, rule));
        list.iter().map(one).collect::<Read<Vec<V>>>()
    };
    let pattern = |text: &String| text.parse().map_err(|_| invalid(format!("{field}.remove"), text, rule));
    let replace = values("replace", &text.replace)?;
    Ok(ListChange {
        replace: (text.replaces || !replace.is_empty()).then_some(replace),
        remove: text.remove.iter().map(pattern).collect::<Read<_>>()?,
        add: values("add", &text.add)?,
    })
}

fn next_hop(field: &str, text: &str) -> Read<NextHopAction> {
    match text {
        "self" => Ok(NextHopAction::Own),
        "unchanged" => Ok(NextHopAction::Unchanged),
        "peer" => Ok(NextHopAction::Peer),
        _ => text
            .parse()
            .map(NextHopAction::Address)
            .map_err(|_| invalid(field, text, "is not one of self, unchanged, peer, or an address")),
    }
}
