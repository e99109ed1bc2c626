//! What follows for this node's blocks: which may be used and announced, which covering routes stand, what is asked for and
//! what is given back. Pure. The order of giving back is in the plan: closed, withdrawn, route gone, then released.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::IpNet;
use sart_ipam::pod::{Block, BlockState, Ledger, PodPool, Want, need};

use super::view::{BlockFact, View};

/// How far the executors are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Covering routes that stand.
    pub standing: BTreeSet<IpNet>,
    /// Own blocks that the speaker announces; `None` while that is not known.
    pub announced: Option<BTreeSet<IpNet>>,
    /// The CNI server has told the ledger what every pod holds: what looks free is free.
    pub adopted: bool,
    /// UIDs of blocks being given back. Once in, a block stays in until it is gone.
    pub leaving: BTreeSet<String>,
}

/// What the node asks of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestWant {
    /// Blocks in all, those given back not counted.
    pub blocks: u32,
    /// UIDs of blocks that nothing uses or announces any more.
    pub release: BTreeSet<String>,
}

/// The desired state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Covering routes.
    pub routes: BTreeSet<IpNet>,
    /// Blocks to announce, by name.
    pub announce: BTreeMap<String, IpNet>,
    /// State of each block in the ledger, by name.
    pub blocks: BTreeMap<String, Block>,
    /// Requests by pool; a pool that is not in it needs none.
    pub requests: BTreeMap<String, RequestWant>,
    /// UIDs of blocks being given back, for the next [`Progress`].
    pub leaving: BTreeSet<String>,
}

/// Plans the node's blocks. `pending` counts the pods per pool that hold nothing yet.
pub fn plan<K: Ord + Clone>(
    view: &View,
    ledger: &Ledger<K>,
    progress: &Progress,
    pending: &BTreeMap<String, usize>,
    now: Duration,
) -> Desired {
    let mut desired = Desired { leaving: leaving(view, progress), ..Desired::default() };
    let asker = Asker { view, ledger, progress, now };
    for (name, fact) in &view.blocks {
        let state = state(fact, progress, &desired.leaving);
        if state == BlockState::Open {
            desired.announce.insert(name.clone(), fact.net);
        }
        if state != BlockState::Leaving || !is_withdrawn(fact, progress) {
            desired.routes.insert(fact.net);
        }
        let avoid_buggy = view.pools.get(&fact.pool).is_some_and(|pool| pool.avoid_buggy);
        let block = Block { name: name.clone(), pool: fact.pool.clone(), net: fact.net, state, avoid_buggy };
        desired.blocks.insert(name.clone(), block);
    }
    if progress.adopted && view.synced.all() {
        asker.ask(pending, &mut desired);
    }
    desired
}

/// What was given back before, by this process or an earlier one, as far as it is still there.
fn leaving(view: &View, progress: &Progress) -> BTreeSet<String> {
    let released = view.requests.values().flat_map(|request| &request.release);
    let known: BTreeSet<&String> = view.blocks.values().map(|block| &block.uid).collect();
    released.chain(&progress.leaving).filter(|uid| known.contains(uid)).cloned().collect()
}

fn state(fact: &BlockFact, progress: &Progress, leaving: &BTreeSet<String>) -> BlockState {
    if fact.going || leaving.contains(&fact.uid) {
        BlockState::Leaving
    } else if progress.standing.contains(&fact.net) {
        BlockState::Open
    } else {
        BlockState::Waiting
    }
}

fn is_withdrawn(fact: &BlockFact, progress: &Progress) -> bool {
    progress.announced.as_ref().is_some_and(|announced| !announced.contains(&fact.net))
}

/// What asking and giving back is decided from.
struct Asker<'a, K> {
    view: &'a View,
    ledger: &'a Ledger<K>,
    progress: &'a Progress,
    now: Duration,
}

impl<K: Ord + Clone> Asker<'_, K> {
    fn ask(&self, pending: &BTreeMap<String, usize>, desired: &mut Desired) {
        let used = self.view.blocks.values().map(|block| &block.pool);
        let asked = self.view.requests.values().map(|request| &request.pool);
        let known = used.chain(asked).chain(self.view.pools.keys()).chain(pending.keys());
        for name in known.collect::<BTreeSet<&String>>() {
            let pending = pending.get(name).copied().unwrap_or_default();
            let need = need(self.ledger, &want(self.view.pools.get(name), name, pending), self.now);
            for block in &need.release {
                self.close(block, desired);
            }
            let release = self.released(name, desired);
            let blocks = u32::try_from(need.blocks).unwrap_or(u32::MAX);
            let any = self.view.blocks.values().any(|fact| fact.pool == *name);
            if blocks > 0 || any {
                desired.requests.insert(name.clone(), RequestWant { blocks, release });
            }
        }
    }

    fn close(&self, name: &str, desired: &mut Desired) {
        desired.leaving.extend(self.view.blocks.get(name).map(|fact| fact.uid.clone()));
        if let Some(block) = desired.blocks.get_mut(name) {
            block.state = BlockState::Leaving;
        }
        desired.announce.remove(name);
    }

    /// Blocks of the pool that nothing uses, announces or covers any more.
    fn released(&self, pool: &str, desired: &Desired) -> BTreeSet<String> {
        let gone = |fact: &&BlockFact| {
            let leaves = desired.leaving.contains(&fact.uid) && fact.pool == pool;
            leaves && is_withdrawn(fact, self.progress) && !self.progress.standing.contains(&fact.net)
        };
        self.view.blocks.values().filter(gone).map(|fact| fact.uid.clone()).collect()
    }
}

/// A pool that is gone gives nothing new; what the node has of it drains.
fn want(pool: Option<&PodPool>, name: &str, pending: usize) -> Want {
    match pool {
        None => Want {
            pool: name.to_owned(),
            max_len: 32,
            block_len: 32,
            pending: 0,
            standing: false,
            closed: true,
        },
        Some(pool) => Want {
            pool: name.to_owned(),
            max_len: pool.net.max_prefix_len(),
            block_len: pool.block_len,
            pending,
            standing: pool.auto_assign,
            closed: !pool.accepted || pool.disabled,
        },
    }
}
