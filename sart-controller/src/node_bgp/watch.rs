//! Which plans a change of a node, its NodeBGP or its peers concerns.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use sart_api::{BGPPeer, NodeBGP};

use super::observe::internal_address;
use crate::advertisement;
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
        if old.map(facts) == new.map(facts) {
            return Vec::new();
        }
        let node = old.or(new).map(|n| Key::Node(n.name_any()));
        node.into_iter().chain(world.cluster_keys()).collect()
    }
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
