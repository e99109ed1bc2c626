//! Turns sets, policies and a list of their names into a chain: names resolved, prefix sets in one trie, what is known
//! about the neighbour decided already. Must never change what a configuration means.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::as_path::AsPathPattern;
use super::check;
use super::community::{CommunityPattern, ExtCommunityPattern, LargeCommunityPattern};
use super::error::PolicyError;
use super::judge::{RejectReason, Rejection};
use super::model::{
    Actions, ChainConfig, Conditions, DefaultAction, DefinedSets, Direction, MatchKind, NamedSet,
    NextHopAction, NumberRange, Policy, PolicyConfig, PrefixRange, SetMatch, SourceKind, Then,
};
use super::node;
use super::trie::{PrefixTrie, Signature};
use crate::family::Family;
use crate::wire::attr::Origin;

/// A policy configuration that was found good, to make chains from.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    prefixes: BTreeMap<String, Arc<[PrefixRange]>>,
    as_paths: BTreeMap<String, Arc<[AsPathPattern]>>,
    communities: BTreeMap<String, Arc<[CommunityPattern]>>,
    ext_communities: BTreeMap<String, Arc<[ExtCommunityPattern]>>,
    large_communities: BTreeMap<String, Arc<[LargeCommunityPattern]>>,
    next_hops: BTreeMap<String, Arc<[IpNet]>>,
    neighbors: BTreeMap<String, Arc<[IpNet]>>,
    policies: BTreeMap<String, Policy>,
}

/// Whose chain it is.
#[derive(Clone, Copy, Debug)]
pub struct ChainOwner {
    /// The neighbour.
    pub neighbor: IpAddr,
    /// Which way.
    pub direction: Direction,
    /// Our AS number, for prepending.
    pub own_asn: u32,
}

/// The policies of one neighbour and direction, ready to judge routes. Equal chains answer alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    own_asn: u32,
    trie: PrefixTrie,
    steps: Vec<Step>,
    end: End,
    reads: Reads,
}

/// What becomes of a route that no statement decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Accept,
    Reject(RejectReason),
}

impl From<DefaultAction> for End {
    fn from(default: DefaultAction) -> Self {
        match default {
            DefaultAction::Accept => Self::Accept,
            DefaultAction::Reject => Self::Reject(RejectReason::Default),
        }
    }
}

/// One statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Bits of the signature that must be set.
    pub required: u128,
    /// Bits of the signature that must not be set.
    pub forbidden: u128,
    pub tests: Vec<Test>,
    pub actions: Actions,
    pub then: Then,
    pub reason: RejectReason,
    label: String,
}

/// One condition that does not depend on the prefix.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Test {
    AsPath(Arc<[AsPathPattern]>, MatchKind),
    AsPathLength(NumberRange),
    Communities(Arc<[CommunityPattern]>, MatchKind),
    ExtCommunities(Arc<[ExtCommunityPattern]>, MatchKind),
    LargeCommunities(Arc<[LargeCommunityPattern]>, MatchKind),
    /// The second says that being in the set fails.
    NextHop(Arc<[IpNet]>, bool),
    SourcePeer(Arc<[IpNet]>, bool),
    Source(SourceKind),
    Origin(Origin),
}

/// What besides attribute set and signature a chain's answer depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The next hop.
    pub next_hop: bool,
    /// Which neighbour sent the route.
    pub source_peer: bool,
    /// Whether the route is ours, internal or external.
    pub source_kind: bool,
}

impl Reads {
    fn of(steps: &[Step]) -> Self {
        let mut reads = Self::default();
        for test in steps.iter().flat_map(|step| &step.tests) {
            match test {
                Test::NextHop(..) => reads.next_hop = true,
                Test::SourcePeer(..) => reads.source_peer = true,
                Test::Source(_) => reads.source_kind = true,
                _ => {}
            }
        }
        // The neighbour's own address as next hop is the source's.
        reads.source_peer |= steps.iter().any(|step| step.actions.next_hop == Some(NextHopAction::Peer));
        reads
    }
}

impl Policies {
    /// Checks and takes over a configuration.
    ///
    /// # Errors
    /// The first fault found, with field and value.
    pub fn new(config: &PolicyConfig) -> Result<Self, PolicyError> {
        check::check(config)?;
        Ok(Self::compiled(config))
    }

    /// The same with the policies made from the node's rules, whose names a configuration cannot use.
    pub(crate) fn with_node(config: &PolicyConfig, node: &PolicyConfig) -> Result<Self, PolicyError> {
        let mut policies = Self::new(config)?;
        let node = Self::compiled(node);
        policies.prefixes.extend(node.prefixes);
        policies.policies.extend(node.policies);
        Ok(policies)
    }

