//! The addresses of one node: its confirmed blocks, who holds what, and what cools down. An address has at most one holder.
//!
//! It is a cache of three truths (journal, kernel, blocks in the API) and is rebuilt from them: [`Ledger::put_block`] and
//! [`Ledger::adopt`] in any order give the same ledger.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::free;

/// A block of this node, as a read of the API server confirmed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// Name of the AddressBlock.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// Its prefix.
    pub net: IpNet,
    /// Whether new addresses may come from it.
    pub state: BlockState,
    /// Skip IPv4 addresses that end in .0 and .255.
    pub avoid_buggy: bool,
}

/// What a block may be used for. Addresses held in it stay held in every state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BlockState {
    /// Its claim is confirmed, its covering route does not stand yet: nothing comes from it now.
    Waiting,
    /// New addresses come from it.
    Open,
    /// It is being given back: nothing comes from it any more.
    Leaving,
}

/// One address given to an attachment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Given {
    /// The address.
    pub address: IpAddr,
    /// The pool it is from.
    pub pool: String,
    /// The block it is from.
    pub block: String,
}

/// Whether an address may be given again before it has cooled down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reuse {
    /// Only cooled ones.
    #[default]
    Cooled,
    /// The longest cooling one when nothing else is left: the pool is exhausted and a pod would not start at all.
    UnderPressure,
}

/// How a pool stands on this node; addresses of closed blocks are not free.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// May be given now.
    pub free: u128,
    /// Released not long ago.
    pub cooling: usize,
    /// Held by attachments.
    pub held: usize,
    /// Blocks, open or not.
    pub blocks: usize,
}

/// Why an attachment gets nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AllocateError {
    /// The node has no block of the pool yet.
    #[error("this node has no block of AddressPool {pool:?} yet; it has been asked for")]
    NoBlock {
        /// The pool.
        pool: String,
    },
    /// Nothing is free.
    #[error(
        "no free address of AddressPool {pool:?} on this node: {held} held, {cooling} cooling down; another block has been asked for"
    )]
    Full {
        /// The pool.
        pool: String,
        /// Addresses in use.
        held: usize,
        /// Addresses cooling down.
        cooling: usize,
    },
    /// The attachment has addresses of other pools.
    #[error("the attachment already holds {held}, which is not what it asks for now; delete it first")]
    HoldsOther {
        /// What it holds, in words.
        held: String,
    },
}

impl AllocateError {
    /// The word used in errors of the CNI, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoBlock { .. } => "NoBlock",
            Self::Full { .. } => "BlocksFull",
            Self::HoldsOther { .. } => "HoldsOther",
        }
    }
}

/// Why an address cannot be taken over from the journal or the kernel.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{address} is already held by another attachment; see `sart cni check`")]
pub struct AdoptError {
    /// The address with two holders.
    pub address: IpAddr,
}

/// Who holds what. `K` names an attachment: network, container id and interface name.
#[derive(Clone, Debug)]
pub struct Ledger<K> {
    blocks: BTreeMap<String, Block>,
    holders: BTreeMap<IpAddr, K>,
    held: BTreeMap<K, Vec<IpAddr>>,
    /// Address → when it has cooled down.
    cooling: BTreeMap<IpAddr, Duration>,
    cool_down: Duration,
}

impl<K: Ord + Clone> Ledger<K> {
    /// An empty ledger whose released addresses rest for `cool_down`. Every `now` is a time since one fixed moment.
    #[must_use]
    pub fn new(cool_down: Duration) -> Self {
        Self {
            blocks: BTreeMap::new(),
            holders: BTreeMap::new(),
            held: BTreeMap::new(),
            cooling: BTreeMap::new(),
            cool_down,
        }
    }

    /// How long a released address rests.
    #[must_use]
    pub fn cool_down(&self) -> Duration {
        self.cool_down
    }

    /// Takes a block of this node, or its newer state.
    pub fn put_block(&mut self, block: Block) {
        self.blocks.insert(block.name.clone(), block);
    }

    /// Changes what a block may be used for; false if the node has no such block.
    pub fn set_block_state(&mut self, name: &str, state: BlockState) -> bool {
        let block = self.blocks.get_mut(name);
        block.map(|block| block.state = state).is_some()
    }

