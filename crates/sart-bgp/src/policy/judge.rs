//! What a chain says about one route. Pure; must never depend on anything but its arguments, or no answer could be kept.

use core::net::IpAddr;

use super::change::{ActionInput, Changes};
use super::compile::{Chain, End, Step, Test};
use super::model::{MatchKind, SourceKind, Then};
use super::trie::Signature;
use crate::wire::attr::Attributes;

/// What a chain may know about a route besides its prefix.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The attributes: on import as received, on export as in the Loc-RIB.
    pub attributes: &'a Attributes,
    /// The next hop; none for an own path.
    pub next_hop: Option<IpAddr>,
    /// Where the route comes from.
    pub source: Source,
}

/// Where a route comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// This speaker originates it.
    Local,
    /// This neighbour of another AS.
    External(IpAddr),
    /// This neighbour of our AS.
    Internal(IpAddr),
}

impl Source {
    /// The neighbour it comes from.
    #[must_use]
    pub const fn peer(self) -> Option<IpAddr> {
        match self {
            Self::Local => None,
            Self::External(peer) | Self::Internal(peer) => Some(peer),
        }
    }

    const fn kind(self) -> SourceKind {
        match self {
            Self::Local => SourceKind::Local,
            Self::External(_) => SourceKind::External,
            Self::Internal(_) => SourceKind::Internal,
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken, with these changes (often none).
    Accept(Changes),
    /// Refused.
    Reject(Rejection),
}

/// Who refused a route; [`Chain::explain`] has the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rejection {
    /// Why, for metrics and conditions.
    pub reason: RejectReason,
    /// The statement's place in the chain; none if none decided.
    pub step: Option<u16>,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// It touches a protected prefix.
    ProtectedPrefix,
    /// No configured range has it.
    OutsideRanges,
    /// It is not ours, and we are no transit.
    NoTransit,
    /// An external neighbour has no policy (RFC 8212).
    NoPolicy,
    /// A statement refuses it.
    Statement,
    /// No statement decided, and the chain ends with reject.
    Default,
}

impl RejectReason {
    /// The label for metrics and the API.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ProtectedPrefix => "protected_prefix",
            Self::OutsideRanges => "outside_ranges",
            Self::NoTransit => "no_transit",
            Self::NoPolicy => "no_policy",
            Self::Statement => "policy",
            Self::Default => "policy_default",
        }
    }
}

impl Chain {
    /// [`Chain::signature`] and [`Chain::judge`] in one.
    #[must_use]
    pub fn evaluate(&self, prefix: &ipnet::IpNet, facts: &Facts<'_>) -> Verdict {
        self.judge(self.signature(prefix), facts)
    }

    /// What the chain says about a route whose prefix has this signature.
    #[must_use]
    pub fn judge(&self, signature: Signature, facts: &Facts<'_>) -> Verdict {
        let mut route = Route { signature, facts, changes: Changes::default(), printed: None };
        for (index, step) in self.steps().iter().enumerate() {
            if !route.meets(step) {
                continue;
            }
            match step.then {
                Then::Reject => {
                    let step_index = u16::try_from(index).ok();
                    return Verdict::Reject(Rejection { reason: step.reason, step: step_index });
                }
                Then::Accept => {
                    route.change(step, self.own_asn());
                    return Verdict::Accept(route.changes);
                }
                Then::Next => route.change(step, self.own_asn()),
            }
        }
        match self.end() {
            End::Accept => Verdict::Accept(route.changes),
            End::Reject(reason) => Verdict::Reject(Rejection { reason, step: None }),
        }
    }
}

/// A route on its way through the statements.
struct Route<'a> {
    signature: Signature,
    facts: &'a Facts<'a>,
    changes: Changes,
    /// The AS path as text, until it changes.
    printed: Option<String>,
}

impl Route<'_> {
    fn meets(&mut self, step: &Step) -> bool {
        let bits = self.signature.0;
        bits & step.required == step.required
            && bits & step.forbidden == 0
            && step.tests.iter().all(|test| self.passes(test))
    }

    fn passes(&mut self, test: &Test) -> bool {
        let received = self.facts.attributes;
        match test {
            Test::AsPath(patterns, how) => {
                let path = self.changes.as_path.as_ref().unwrap_or(&received.as_path);
                let printed = self.printed.get_or_insert_with(|| path.to_string());
                meet(patterns, core::slice::from_ref(printed), *how, |pattern, path| pattern.matches(path))
            }
            Test::AsPathLength(range) => {
                let hops = self.changes.as_path.as_ref().unwrap_or(&received.as_path).hops();
                u32::try_from(hops).is_ok_and(|hops| (range.min..=range.max).contains(&hops))
            }
            Test::Communities(patterns, how) => {
                let values = self.changes.communities.as_ref().unwrap_or(&received.communities);
                meet(patterns, values, *how, |pattern, value| pattern.matches(*value))
            }
            Test::ExtCommunities(patterns, how) => {
                let values = self.changes.ext_communities.as_ref().unwrap_or(&received.ext_communities);
                meet(patterns, values, *how, |pattern, value| pattern.matches(*value))
            }
            Test::LargeCommunities(patterns, how) => {
                let values = self.changes.large_communities.as_ref().unwrap_or(&received.large_communities);
                meet(patterns, values, *how, |pattern, value| pattern.matches(value))
            }
            Test::NextHop(nets, inverted) => within(nets, self.facts.next_hop) != *inverted,
            Test::SourcePeer(nets, inverted) => within(nets, self.facts.source.peer()) != *inverted,
            Test::Source(kind) => self.facts.source.kind() == *kind,
            Test::Origin(origin) => self.changes.origin.unwrap_or(received.origin) == *origin,
        }
    }

    fn change(&mut self, step: &Step, own_asn: u32) {
        let input = ActionInput {
            received: self.facts.attributes,
            own_asn,
            v6: self.signature.is_v6(),
            peer: self.facts.source.peer(),
        };
        self.changes.act(&step.actions, &input);
        if step.actions.prepend.is_some() {
            self.printed = None;
        }
    }
}

fn meet<P, V>(patterns: &[P], values: &[V], how: MatchKind, matches: impl Fn(&P, &V) -> bool) -> bool {
    let found = |pattern: &P| values.iter().any(|value| matches(pattern, value));
    match how {
        MatchKind::Any => patterns.iter().any(found),
        // Nothing to look for is nothing found.
        MatchKind::All => !patterns.is_empty() && patterns.iter().all(found),
        MatchKind::Invert => !patterns.iter().any(found),
    }
}

fn within(nets: &[ipnet::IpNet], address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| nets.iter().any(|net| net.contains(&address)))
}
