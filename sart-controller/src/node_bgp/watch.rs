//! Which plans a change of a node, its NodeBGP or its peers concerns.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use sart_api::{BGPPeer, NodeBGP};

use super::observe::internal_address;
use crate::advertisement;
use crate::block;
use crate::block::observe::is_ready;
use crate::cache::Cache;
use crate::key::Key;
use crate::world::{Watched, World};

impl Watched for Node {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.nodes
    }

    fn touches(world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        // Heartbeats change nothing we read.
        let facts = |node: &Node| (node.uid(), node.labels().clone(), internal_address(node));
        let mut keys = blocks_touched(world, old, new);
        if old.map(facts) != new.map(facts) {
            keys.extend(old.or(new).map(|n| Key::Node(n.name_any())));
            keys.extend(world.cluster_keys());
        }
        keys
    }
}

/// Blocks wait for what a node's life and health say.
fn blocks_touched(world: &World, old: Option<&Node>, new: Option<&Node>) -> Vec<Key> {
    let life = |node: &Node| (node.uid(), crate::meta::is_out_of_service(node));
    let mut keys = Vec::new();
    if old.map(life) != new.map(life) {
        keys.extend(old.or(new).iter().flat_map(|n| block::watch::pools_of_node(world, &n.name_any())));
    }
    if old.map(is_ready) != new.map(is_ready) {
        keys.extend(block::watch::pools_with_lost(world));
    }
    keys
}

impl Watched for NodeBGP {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.node_bgps
    }

    fn index(world: &mut World, old: Option<&Self>, new: Option<&Self>) {
        advertisement::watch::index_reports(&mut world.announced, old, new);
    }

    fn touches(world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        let refs = |n: &NodeBGP| n.status.as_ref().and_then(|s| s.cluster_bgp_refs.clone());
        let facts = |n: &NodeBGP| (n.uid(), n.spec.clone(), refs(n), n.labels().clone());
        let mut keys = advertisement::watch::touched_by_reports(world, old, new);
        let lost = |n: &NodeBGP| n.status.as_ref().and_then(|s| s.lost_blocks.clone());
        if old.map(lost) != new.map(lost) {
            keys.extend(block::watch::pools_with_lost(world));
        }
        if old.map(facts) != new.map(facts) {
            keys.extend(old.or(new).map(|n| Key::Node(n.name_any())));
            keys.extend(world.cluster_keys());
        }
        keys
    }
}

impl Watched for BGPPeer {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.peers
    }

    fn touches(_world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        let facts = |p: &BGPPeer| (p.uid(), p.spec.clone(), p.labels().clone());
        if old.map(facts) == new.map(facts) {
            return Vec::new();
        }
        let nodes: BTreeSet<&str> =
            old.into_iter().chain(new).map(|p| p.spec.node_bgp_ref.as_str()).collect();
        nodes.into_iter().map(|node| Key::Node(node.to_owned())).collect()
    }
}
