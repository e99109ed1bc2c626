//! Where each ring lies in the array, and which of its elements change. A region that is given up in a plan is not used
//! again before the next one, because a packet may still be on its way through it.

use std::collections::BTreeMap;

use sart_ebpf_common::layout::{RING, SLOTS_PER_WORD, VipKey};

use super::backends::Member;
use crate::maglev;
use crate::tables::{Dump, Op};

/// Where a ring lies.
pub(super) struct Ring {
    pub(super) base: u32,
    pub(super) mask: u32,
    /// Whether a slot changes.
    pub(super) changed: bool,
}

/// The rings, before and after.
pub(super) struct Rings<'a> {
    shadow: &'a Dump,
    /// First slot and size of all regions in use before or after.
    used: BTreeMap<u32, u32>,
    words: BTreeMap<u32, u64>,
}

impl<'a> Rings<'a> {
    pub(super) fn new(shadow: &'a Dump) -> Self {
        let used = shadow
            .vips
            .values()
            .filter(|vip| vip.backends > 0)
            .map(|vip| (vip.ring_base, vip.ring_mask + 1))
            .collect();
        Self { shadow, used, words: BTreeMap::new() }
    }

    /// Places and fills the ring of `key`; with no members there is none.
    pub(super) fn place(&mut self, key: VipKey, members: &[Member]) -> Result<Ring, (&'static str, u32)> {
        if members.is_empty() {
            return Ok(Ring { base: 0, mask: 0, changed: false });
        }
        let size = maglev::size(members.len());
        let old = self.shadow.vips.get(&key).filter(|vip| vip.backends > 0 && vip.ring_mask + 1 == size);
        let base = match old {
            Some(vip) => vip.ring_base,
            None => self.free(size).ok_or((RING.name, RING.max_entries * SLOTS_PER_WORD))?,
        };
        self.used.insert(base, size);
        let changed = self.write(base, members, size);
        Ok(Ring { base, mask: size - 1, changed })
    }

    /// The lowest free region of `size` slots, aligned to its size.
    fn free(&self, size: u32) -> Option<u32> {
        let end = RING.max_entries * SLOTS_PER_WORD;
        let mut base = 0;
        for (start, length) in &self.used {
            if base + size <= *start {
                break;
            }
            base = base.max((start + length).next_multiple_of(size));
        }
        (base + size <= end).then_some(base)
    }

    fn write(&mut self, base: u32, members: &[Member], size: u32) -> bool {
        let seeds: Vec<u64> = members.iter().map(|member| member.seed).collect();
        let slots = maglev::fill(&seeds, size);
        let mut changed = false;
        for (word, four) in (base / SLOTS_PER_WORD..).zip(slots.chunks(SLOTS_PER_WORD as usize)) {
            let packed = pack(four, members);
            if self.shadow.ring.get(&word).copied().unwrap_or(0) != packed {
                self.words.insert(word, packed);
                changed = true;
            }
        }
        changed
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = Op> {
        self.words.iter().map(|(word, slots)| Op::PutRing(*word, *slots))
    }
}

/// Four slots in one element, the first in the lowest bits.
fn pack(slots: &[usize], members: &[Member]) -> u64 {
    slots.iter().rev().fold(0, |word, slot| {
        let index = members.get(*slot).map_or(0, |member| member.index);
        word << 16 | u64::from(index)
    })
}
