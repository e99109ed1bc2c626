//! What a configuration says about routes: sets, policies and chains. Only data; it is checked and compiled elsewhere.

use core::fmt;
use core::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::as_path::AsPathPattern;
use super::community::{CommunityPattern, ExtCommunityPattern, LargeCommunityPattern};
use crate::family::Family;
use crate::wire::attr::Origin;

/// Every set and policy of a speaker; chains name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyConfig {
    /// Sets that conditions name.
    pub sets: DefinedSets,
    /// Policies, unique by name.
    pub policies: Vec<Policy>,
}

/// Sets by kind; a name is unique inside its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinedSets {
    /// Prefixes with ranges of lengths.
    pub prefixes: Vec<NamedSet<PrefixRange>>,
    /// Patterns over the printed AS path.
    pub as_paths: Vec<NamedSet<AsPathPattern>>,
    /// RFC 1997 communities.
    pub communities: Vec<NamedSet<CommunityPattern>>,
    /// RFC 4360 extended communities.
    pub ext_communities: Vec<NamedSet<ExtCommunityPattern>>,
    /// RFC 8092 large communities.
    pub large_communities: Vec<NamedSet<LargeCommunityPattern>>,
    /// Next hops, as addresses or prefixes that hold them.
    pub next_hops: Vec<NamedSet<IpNet>>,
    /// Neighbours, as addresses or prefixes that hold them.
    pub neighbors: Vec<NamedSet<IpNet>>,
}

/// A set with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSet<T> {
    /// The name, not empty.
    pub name: String,
    /// The members; an empty set matches nothing.
    pub members: Vec<T>,
}

/// Prefixes of some lengths inside a prefix, or the prefixes that hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PrefixRange {
    /// The prefix, without host bits.
    pub prefix: IpNet,
    /// The shortest length that matches; at least the prefix's own.
    pub ge: u8,
    /// The longest length that matches; at least `ge`.
    pub le: u8,
    /// Shorter prefixes that hold `prefix` match too; the default route, which holds everything, only if it is named.
    pub covering: bool,
}

impl PrefixRange {
    /// The prefix and nothing else.
    #[must_use]
    pub fn exact(prefix: IpNet) -> Self {
        Self { prefix, ge: prefix.prefix_len(), le: prefix.prefix_len(), covering: false }
    }

    /// The prefix and everything inside it.
    #[must_use]
    pub fn orlonger(prefix: IpNet) -> Self {
        Self { prefix, ge: prefix.prefix_len(), le: prefix.max_prefix_len(), covering: false }
    }

    /// The range that `ge` and `le` mean as they are usually written: neither is the prefix alone, `ge` alone reaches to
    /// host routes, `le` alone begins at the prefix's own length.
    #[must_use]
    pub fn written(prefix: IpNet, ge: Option<u8>, le: Option<u8>) -> Self {
        let own = prefix.prefix_len();
        let (ge, le) = match (ge, le) {
            (None, None) => (own, own),
            (Some(ge), None) => (ge, prefix.max_prefix_len()),
            (None, Some(le)) => (own, le),
            (Some(ge), Some(le)) => (ge, le),
        };
        Self { prefix, ge, le, covering: false }
    }

    /// Whether `candidate` matches; the trie answers the same for a whole set at once.
    #[must_use]
    pub fn contains(&self, candidate: &IpNet) -> bool {
        let inside = self.prefix.contains(candidate) && (self.ge..=self.le).contains(&candidate.prefix_len());
        inside || (self.covering && candidate.prefix_len() > 0 && candidate.contains(&self.prefix))
    }
}

/// A named list of statements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The name, not empty.
    pub name: String,
    /// Statements, asked in order.
    pub statements: Vec<Statement>,
}

/// If all conditions hold, the actions are done and `then` decides what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// A name for people; may be empty.
    pub name: String,
    /// What must hold; no condition holds always.
    pub conditions: Conditions,
    /// What is changed then.
    pub actions: Actions,
    /// What follows then.
    pub then: Then,
}

/// What follows a statement whose conditions hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// The next statement is asked, which sees the changes made so far.
    #[default]
    Next,
    /// The route is taken; no further statement or policy is asked.
    Accept,
    /// The route is refused; no further statement or policy is asked.
    Reject,
}

