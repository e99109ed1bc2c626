//! Which chains a neighbour has: the rules of the node first, then the neighbour's own policies, then the default, which
//! for an external neighbour without explicit policy is RFC 8212's. Must never let a chain go around the node's rules.

use core::net::IpAddr;

use super::{Config, ConfigError, Global, NeighborConfig, TransitPolicy};
use crate::policy::{
    Chain, ChainOwner, DefaultAction, Direction, End, NodeRules, Policies, PolicyConfig, RejectReason,
    node_names, node_policies,
};

/// The chains of one neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerPolicies {
    /// Judges what it sends.
    pub import: Chain,
    /// Judges what it is told.
    pub export: Chain,
}

impl PeerPolicies {
    /// Chains that take and tell everything, for tests and for tables without configuration.
    #[must_use]
    pub fn accept_all() -> Self {
        Self { import: Chain::accept_all(), export: Chain::accept_all() }
    }
}

/// What a chain is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveChain {
    /// Names of the policies asked, those of the node's rules first.
    pub policies: Vec<String>,
    /// What becomes of a route that no statement decided about.
    pub end: ChainEnd,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    /// It is taken.
    Accept,
    /// It is refused.
    Reject,
    /// It is refused because the neighbour is external and has no explicit policy (RFC 8212).
    NoPolicy,
}

/// Everything that chains are made of.
#[derive(Clone, Debug)]
pub struct PolicySource {
    policies: Policies,
    node: PolicyConfig,
    asn: u32,
    requires_policy: bool,
    /// The node's rules by themselves are an explicit policy.
    import_is_explicit: bool,
    export_is_explicit: bool,
}

impl PolicySource {
    /// Checks the sets and policies of `config` and compiles them together with the node's rules.
    ///
    /// # Errors
    /// The first fault of a set or policy.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let global = &config.global;
        let node = node_policies(&global.node_rules());
        Ok(Self {
            policies: Policies::with_node(&config.policy, &node)?,
            node,
            asn: global.asn,
            requires_policy: global.ebgp_requires_policy,
            import_is_explicit: !global.import.accept_all,
            export_is_explicit: global.transit == TransitPolicy::LocalOnly,
        })
    }

    /// The policies made from the node's rules, as [`Config::policy`] would say them.
    #[must_use]
    pub const fn generated(&self) -> &PolicyConfig {
        &self.node
    }

    /// The chains of one neighbour.
    ///
    /// # Errors
    /// If one of its chains names what is not defined or cannot be done in its direction.
    pub fn of(&self, neighbor: &NeighborConfig) -> Result<PeerPolicies, ConfigError> {
        Ok(PeerPolicies {
            import: self.chain(neighbor, Direction::Import)?,
            export: self.chain(neighbor, Direction::Export)?,
        })
    }

    pub(super) fn check(&self, neighbors: &[NeighborConfig]) -> Result<(), ConfigError> {
        neighbors.iter().try_for_each(|neighbor| self.of(neighbor).map(|_| ()))
    }

    /// What one neighbour's chain of one direction is made of.
    #[must_use]
    pub fn effective(&self, neighbor: &NeighborConfig, direction: Direction) -> EffectiveChain {
        let (own, explicit) = match direction {
            Direction::Import => (neighbor.import.as_ref(), self.import_is_explicit),
            Direction::Export => (neighbor.export.as_ref(), self.export_is_explicit),
        };
        let denied = self.requires_policy && neighbor.asn != self.asn && !explicit;
        let end = match own.map(|chain| chain.default) {
            Some(DefaultAction::Accept) => ChainEnd::Accept,
            Some(DefaultAction::Reject) => ChainEnd::Reject,
            None if denied => ChainEnd::NoPolicy,
            None => ChainEnd::Accept,
        };
        let mut policies = node_names(&self.node, direction);
        policies.extend(own.into_iter().flat_map(|chain| chain.policies.iter().cloned()));
        EffectiveChain { policies, end }
    }

    fn chain(&self, neighbor: &NeighborConfig, direction: Direction) -> Result<Chain, ConfigError> {
        let EffectiveChain { policies, end } = self.effective(neighbor, direction);
        let end = match end {
            ChainEnd::Accept => End::Accept,
            ChainEnd::Reject => End::Reject(RejectReason::Default),
            ChainEnd::NoPolicy => End::Reject(RejectReason::NoPolicy),
        };
        let owner = ChainOwner { neighbor: neighbor.address, direction, own_asn: self.asn };
        let field = field_of(neighbor.address, direction);
        Ok(self.policies.chain_to(&policies, end, owner, &field)?)
    }
}

fn field_of(address: IpAddr, direction: Direction) -> String {
    format!("neighbors[{address}].{direction}.policies")
}

impl Global {
    fn node_rules(&self) -> NodeRules<'_> {
        NodeRules {
            accept_all: self.import.accept_all,
            ranges: &self.import.ranges,
            protected: &self.import.protected,
            local_only: self.transit == TransitPolicy::LocalOnly,
            leaving: self.graceful_shutdown,
        }
    }
}
