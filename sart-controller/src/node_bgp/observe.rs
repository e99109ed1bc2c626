//! A node, the ClusterBGPs that select it, the templates, and what it has now.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use sart_api::condition::{self, ACCEPTED};
use sart_api::{AddressPool, AddressType, BGPPeer, BGPPeerTemplateSpec, ClusterBGP, NodeBGP};

use crate::key::Name;
use crate::meta;
use crate::world::World;

/// What decides about a node.
#[derive(Debug, Default)]
pub struct Observed {
    /// Its name.
    pub name: String,
    /// The node, unless it is gone.
    pub node: Option<Arc<Node>>,
    /// ClusterBGPs that select it, the oldest first.
    pub clusters: Vec<Arc<ClusterBGP>>,
    /// Prefixes of the accepted pod pools: pods of other nodes are reached by routes to their parts.
    pub pod_ranges: Vec<String>,
    /// Every template by name.
    pub templates: BTreeMap<String, BGPPeerTemplateSpec>,
    /// Its NodeBGP.
    pub node_bgp: Option<Arc<NodeBGP>>,
    /// BGPPeers that name it, by name.
    pub peers: Vec<Arc<BGPPeer>>,
    /// Names of BGPPeers of other nodes that a generated name could meet.
    pub foreign: Vec<Arc<BGPPeer>>,
}

/// Reads the caches.
#[must_use]
pub fn observe(world: &World, name: &str) -> Observed {
    let node = world.nodes.get(&Name::cluster(name)).filter(|n| !meta::is_going(&***n)).cloned();
    let selects = |c: &&Arc<ClusterBGP>| {
        !meta::is_going(&***c) && node.as_ref().is_some_and(|node| is_selected(c, node))
    };
    let mut clusters: Vec<_> = world.clusters.values().filter(selects).cloned().collect();
    clusters.sort_by_key(|c| (meta::created(&**c), c.name_any()));
    let (peers, foreign) = world.peers.values().cloned().partition(|p| p.spec.node_bgp_ref == name);
    Observed {
        name: name.to_owned(),
        clusters,
        pod_ranges: world.pools.values().filter(|p| is_pod_range(p)).map(|p| p.spec.cidr.clone()).collect(),
        templates: world.templates.values().map(|t| (t.name_any(), t.spec.clone())).collect(),
        node_bgp: world.node_bgps.get(&Name::cluster(name)).cloned(),
        peers,
        foreign,
        node,
    }
}

fn is_pod_range(pool: &AddressPool) -> bool {
    let conditions = pool.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    pool.spec.type_ == AddressType::Pod && condition::is_true(conditions, ACCEPTED)
}

/// Whether the ClusterBGP selects the node.
#[must_use]
pub fn is_selected(cluster: &ClusterBGP, node: &Node) -> bool {
    !meta::is_going(node) && meta::selects(cluster.spec.node_selector.as_ref(), node.labels())
}

/// The node's first InternalIP.
#[must_use]
pub fn internal_address(node: &Node) -> Option<String> {
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    let internal = |a: &&k8s_openapi::api::core::v1::NodeAddress| {
        a.type_ == "InternalIP" && a.address.parse::<core::net::Ipv4Addr>().is_ok()
    };
    addresses.iter().find(internal).map(|a| a.address.clone())
}