/// What must hold, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The prefix against a prefix set (`All` is the same as `Any`).
    pub prefix_set: Option<SetMatch>,
    /// The family of the prefix.
    pub family: Option<Family>,
    /// The AS path against an AS-path set.
    pub as_path_set: Option<SetMatch>,
    /// The number of ASes, as path selection counts them.
    pub as_path_length: Option<NumberRange>,
    /// RFC 1997 communities against a set.
    pub community_set: Option<SetMatch>,
    /// Extended communities against a set.
    pub ext_community_set: Option<SetMatch>,
    /// Large communities against a set.
    pub large_community_set: Option<SetMatch>,
    /// The next hop received against a set (`All` is the same as `Any`); an own path has none and is in no set.
    pub next_hop_set: Option<SetMatch>,
    /// The neighbour whose chain this is against a set: who sent the route on import, who gets it on export.
    pub neighbor_set: Option<SetMatch>,
    /// Who sent the route against a set, also on export; an own path is in no set.
    pub source_set: Option<SetMatch>,
    /// The kind of source.
    pub source: Option<SourceKind>,
    /// ORIGIN.
    pub origin: Option<Origin>,
}

/// A set and how it has to match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMatch {
    /// The set's name.
    pub set: String,
    /// How.
    pub how: MatchKind,
}

/// How the values of a route and the members of a set have to meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MatchKind {
    /// At least one member matches a value.
    #[default]
    Any,
    /// Every member matches some value.
    All,
    /// No member matches any value.
    Invert,
}

/// Numbers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRange {
    /// The least.
    pub min: u32,
    /// The greatest; at least `min`.
    pub max: u32,
}

/// Where a route comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceKind {
    /// This speaker originates it.
    Local,
    /// A neighbour of another AS.
    External,
    /// A neighbour of our AS.
    Internal,
}

/// What a statement changes. Nothing is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actions {
    /// Sets LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// Changes MULTI_EXIT_DISC.
    pub med: Option<MedChange>,
    /// Puts ASes in front of the AS path.
    pub prepend: Option<Prepend>,
    /// Sets ORIGIN.
    pub origin: Option<Origin>,
    /// Changes RFC 1997 communities.
    pub communities: ListChange<u32, CommunityPattern>,
    /// Changes extended communities.
    pub ext_communities: ListChange<u64, ExtCommunityPattern>,
    /// Changes large communities.
    pub large_communities: ListChange<[u32; 3], LargeCommunityPattern>,
    /// Changes the next hop.
    pub next_hop: Option<NextHopAction>,
}

/// A change of MULTI_EXIT_DISC. A route without counts as 0 (RFC 4271 section 9.1.2.2 c); results stay in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MedChange {
    /// To this value.
    Set(u32),
    /// Up by this much, at most to 4294967295.
    Add(u32),
    /// Down by this much, at least to 0.
    Subtract(u32),
}

/// ASes to put in front of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepend {
    /// The AS number; none takes our own.
    pub asn: Option<u32>,
    /// How often, 1 to [`Prepend::MAX_COUNT`].
    pub count: u8,
}

impl Prepend {
    /// The most repeats; longer paths are refused by some routers.
    pub const MAX_COUNT: u8 = 32;
}

/// A change of a list of communities: first `replace`, then `remove`, then `add`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListChange<V, P> {
    /// The new list, if any; empty drops the attribute.
    pub replace: Option<Vec<V>>,
    /// What matches goes.
    pub remove: Vec<P>,
    /// What is not there yet comes to the end.
    pub add: Vec<V>,
}

impl<V, P> Default for ListChange<V, P> {
    fn default() -> Self {
        Self { replace: None, remove: Vec::new(), add: Vec::new() }
    }
}

impl<V, P> ListChange<V, P> {
    /// Nothing is changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.replace.is_none() && self.remove.is_empty() && self.add.is_empty()
    }
}

/// A change of the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NextHopAction {
    /// Our own address on the neighbour's link; export only.
    Own,
    /// The one received, also to an external neighbour; export only.
    Unchanged,
    /// The address of the neighbour that sent the route; import only.
    Peer,
    /// This address. A route of a family that cannot have it keeps the next hop it has.
    Address(IpAddr),
}

/// What one neighbour and direction uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainConfig {
    /// Names of policies, asked in order.
    pub policies: Vec<String>,
    /// What happens to a route that no statement decided about.
    pub default: DefaultAction,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultAction {
    /// The route is refused: a policy says what may pass.
    #[default]
    Reject,
    /// The route is taken, with the changes made so far.
    Accept,
}

/// Which way routes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the neighbour.
    Import,
    /// To the neighbour.
    Export,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Import => "import",
            Self::Export => "export",
        })
    }
}
