//! What a speaker is told to be: identity, neighbours and own paths. Holds data and names what is wrong with it; must
//! never touch a session.

mod check;
mod decision;
mod features;
mod neighbor;
mod policy;
#[cfg(test)]
mod tests;
mod transport;

pub use self::decision::DecisionRules;
pub use self::features::Features;
pub use self::neighbor::*;
pub use self::transport::*;

pub(crate) use self::check::check_paths;
pub use self::policy::{ChainEnd, EffectiveChain, PeerPolicies, PolicySource};

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::policy::{PolicyConfig, PolicyError};
use crate::wire::attr::Origin;

/// The whole configuration of a speaker; [`crate::speaker::Speaker::apply_config`] makes the running one equal to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Identity and switches.
    pub global: Global,
    /// Neighbours, unique by address and by name.
    pub neighbors: Vec<NeighborConfig>,
    /// Paths this speaker originates, unique by prefix.
    pub paths: Vec<LocalPath>,
    /// Sets and policies that the neighbours' chains name.
    pub policy: PolicyConfig,
}

/// The speaker's identity and the rules that hold for all neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Global {
    /// Own AS number, 1 to 4294967294; 23456 (AS_TRANS) is refused.
    pub asn: u32,
    /// BGP identifier; 0.0.0.0 is refused (RFC 6286).
    pub router_id: Ipv4Addr,
    /// TCP port of the listener; 0 takes 179.
    pub port: u16,
    /// Our cluster as a route reflector (RFC 4456 section 7), not 0.0.0.0; none takes the router id.
    pub cluster_id: Option<Ipv4Addr>,
    /// How paths are compared and how many are used.
    pub decision: DecisionRules,
    /// A neighbour's path with an AS_SET in it is refused (RFC 9774).
    pub reject_as_sets: bool,
    /// What of others' routes is exported.
    pub transit: TransitPolicy,
    /// What is accepted from neighbours.
    pub import: ImportPolicy,
    /// An external neighbour without an explicit policy is told nothing and nothing of it is taken (RFC 8212). Explicit
    /// for import are a chain of its own and `import` without `accept_all`; for export a chain of its own and
    /// [`TransitPolicy::LocalOnly`].
    pub ebgp_requires_policy: bool,
    /// How far next hops are (RFC 4271 section 9.1.2.2 e); those not named are at distance 0.
    pub next_hop_metrics: BTreeMap<IpAddr, u32>,
    /// A path counts only while a next hop tracker says that its next hop can be reached (RFC 4271 section 9.1.2), at the
    /// distance that it says unless `next_hop_metrics` names one. Off, every next hop counts as reachable.
    #[serde(default)]
    pub track_next_hops: bool,
    /// This speaker goes away: everything it tells is marked as a last resort (RFC 8326).
    pub graceful_shutdown: bool,
}

impl Global {
    /// An identity with the defaults of a node speaker: port 179, no multipath, nothing imported, no transit.
    #[must_use]
    pub fn new(asn: u32, router_id: Ipv4Addr) -> Self {
        Self {
            asn,
            router_id,
            port: 0,
            cluster_id: None,
            decision: DecisionRules::default(),
            reject_as_sets: false,
            transit: TransitPolicy::default(),
            import: ImportPolicy::default(),
            ebgp_requires_policy: true,
            next_hop_metrics: BTreeMap::new(),
            track_next_hops: false,
            graceful_shutdown: false,
        }
    }

    /// The TCP port to listen on.
    #[must_use]
    pub const fn listen_port(&self) -> u16 {
        if self.port == 0 { BGP_PORT } else { self.port }
    }
}

/// The registered TCP port of BGP.
pub const BGP_PORT: u16 = 179;

/// What a session may export of what other neighbours sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransitPolicy {
    /// Only own paths: a node is no transit between its routers.
    #[default]
    LocalOnly,
    /// Best paths too (RFC 4271 section 9).
    Full,
}

/// Which prefixes neighbours may send. The default accepts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportPolicy {
    /// Accept every prefix that `protected` does not refuse.
    pub accept_all: bool,
    /// Accept these prefixes and any longer one inside them.
    pub ranges: Vec<IpNet>,
    /// Refuse what equals, lies inside or covers one of these, whatever the ranges say. The one exception is a default
    /// route that `ranges` names literally.
    pub protected: Vec<IpNet>,
}

/// A path that this speaker originates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalPath {
    /// The prefix, without host bits.
    pub prefix: IpNet,
    /// ORIGIN.
    pub origin: Origin,
    /// LOCAL_PREF towards iBGP neighbours and in our own decision; none means 100.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC, sent to eBGP and iBGP neighbours alike.
    pub med: Option<u32>,
    /// RFC 1997 communities as `asn << 16 | value`.
    pub communities: Vec<u32>,
    /// Export only to neighbours with one of these groups (or without any); empty exports to all.
    pub groups: Vec<String>,
}

impl LocalPath {
    /// A path with ORIGIN IGP and nothing else.
    #[must_use]
    pub const fn new(prefix: IpNet) -> Self {
        Self {
            prefix,
            origin: Origin::Igp,
            local_pref: None,
            med: None,
            communities: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Whether a neighbour with these groups gets the path.
    #[must_use]
    pub fn is_for(&self, groups: &[String]) -> bool {
        self.groups.is_empty() || groups.is_empty() || self.groups.iter().any(|group| groups.contains(group))
    }
}

/// Why a configuration was refused; the running one stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A field has a value that it may not have.
    #[error("{field} = {value:?}: {rule}")]
    Invalid {
        /// The field, with the object it belongs to: `neighbors[192.0.2.1].hold_time`.
        field: String,
        /// The value found.
        value: String,
        /// What the field accepts.
        rule: &'static str,
    },
    /// Two list entries have the same key.
    #[error("{field} = {value:?} is given twice; remove one")]
    Duplicate {
        /// The key field.
        field: String,
        /// The repeated value.
        value: String,
    },
    /// Something needs an identity and none was applied.
    #[error("no AS number and router id are configured; apply a global configuration first")]
    NoGlobal,
    /// A neighbour to change is not there.
    #[error("neighbor {address} is not configured; list the neighbors to see which are")]
    UnknownNeighbor {
        /// The address asked for.
        address: IpAddr,
    },
    /// A neighbour to add is there already.
    #[error("neighbor {address} is already configured as {name:?}; delete it first")]
    NeighborExists {
        /// The address given.
        address: IpAddr,
        /// The name it is configured under.
        name: String,
    },
}

impl From<PolicyError> for ConfigError {
    fn from(error: PolicyError) -> Self {
        let PolicyError { field, value, rule, duplicate } = error;
        if duplicate { Self::Duplicate { field, value } } else { Self::Invalid { field, value, rule } }
    }
}

impl ConfigError {
    /// The label for metrics and conditions.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "InvalidValue",
            Self::Duplicate { .. } => "Duplicate",
            Self::NoGlobal => "NoGlobal",
            Self::UnknownNeighbor { .. } => "UnknownNeighbor",
            Self::NeighborExists { .. } => "NeighborExists",
        }
    }
}
