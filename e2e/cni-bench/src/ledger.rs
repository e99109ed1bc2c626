//! The agent's own ledger of pod addresses with one confirmed block, as on a node whose blocks are there: no API server.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sart_agent::cni::{
    AddressError, AddressRequest, AttachmentKey, BlockUse, Holding, NotReady, PodAddress, PodAddresses,
};
use sart_ipam::pod::{Block, BlockState, Ledger, Reuse};

const POOL: &str = "default";

/// The ledger behind one lock.
pub struct Blocks {
    ledger: Mutex<Ledger<AttachmentKey>>,
    start: Instant,
}

impl Blocks {
    pub fn new() -> anyhow::Result<Self> {
        let mut ledger = Ledger::new(Duration::from_secs(120));
        ledger.put_block(Block {
            name: "default-0".into(),
            pool: POOL.into(),
            net: "10.1.0.0/16".parse()?,
            state: BlockState::Open,
            avoid_buggy: false,
        });
        Ok(Self { ledger: Mutex::new(ledger), start: Instant::now() })
    }

    fn lock(&self) -> MutexGuard<'_, Ledger<AttachmentKey>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn given(addresses: &[IpAddr]) -> Vec<PodAddress> {
    addresses.iter().map(|address| PodAddress { address: *address, pool: POOL.into() }).collect()
}

impl PodAddresses for Blocks {
    fn allocate(&self, request: &AddressRequest, _: Instant) -> Result<Vec<PodAddress>, AddressError> {
        let now = self.start.elapsed();
        let addresses = self.lock().allocate(&request.key, &[POOL], now, Reuse::Cooled);
        addresses
            .map(|all| given(&all.iter().map(|one| one.address).collect::<Vec<_>>()))
            .map_err(|error| AddressError::Exhausted(error.to_string()))
    }

    fn adopt(&self, key: &AttachmentKey, addresses: &[PodAddress]) -> Result<(), IpAddr> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|given| given.address).collect();
        self.lock().adopt(key, &addresses).map_err(|error| error.address)
    }

    fn cool(&self, address: &PodAddress, _: SystemTime) {
        let mut ledger = self.lock();
        let until = self.start.elapsed() + ledger.cool_down();
        ledger.rest(address.address, until);
    }

    fn release(&self, key: &AttachmentKey, _: SystemTime) {
        let now = self.start.elapsed();
        self.lock().release(key, now);
    }

    fn held(&self, key: &AttachmentKey) -> Vec<PodAddress> {
        given(self.lock().held_by(key))
    }

    fn holdings(&self) -> Vec<Holding> {
        let ledger = self.lock();
        let block = |address: &IpAddr| ledger.blocks().find(|block| block.net.contains(address));
        let held = ledger.attachments().flat_map(|(key, held)| held.iter().map(move |a| (key, a)));
        held.map(|(key, address)| Holding {
            key: key.clone(),
            address: *address,
            block: block(address).map(|block| block.name.clone()),
            leaked: false,
        })
        .collect()
    }

    fn blocks(&self) -> Vec<BlockUse> {
        let (now, ledger) = (self.start.elapsed(), self.lock());
        let row = |block: &Block| {
            let (held, cooling) = ledger.in_use(block, now);
            let free = i64::try_from(ledger.free_in(block, now)).unwrap_or(i64::MAX);
            BlockUse { pool: block.pool.clone(), name: block.name.clone(), free, held, cooling }
        };
        ledger.blocks().map(row).collect()
    }

    fn ready(&self) -> Result<(), NotReady> {
        Ok(())
    }
}
