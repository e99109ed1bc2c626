//! When a node needs another block of a pool, and which of its blocks it gives back. A low-water mark keeps addresses ready,
//! so that an ADD does not wait for the API server.

use core::time::Duration;

use super::ledger::{Block, BlockState, Ledger};

/// What a node wants of one pool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Want {
    /// The pool.
    pub pool: String,
    /// Prefix length of an address: 32 or 128.
    pub max_len: u8,
    /// Prefix length of the pool's blocks.
    pub block_len: u8,
    /// Pods of this node that draw from the pool and hold nothing of it yet.
    pub pending: usize,
    /// Any pod may come: keep a block and the low-water mark even when no pod is there (a default pool).
    pub standing: bool,
    /// The pool gives nothing new.
    pub closed: bool,
}

/// What to ask for and what to give back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Need {
    /// How many blocks the node wants to have in all, those it gives back not counted.
    pub blocks: usize,
    /// Blocks to give back, by name: nothing is held in them, nothing cools down.
    pub release: Vec<String>,
}

/// Addresses kept ready: a quarter of a block. Blocks of one address are claimed per pod and keep none.
#[must_use]
pub fn low_water(max_len: u8, block_len: u8) -> u128 {
    let bits = u32::from(max_len.saturating_sub(block_len));
    if bits == 0 { 0 } else { (1u128.checked_shl(bits).unwrap_or(u128::MAX) / 4).clamp(1, 64) }
}

/// Decides about one pool. What leaves already counts for nothing.
#[must_use]
pub fn need<K: Ord + Clone>(ledger: &Ledger<K>, want: &Want, now: Duration) -> Need {
    let ours = |block: &&Block| block.pool == want.pool && block.state != BlockState::Leaving;
    let mut blocks: Vec<&Block> = ledger.blocks().filter(ours).collect();
    // The highest empty block goes first: what stays is compact.
    blocks.sort_by_key(|block| core::cmp::Reverse(block.net));
    let mut free: u128 = blocks.iter().map(|block| ledger.free_in(block, now)).fold(0, u128::saturating_add);
    let wanted = goal(ledger, want, &blocks, now);
    // Twice the mark before a block goes: at the mark itself it would be asked for again with the next pod.
    let enough = if wanted == 0 { 0 } else { wanted + low_water(want.max_len, want.block_len) };
    let mut release = Vec::new();
    for block in &blocks {
        let size = ledger.free_in(block, now);
        let last = want.standing && !want.closed && blocks.len() - release.len() == 1;
        let spare = free.saturating_sub(size) >= enough && !last;
        if spare && ledger.in_use(block, now) == (0, 0) {
            free -= size;
            release.push(block.name.clone());
        }
    }
    let kept = blocks.len() - release.len();
    Need { blocks: kept + if want.closed { 0 } else { missing(want, free, wanted, kept) }, release }
}

/// How many free addresses the node wants: one per pending pod, and the low-water mark where pods are to be expected.
fn goal<K: Ord + Clone>(ledger: &Ledger<K>, want: &Want, blocks: &[&Block], now: Duration) -> u128 {
    if want.closed {
        return 0;
    }
    let pending = u128::try_from(want.pending).unwrap_or(u128::MAX);
    let expected = want.standing || blocks.iter().any(|block| ledger.in_use(block, now).0 > 0);
    pending + if expected { low_water(want.max_len, want.block_len) } else { 0 }
}

/// How many more blocks reach the goal.
fn missing(want: &Want, free: u128, wanted: u128, kept: usize) -> usize {
    let bits = u32::from(want.max_len.saturating_sub(want.block_len));
    let size = 1u128.checked_shl(bits).unwrap_or(u128::MAX);
    let short = wanted.saturating_sub(free).div_ceil(size);
    let first = usize::from(want.standing && kept == 0);
    usize::try_from(short).unwrap_or(usize::MAX).max(first)
}
