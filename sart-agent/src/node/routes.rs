//! Which VIPs need a loop stopper: a packet for a VIP that nothing on this node translated would follow the default route
//! back to the router that sent it. The route sits in its own table behind a rule on the uplink, so that traffic of the
//! host itself to a VIP (translated by kube-proxy in OUTPUT, after routing) is not refused.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::observed::Observed;

/// Routing table of the stoppers.
pub const TABLE: u32 = 2179;
/// Preference of the rule that leads there.
pub const RULE_PREFERENCE: u32 = 31000;
/// Protocol id of route and rule.
pub const PROTOCOL: u8 = 187;

/// Unreachable routes and the uplinks whose traffic meets them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoopStoppers {
    /// Links named by the rules.
    pub uplinks: BTreeSet<String>,
    /// Prefixes to answer with unreachable.
    pub prefixes: BTreeSet<IpNet>,
}

/// Every VIP of the cluster: a router may still send for one that this node has just withdrawn.
pub(super) fn stoppers(observed: &Observed) -> LoopStoppers {
    LoopStoppers {
        uplinks: observed.uplinks.iter().flat_map(|uplinks| uplinks.keys().cloned()).collect(),
        prefixes: observed.adverts.items().map(|advert| advert.prefix).collect(),
    }
}
