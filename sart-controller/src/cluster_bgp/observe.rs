//! A ClusterBGP, the nodes it selects, and what each of them has.

use std::sync::Arc;

use kube::ResourceExt as _;
use sart_api::ClusterBGP;

use crate::key::Name;
use crate::node_bgp;
use crate::world::World;

/// A selected node.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub node: String,
    /// Its NodeBGP names this ClusterBGP.
    pub has_it: bool,
    /// What this ClusterBGP cannot give the node, as reason and message.
    pub problems: Vec<(&'static str, String)>,
}

/// What decides about the status.
#[derive(Debug)]
pub struct Observed {
    /// The ClusterBGP, if it exists.
    pub cluster: Option<Arc<ClusterBGP>>,
    /// Selected nodes, by name.
    pub members: Vec<Member>,
}

/// Reads the caches.
#[must_use]
pub fn observe(world: &World, name: &str) -> Observed {
    let Some(cluster) = world.clusters.get(&Name::cluster(name)).cloned() else {
        return Observed { cluster: None, members: Vec::new() };
    };
    let selected = world.nodes.values().filter(|n| node_bgp::observe::is_selected(&cluster, n));
    let members = selected.map(|node| member(world, &node.name_any(), name)).collect();
    Observed { cluster: Some(cluster), members }
}

fn member(world: &World, node: &str, cluster: &str) -> Member {
    let status = world.node_bgps.get(&Name::cluster(node)).and_then(|n| n.status.as_ref());
    let refs = status.and_then(|s| s.cluster_bgp_refs.as_deref()).unwrap_or_default();
    let wanted = node_bgp::plan::wanted(&node_bgp::observe(world, node));
    let problems = wanted.problems.into_iter().filter(|p| p.cluster == cluster);
    Member {
        node: node.to_owned(),
        has_it: refs.iter().any(|r| r == cluster),
        problems: problems.map(|p| (p.reason, p.message)).collect(),
    }
}