    /// Forgets a block that is this node's no more; who still holds an address of it is returned and keeps it.
    pub fn remove_block(&mut self, name: &str) -> Vec<(IpAddr, K)> {
        let Some(block) = self.blocks.remove(name) else { return Vec::new() };
        let stranded = self.holders_in(block.net).map(|(address, key)| (*address, key.clone())).collect();
        self.cooling.retain(|address, _| !block.net.contains(address));
        stranded
    }

    /// Every block, by name.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.values()
    }

    /// One block.
    #[must_use]
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.get(name)
    }

    /// Gives one address of each pool, all or nothing. Who asks again gets what it holds.
    ///
    /// # Errors
    /// A pool has nothing to give here, or the attachment holds something else.
    pub fn allocate<P: AsRef<str>>(
        &mut self,
        key: &K,
        pools: &[P],
        now: Duration,
        reuse: Reuse,
    ) -> Result<Vec<Given>, AllocateError> {
        if let Some(held) = self.held.get(key) {
            return self.again(held, pools);
        }
        let chosen: Result<Vec<Given>, _> =
            pools.iter().map(|pool| self.pick(pool.as_ref(), now, reuse)).collect();
        let chosen = chosen?;
        for given in &chosen {
            self.hold(key, given.address);
        }
        Ok(chosen)
    }

    /// Takes over what an attachment is known to hold, from the journal or the kernel; all or nothing.
    ///
    /// # Errors
    /// Another attachment holds one of the addresses.
    pub fn adopt(&mut self, key: &K, addresses: &[IpAddr]) -> Result<(), AdoptError> {
        let other = |address: &&IpAddr| self.holders.get(address).is_some_and(|holder| holder != key);
        if let Some(address) = addresses.iter().find(other) {
            return Err(AdoptError { address: *address });
        }
        for address in addresses {
            self.hold(key, *address);
        }
        Ok(())
    }

    /// Takes everything back from an attachment; the addresses cool down from now on. Again, it does nothing.
    pub fn release(&mut self, key: &K, now: Duration) -> Vec<IpAddr> {
        let addresses = self.held.remove(key).unwrap_or_default();
        for address in &addresses {
            self.holders.remove(address);
            self.rest(*address, now + self.cool_down);
        }
        addresses
    }

    /// Gives an address nobody until `until`: a release that the journal remembers, or an address seen in use elsewhere.
    pub fn rest(&mut self, address: IpAddr, until: Duration) {
        if !self.holders.contains_key(&address) {
            let at = self.cooling.entry(address).or_insert(until);
            *at = until.max(*at);
        }
    }

    /// What an attachment holds, in the order it was given.
    #[must_use]
    pub fn held_by(&self, key: &K) -> &[IpAddr] {
        self.held.get(key).map_or(&[], Vec::as_slice)
    }

    /// Who holds an address.
    #[must_use]
    pub fn holder(&self, address: IpAddr) -> Option<&K> {
        self.holders.get(&address)
    }

    /// Every attachment and what it holds.
    pub fn attachments(&self) -> impl Iterator<Item = (&K, &[IpAddr])> {
        self.held.iter().map(|(key, addresses)| (key, addresses.as_slice()))
    }

    /// How many addresses of the block are held, and how many still cool down.
    #[must_use]
    pub fn in_use(&self, block: &Block, now: Duration) -> (usize, usize) {
        (self.holders_in(block.net).count(), self.cooling_in(block.net, now).count())
    }

    /// How a pool stands.
    #[must_use]
    pub fn counts(&self, pool: &str, now: Duration) -> Counts {
        let mut counts = Counts::default();
        for block in self.blocks.values().filter(|block| block.pool == pool) {
            let (held, cooling) = self.in_use(block, now);
            counts.held += held;
            counts.cooling += cooling;
            counts.blocks += 1;
            if block.state == BlockState::Open {
                counts.free = counts.free.saturating_add(self.free_in(block, now));
            }
        }
        counts
    }

    /// How many addresses of a pool may be given now.
    #[must_use]
    pub fn free_count(&self, pool: &str, now: Duration) -> u128 {
        self.counts(pool, now).free
    }

    /// How many addresses of the block, open or not, neither are held nor cool down.
    #[must_use]
    pub fn free_in(&self, block: &Block, now: Duration) -> u128 {
        let usable = |address: &IpAddr| !(block.avoid_buggy && free::is_buggy(*address));
        let taken = self.taken(block.net, now).filter(usable).count();
        free::size(block.net, block.avoid_buggy).saturating_sub(u128::try_from(taken).unwrap_or(u128::MAX))
    }

    fn again<P: AsRef<str>>(&self, held: &[IpAddr], pools: &[P]) -> Result<Vec<Given>, AllocateError> {
        let given = |(address, pool): (&IpAddr, &P)| {
            let mut blocks = self.blocks.values();
            let block = blocks.find(|b| b.net.contains(address) && b.pool == pool.as_ref())?;
            Some(Given { address: *address, pool: block.pool.clone(), block: block.name.clone() })
        };
        let same: Option<Vec<Given>> = held.iter().zip(pools).map(given).collect();
        same.filter(|same| same.len() == pools.len() && held.len() == pools.len()).ok_or_else(|| {
            let list: Vec<String> = held.iter().map(ToString::to_string).collect();
            AllocateError::HoldsOther { held: list.join(", ") }
        })
    }

    /// The lowest free address of the pool's open blocks.
    fn pick(&self, pool: &str, now: Duration, reuse: Reuse) -> Result<Given, AllocateError> {
        let mut blocks: Vec<&Block> = self.blocks.values().filter(|b| b.pool == pool).collect();
        if blocks.is_empty() {
            return Err(AllocateError::NoBlock { pool: pool.to_owned() });
        }
        blocks.sort_by_key(|block| block.net);
        blocks.retain(|block| block.state == BlockState::Open);
        let lowest = |block: &&Block| {
            let address = free::lowest(block.net, block.avoid_buggy, self.taken(block.net, now))?;
            Some(Given { address, pool: pool.to_owned(), block: block.name.clone() })
        };
        let found = blocks.iter().find_map(lowest);
        let found = found.or_else(|| (reuse == Reuse::UnderPressure).then(|| self.warm(&blocks)).flatten());
        found.ok_or_else(|| {
            let counts = self.counts(pool, now);
            AllocateError::Full { pool: pool.to_owned(), held: counts.held, cooling: counts.cooling }
        })
    }

    /// The address that has cooled longest.
    fn warm(&self, blocks: &[&Block]) -> Option<Given> {
        let of = |address: &IpAddr| {
            blocks.iter().find(|b| b.net.contains(address) && !(b.avoid_buggy && free::is_buggy(*address)))
        };
        let mut cooling: Vec<(&Duration, &IpAddr)> =
            self.cooling.iter().map(|(a, until)| (until, a)).collect();
        cooling.sort();
        let (address, block) = cooling.iter().find_map(|(_, address)| Some((**address, of(address)?)))?;
        Some(Given { address, pool: block.pool.clone(), block: block.name.clone() })
    }

    fn hold(&mut self, key: &K, address: IpAddr) {
        self.cooling.remove(&address);
        self.holders.insert(address, key.clone());
        let list = self.held.entry(key.clone()).or_default();
        if !list.contains(&address) {
            list.push(address);
        }
    }

    /// Addresses of the prefix that cannot be given now, ascending.
    fn taken(&self, net: IpNet, now: Duration) -> impl Iterator<Item = IpAddr> {
        let mut held = self.holders_in(net).map(|(address, _)| *address).peekable();
        let mut cooling = self.cooling_in(net, now).peekable();
        core::iter::from_fn(move || match (held.peek(), cooling.peek()) {
            (Some(a), Some(b)) if a < b => held.next(),
            (Some(_), None) => held.next(),
            _ => cooling.next(),
        })
    }

    fn holders_in(&self, net: IpNet) -> impl Iterator<Item = (&IpAddr, &K)> {
        self.holders.range(net.network()..=net.broadcast())
    }

    fn cooling_in(&self, net: IpNet, now: Duration) -> impl Iterator<Item = IpAddr> {
        let range = self.cooling.range(net.network()..=net.broadcast());
        range.filter(move |(_, until)| **until > now).map(|(address, _)| *address)
    }
}