    /// For a configuration that was checked, or made here.
    fn compiled(config: &PolicyConfig) -> Self {
        let DefinedSets {
            prefixes,
            as_paths,
            communities,
            ext_communities,
            large_communities,
            next_hops,
            neighbors,
        } = &config.sets;
        Self {
            prefixes: by_name(prefixes),
            as_paths: by_name(as_paths),
            communities: by_name(communities),
            ext_communities: by_name(ext_communities),
            large_communities: by_name(large_communities),
            next_hops: by_name(next_hops),
            neighbors: by_name(neighbors),
            policies: config.policies.iter().map(|policy| (policy.name.clone(), policy.clone())).collect(),
        }
    }

    /// The chain of one neighbour and direction. `field` is where the configuration names it, for the error.
    ///
    /// # Errors
    /// If a policy is not defined, changes the next hop in a way its direction cannot, or the chain asks about more than
    /// [`Signature::MAX_SETS`] prefix sets.
    pub fn chain(&self, config: &ChainConfig, owner: ChainOwner, field: &str) -> Result<Chain, PolicyError> {
        self.chain_to(&config.policies, config.default.into(), owner, field)
    }

    pub(crate) fn chain_to(
        &self,
        names: &[String],
        end: End,
        owner: ChainOwner,
        field: &str,
    ) -> Result<Chain, PolicyError> {
        let mut builder = Builder { policies: self, owner, numbers: BTreeMap::new(), steps: Vec::new() };
        for name in names {
            let policy = self
                .policies
                .get(name)
                .ok_or_else(|| PolicyError::invalid(field, name, "is not the name of a policy"))?;
            builder.policy(policy, field)?;
        }
        Ok(builder.finish(end))
    }
}

impl Chain {
    /// A chain without statements that takes everything.
    #[must_use]
    pub fn accept_all() -> Self {
        Self::without_steps(End::Accept)
    }

    /// A chain without statements that refuses everything, as RFC 8212 wants it for an external neighbour without policy.
    #[must_use]
    pub fn no_policy() -> Self {
        Self::without_steps(End::Reject(RejectReason::NoPolicy))
    }

    fn without_steps(end: End) -> Self {
        let (trie, reads) = (PrefixTrie::default(), Reads::default());
        Self(Arc::new(Inner { own_asn: 0, trie, steps: Vec::new(), end, reads }))
    }

    /// Everything the chain asks about a prefix.
    #[must_use]
    pub fn signature(&self, prefix: &IpNet) -> Signature {
        self.0.trie.signature(prefix)
    }

    /// Whether every route is taken unchanged.
    #[must_use]
    pub fn trivial(&self) -> bool {
        self.0.steps.is_empty() && self.0.end == End::Accept
    }

    /// What its answers depend on besides attribute set and signature.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.0.reads
    }

    /// A refusal in words: which statement of which policy, or that none decided.
    #[must_use]
    pub fn explain(&self, rejection: Rejection) -> String {
        let step = rejection.step.and_then(|step| self.0.steps.get(usize::from(step)));
        match (step, rejection.reason) {
            (Some(step), _) => step.label.clone(),
            (None, RejectReason::NoPolicy) => "external neighbor without policy (RFC 8212)".to_owned(),
            (None, _) => "default of the chain".to_owned(),
        }
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0.steps
    }

    pub(super) fn end(&self) -> End {
        self.0.end
    }

    pub(super) fn own_asn(&self) -> u32 {
        self.0.own_asn
    }
}

fn by_name<T: Clone>(sets: &[NamedSet<T>]) -> BTreeMap<String, Arc<[T]>> {
    sets.iter().map(|set| (set.name.clone(), Arc::from(set.members.as_slice()))).collect()
}

struct Builder<'a> {
    policies: &'a Policies,
    owner: ChainOwner,
    /// The signature's bit of each prefix set asked about.
    numbers: BTreeMap<&'a str, u8>,
    steps: Vec<Step>,
}

impl<'a> Builder<'a> {
    fn policy(&mut self, policy: &'a Policy, field: &str) -> Result<(), PolicyError> {
        for (index, statement) in policy.statements.iter().enumerate() {
            self.check_next_hop(policy, statement.actions.next_hop, field)?;
            let conditions = &statement.conditions;
            if !self.neighbor_fits(conditions.neighbor_set.as_ref()) {
                continue;
            }
            let (required, forbidden) = self.prefix_bits(conditions, field)?;
            let label = if statement.name.is_empty() {
                format!("policy {}, statement {index}", policy.name)
            } else {
                format!("policy {}, statement {}", policy.name, statement.name)
            };
            self.steps.push(Step {
                required,
                forbidden,
                tests: self.policies.tests(conditions),
                actions: statement.actions.clone(),
                then: statement.then,
                reason: node::reason_of(&policy.name, &statement.name),
                label,
            });
        }
        Ok(())
    }

