//! Pools and blocks as they stand.

use std::sync::Arc;

use sart_api::{AddressBlock, AddressPool};

use crate::world::World;

/// What decides about pools.
#[derive(Debug)]
pub struct Observed {
    /// Every pool, by name.
    pub pools: Vec<Arc<AddressPool>>,
    /// Every block, by name.
    pub blocks: Vec<Arc<AddressBlock>>,
}

/// Reads pools and blocks from the caches.
#[must_use]
pub fn observe(world: &World) -> Observed {
    Observed {
        pools: world.pools.values().cloned().collect(),
        blocks: world.blocks.values().cloned().collect(),
    }
}
