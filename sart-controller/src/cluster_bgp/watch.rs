//! Which plans a change of a ClusterBGP or a template concerns.

use sart_api::{BGPPeerTemplate, ClusterBGP};

use crate::cache::Cache;
use crate::key::{Key, Name};
use crate::world::{Watched, World};

impl Watched for ClusterBGP {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.clusters
    }

    fn touches(world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        if let (Some(old), Some(new)) = (old, new)
            && old.metadata.generation == new.metadata.generation
            && old.metadata.uid == new.metadata.uid
        {
            return vec![Key::Cluster(Name::of(new).name)];
        }
        // One ClusterBGP decides who is first on a node, so the others' status may change with it.
        world.node_keys().into_iter().chain(world.cluster_keys()).collect()
    }
}

impl Watched for BGPPeerTemplate {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.templates
    }

    fn touches(world: &World, _old: Option<&Self>, _new: Option<&Self>) -> Vec<Key> {
        world.node_keys().into_iter().chain(world.cluster_keys()).collect()
    }
}
