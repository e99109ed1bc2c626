//! Which plans a change of a pool or a block concerns.

use sart_api::{AddressBlock, AddressPool};

use crate::cache::Cache;
use crate::key::Key;
use crate::world::{Watched, World};

impl Watched for AddressPool {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.pools
    }

    fn touches(world: &World, _old: Option<&Self>, _new: Option<&Self>) -> Vec<Key> {
        // A pool that opens may serve whoever waits.
        let waiting = world.waiting.iter().cloned().map(Key::Service);
        std::iter::once(Key::Pools).chain(waiting).collect()
    }
}

impl Watched for AddressBlock {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.blocks
    }

    fn touches(_world: &World, _old: Option<&Self>, _new: Option<&Self>) -> Vec<Key> {
        vec![Key::Pools]
    }
}