    /// What the direction cannot do is refused, not ignored.
    fn check_next_hop(
        &self,
        policy: &Policy,
        action: Option<NextHopAction>,
        field: &str,
    ) -> Result<(), PolicyError> {
        let rule = match (self.owner.direction, action) {
            (Direction::Import, Some(NextHopAction::Own | NextHopAction::Unchanged)) => {
                "sets next_hop to self or unchanged, which is for export"
            }
            (Direction::Export, Some(NextHopAction::Peer)) => "sets next_hop to peer, which is for import",
            _ => return Ok(()),
        };
        Err(PolicyError::invalid(field, &policy.name, rule))
    }

    /// Whose chain it is does not change: the condition is decided here.
    fn neighbor_fits(&self, condition: Option<&SetMatch>) -> bool {
        condition.is_none_or(|condition| {
            let nets = self.policies.neighbors.get(&condition.set);
            let inside = nets.is_some_and(|nets| nets.iter().any(|net| net.contains(&self.owner.neighbor)));
            inside != (condition.how == MatchKind::Invert)
        })
    }

    fn prefix_bits(&mut self, conditions: &'a Conditions, field: &str) -> Result<(u128, u128), PolicyError> {
        let (mut required, mut forbidden) = (0, 0);
        if let Some(family) = conditions.family {
            *(if family == Family::IPV6_UNICAST { &mut required } else { &mut forbidden }) |= Signature::V6;
        }
        if let Some(condition) = &conditions.prefix_set {
            let next = self.numbers.len();
            let number = *self.numbers.entry(&condition.set).or_insert(next.min(Signature::MAX_SETS) as u8);
            if usize::from(number) >= Signature::MAX_SETS {
                return Err(PolicyError::invalid(
                    field,
                    &condition.set,
                    "is one prefix set too many: a chain may ask about 127 different ones",
                ));
            }
            let bit = 1 << number;
            *(if condition.how == MatchKind::Invert { &mut forbidden } else { &mut required }) |= bit;
        }
        Ok((required, forbidden))
    }

    fn finish(self, end: End) -> Chain {
        let mut trie = PrefixTrie::default();
        for (name, number) in &self.numbers {
            for range in self.policies.prefixes.get(*name).into_iter().flat_map(|set| set.iter()) {
                trie.insert(range, *number);
            }
        }
        let reads = Reads::of(&self.steps);
        Chain(Arc::new(Inner { own_asn: self.owner.own_asn, trie, steps: self.steps, end, reads }))
    }
}

impl Policies {
    fn tests(&self, conditions: &Conditions) -> Vec<Test> {
        let mut tests = Vec::new();
        if let Some(condition) = &conditions.source_set {
            tests.push(Test::SourcePeer(
                members(&self.neighbors, condition),
                condition.how == MatchKind::Invert,
            ));
        }
        tests.extend(conditions.source.map(Test::Source));
        tests.extend(conditions.origin.map(Test::Origin));
        if let Some(condition) = &conditions.next_hop_set {
            tests
                .push(Test::NextHop(members(&self.next_hops, condition), condition.how == MatchKind::Invert));
        }
        tests.extend(conditions.as_path_length.map(Test::AsPathLength));
        if let Some(condition) = &conditions.community_set {
            tests.push(Test::Communities(members(&self.communities, condition), condition.how));
        }
        if let Some(condition) = &conditions.ext_community_set {
            tests.push(Test::ExtCommunities(members(&self.ext_communities, condition), condition.how));
        }
        if let Some(condition) = &conditions.large_community_set {
            tests.push(Test::LargeCommunities(members(&self.large_communities, condition), condition.how));
        }
        if let Some(condition) = &conditions.as_path_set {
            tests.push(Test::AsPath(members(&self.as_paths, condition), condition.how));
        }
        tests
    }
}

/// The set was found when the configuration was checked.
fn members<T>(sets: &BTreeMap<String, Arc<[T]>>, condition: &SetMatch) -> Arc<[T]>
where
    T: Clone,
{
    sets.get(&condition.set).cloned().unwrap_or_else(|| Arc::from([].as_slice()))
}
