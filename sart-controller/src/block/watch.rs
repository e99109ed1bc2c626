//! Which pools a change of a request or a block concerns, and since when each block of a lost node is known to be one.

use core::time::Duration;

use kube::ResourceExt as _;
use sart_api::{AddressBlock, AddressType, BlockRequest, keys};

use crate::block::observe::life;
use crate::cache::Cache;
use crate::key::{Key, Name};
use crate::meta;
use crate::world::{Watched, World};

impl Watched for BlockRequest {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.requests
    }

    fn touches(_world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        old.or(new).map(|request| Key::Blocks(request.spec.pool.clone())).into_iter().collect()
    }
}

impl Watched for AddressBlock {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.blocks
    }

    fn touches(world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        let block = old.or(new).filter(|block| block.spec.type_ == AddressType::Pod);
        let pool = block.map(|block| block.spec.pool_ref.clone());
        // A name that becomes free, or a prefix of a pool that is gone, may serve another pool's request.
        let freed = if new.is_none() { world.pod_pools() } else { Default::default() };
        let mut pools: Vec<String> = freed.into_iter().chain(pool).collect();
        pools.sort();
        pools.dedup();
        std::iter::once(Key::Pools).chain(pools.into_iter().map(Key::Blocks)).collect()
    }
}

/// Notes since when this process knows that the node of each block of the pool is lost.
pub fn note_lost(world: &mut World, pool: &str, now: Duration) {
    let ours: Vec<_> = world.blocks.values().filter(|b| b.spec.pool_ref == pool).cloned().collect();
    for block in ours {
        let uid = meta::uid(&*block);
        let lost = block.spec.node_ref.as_deref().is_some_and(|node| life(world, node).is_lost());
        if lost {
            world.lost_since.entry(uid.to_owned()).or_insert(now);
        } else {
            world.lost_since.remove(uid);
        }
    }
}

/// Pools whose requests or blocks name the node.
#[must_use]
pub fn pools_of_node(world: &World, node: &str) -> Vec<Key> {
    let requests = world.requests.values().filter(|r| r.spec.node == node).map(|r| r.spec.pool.clone());
    let blocks = world.blocks.values().filter(|b| b.spec.node_ref.as_deref() == Some(node));
    let mut pools: Vec<String> = requests.chain(blocks.map(|b| b.spec.pool_ref.clone())).collect();
    pools.sort();
    pools.dedup();
    pools.into_iter().map(Key::Blocks).collect()
}

/// Pools with a block of a lost node: what a node says of such blocks concerns them.
#[must_use]
pub fn pools_with_lost(world: &World) -> Vec<Key> {
    let marked = world.blocks.values().filter(|b| b.labels().contains_key(keys::BLOCK_LOST));
    let mut pools: Vec<String> = marked.map(|b| b.spec.pool_ref.clone()).collect();
    pools.sort();
    pools.dedup();
    pools.into_iter().map(Key::Blocks).collect()
}

/// The pool an advertisement's block is from.
#[must_use]
pub fn pool_of_advert(world: &World, advert: &sart_api::BGPAdvertisement) -> Option<Key> {
    let owner = meta::owner(advert, "AddressBlock")?;
    let block = world.blocks.get(&Name::cluster(&owner.name));
    let label = || advert.labels().get(keys::ADDRESS_POOL).cloned();
    Some(Key::Blocks(block.map(|b| b.spec.pool_ref.clone()).or_else(label)?))
}
