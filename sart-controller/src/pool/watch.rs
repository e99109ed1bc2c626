//! Which plans a change of a pool concerns.

use kube::ResourceExt as _;
use sart_api::{AddressPool, AddressType};

use crate::cache::Cache;
use crate::key::Key;
use crate::world::{Watched, World};

impl Watched for AddressPool {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.pools
    }

    fn touches(world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        // A pool that opens may serve whoever waits.
        let waiting = world.waiting.iter().cloned().map(Key::Service);
        let pod = old.or(new).filter(|pool| pool.spec.type_ == AddressType::Pod);
        let blocks = pod.map(|pool| Key::Blocks(pool.name_any()));
        // Every node imports the prefixes of pod pools.
        let nodes = pod.into_iter().flat_map(|_| world.node_keys());
        std::iter::once(Key::Pools).chain(waiting).chain(blocks).chain(nodes).collect()
    }
}
