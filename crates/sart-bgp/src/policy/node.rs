//! The rules of a node as policies: what a speaker that is configured with ranges, protected prefixes and no transit
//! takes and tells. They come before every other policy of a chain, so that nothing can be taken that they refuse.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::judge::RejectReason;
use super::model::{
    Actions, Conditions, Direction, ListChange, MatchKind, NamedSet, Policy, PolicyConfig, PrefixRange,
    SetMatch, SourceKind, Statement, Then,
};

/// Names that begin so are made here; a configuration may not use them.
pub(super) const RESERVED: &str = "sart:";
/// What every neighbour may send.
const IMPORT: &str = "sart:node-import";
/// What every neighbour may be told.
const EXPORT: &str = "sart:node-export";
const PROTECTED: &str = "sart:protected-prefixes";
const RANGES: &str = "sart:import-ranges";
const STATEMENT_PROTECTED: &str = "protected-prefix";
const STATEMENT_RANGES: &str = "outside-ranges";
const STATEMENT_TRANSIT: &str = "no-transit";
const STATEMENT_LEAVING: &str = "graceful-shutdown";
/// RFC 8326 section 5.
const GRACEFUL_SHUTDOWN: u32 = 0xffff_0000;

/// The rules.
#[derive(Clone, Copy, Debug)]
pub struct NodeRules<'a> {
    /// Every prefix that is not protected may be learned.
    pub accept_all: bool,
    /// These and what is inside them may be learned.
    pub ranges: &'a [IpNet],
    /// What equals, lies inside or covers one of these may not be learned; a default route that `ranges` names may.
    pub protected: &'a [IpNet],
    /// Only own paths are told.
    pub local_only: bool,
    /// Everything is told as a last resort (RFC 8326).
    pub leaving: bool,
}

/// The sets and policies that say the same; policies that would say nothing are left out.
#[must_use]
pub fn node_policies(rules: &NodeRules<'_>) -> PolicyConfig {
    let mut config = PolicyConfig::default();
    let mut statements = Vec::new();
    if !rules.protected.is_empty() {
        let set = NamedSet { name: PROTECTED.to_owned(), members: protected_ranges(rules) };
        config.sets.prefixes.push(set);
        statements.push(refusal(STATEMENT_PROTECTED, in_set(PROTECTED, MatchKind::Any)));
    }
    if !rules.accept_all {
        let members = rules.ranges.iter().copied().map(PrefixRange::orlonger).collect();
        config.sets.prefixes.push(NamedSet { name: RANGES.to_owned(), members });
        statements.push(refusal(STATEMENT_RANGES, in_set(RANGES, MatchKind::Invert)));
    }
    if !statements.is_empty() {
        config.policies.push(Policy { name: IMPORT.to_owned(), statements });
    }
    let mut statements = Vec::new();
    if rules.local_only {
        let from = |kind| Conditions { source: Some(kind), ..Conditions::default() };
        statements.extend(
            [SourceKind::External, SourceKind::Internal].map(|kind| refusal(STATEMENT_TRANSIT, from(kind))),
        );
    }
    if rules.leaving {
        statements.push(last_resort());
    }
    if !statements.is_empty() {
        config.policies.push(Policy { name: EXPORT.to_owned(), statements });
    }
    config
}

/// The names of the rules' policies of one direction, to put in front of a chain.
pub(crate) fn names(config: &PolicyConfig, direction: Direction) -> Vec<String> {
    let wanted = match direction {
        Direction::Import => IMPORT,
        Direction::Export => EXPORT,
    };
    config.policies.iter().filter(|policy| policy.name == wanted).map(|policy| policy.name.clone()).collect()
}

/// The community moves routers to another route before this one goes; inside our AS the low preference says it too
/// (RFC 8326 section 4.2). It does not leave our AS.
fn last_resort() -> Statement {
    let communities = ListChange { add: vec![GRACEFUL_SHUTDOWN], ..ListChange::default() };
    let actions = Actions { communities, local_pref: Some(0), ..Actions::default() };
    Statement { name: STATEMENT_LEAVING.to_owned(), actions, ..Statement::default() }
}

fn protected_ranges(rules: &NodeRules<'_>) -> Vec<PrefixRange> {
    let defaults = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    let mut members = Vec::new();
    for default in defaults {
        // Everything else goes through a default route, so it takes nothing from a protected prefix that was not meant.
        let named = rules.ranges.contains(&default);
        let mut same = rules.protected.iter().filter(|prefix| default.contains(*prefix)).peekable();
        if !named && same.peek().is_some() {
            members.push(PrefixRange::exact(default));
        }
        members.extend(same.map(|prefix| {
            let range = PrefixRange { covering: true, ..PrefixRange::orlonger(*prefix) };
            PrefixRange { ge: range.ge.max(u8::from(named)), ..range }
        }));
    }
    members
}

fn in_set(set: &str, how: MatchKind) -> Conditions {
    Conditions { prefix_set: Some(SetMatch { set: set.to_owned(), how }), ..Conditions::default() }
}

fn refusal(name: &str, conditions: Conditions) -> Statement {
    Statement { name: name.to_owned(), conditions, then: Then::Reject, ..Statement::default() }
}

/// What a refusal by this statement is counted as.
pub(super) fn reason_of(policy: &str, statement: &str) -> RejectReason {
    match (policy, statement) {
        (IMPORT, STATEMENT_PROTECTED) => RejectReason::ProtectedPrefix,
        (IMPORT, STATEMENT_RANGES) => RejectReason::OutsideRanges,
        (EXPORT, STATEMENT_TRANSIT) => RejectReason::NoTransit,
        _ => RejectReason::Statement,
    }
}
