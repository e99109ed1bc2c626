//! Keeps one copy of each set of attributes with its next hop, and counts who holds it. Must never hand out two numbers
//! for equal content, or give a number to somebody else while somebody remembers it.

use super::arena::Arena;
use super::hops::{HopId, Hops};
use super::index::Index;
use super::key::hash_octets;
use super::summary::{Own, Summary};
use crate::wire::attr::{AttrBlock, Attributes};

/// A set of attributes with its next hop. 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SetId(pub u32);

impl SetId {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn is_some(self) -> bool {
        self != Self::NONE
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Set {
    summary: Summary,
    place: u32,
    len: u32,
    refs: u32,
    hash: u32,
    live: bool,
}

#[derive(Debug)]
pub(crate) struct Sets {
    own: Own,
    seed: u64,
    index: Index,
    sets: Vec<Set>,
    arena: Arena,
    free: Vec<SetId>,
    /// Held by nobody when noted; freed by the next [`Sets::sweep`] if that is still so.
    unheld: Vec<SetId>,
}

impl Sets {
    pub(crate) fn new(own: Own, seed: u64) -> Self {
        Self {
            own,
            seed,
            index: Index::default(),
            // Number 0 is nobody's.
            sets: vec![Set::default()],
            arena: Arena::default(),
            free: Vec::new(),
            unheld: Vec::new(),
        }
    }

    /// The number of a set, held once more. Of `hop` the set takes a hold of its own if it is new.
    pub(crate) fn hold(&mut self, canonical: &[u8], hop: HopId, hops: &mut Hops) -> SetId {
        let hash = hash_octets(canonical, self.seed ^ u64::from(hop.0));
        let same = |row: u32| {
            let set = &self.sets[row as usize];
            set.summary.hop == hop && self.arena.get(set.place, set.len as usize) == canonical
        };
        if let Some(row) = self.index.find(hash, same) {
            self.sets[row as usize].refs += 1;
            return SetId(row);
        }
        hops.hold_again(hop);
        let set = Set {
            summary: Summary::of(canonical, hop, &self.own),
            place: self.arena.put(canonical),
            len: canonical.len() as u32,
            refs: 1,
            hash,
            live: true,
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.sets.push(Set::default());
            SetId(self.sets.len() as u32 - 1)
        });
        self.sets[id.at()] = set;
        self.index.insert(hash, id.0);
        id
    }

    /// [`Sets::hold`] for attributes in words; `None` if no message can carry them.
    pub(crate) fn hold_attributes(
        &mut self,
        attributes: &Attributes,
        hop: HopId,
        hops: &mut Hops,
    ) -> Option<SetId> {
        let mut canonical = Vec::new();
        attributes.encode(&mut canonical).ok()?;
        Some(self.hold(&canonical, hop, hops))
    }

    pub(crate) fn hold_again(&mut self, id: SetId) {
        self.sets[id.at()].refs += 1;
    }

    /// Gives a hold back.
    pub(crate) fn release(&mut self, id: SetId) {
        let set = &mut self.sets[id.at()];
        set.refs -= 1;
        if set.refs == 0 {
            self.unheld.push(id);
        }
    }

    /// Frees what nobody holds and names it, so that nobody remembers the number.
    pub(crate) fn sweep(&mut self, hops: &mut Hops) -> Vec<SetId> {
        let mut freed = Vec::new();
        for id in core::mem::take(&mut self.unheld) {
            let set = self.sets[id.at()];
            if set.refs > 0 || !set.live {
                continue;
            }
            self.sets[id.at()].live = false;
            self.index.remove(set.hash, id.0);
            self.arena.free(set.place, set.len as usize);
            hops.release(set.summary.hop);
            self.free.push(id);
            freed.push(id);
        }
        freed
    }

    /// Who we are has changed: every summary is made anew.
    pub(crate) fn set_own(&mut self, own: Own) {
        if self.own == own {
            return;
        }
        self.own = own;
        for number in 1..self.sets.len() {
            let set = self.sets[number];
            if set.live {
                let canonical = self.arena.get(set.place, set.len as usize);
                self.sets[number].summary = Summary::of(canonical, set.summary.hop, &own);
            }
        }
    }

    pub(crate) fn summary(&self, id: SetId) -> &Summary {
        &self.sets[id.at()].summary
    }

    /// The summary, and the mark of RFC 9234 if there is one.
    pub(crate) fn facts(&self, id: SetId) -> (&Summary, Option<u32>) {
        let summary = self.summary(id);
        let marked = Some(id).filter(|_| summary.has(Summary::HAS_OTC));
        (summary, marked.and_then(|id| AttrBlock::new(self.canonical(id)).summary().only_to_customer))
    }

    pub(crate) fn canonical(&self, id: SetId) -> &[u8] {
        let set = &self.sets[id.at()];
        self.arena.get(set.place, set.len as usize)
    }

    /// Numbers given out so far, in use or not.
    pub(crate) const fn rows(&self) -> usize {
        self.sets.len()
    }

    /// Sets in use.
    pub(crate) const fn len(&self) -> usize {
        self.sets.len() - 1 - self.free.len()
    }

    /// The attributes in words.
    pub(crate) fn attributes(&self, id: SetId) -> Attributes {
        AttrBlock::new(self.canonical(id)).to_attributes()
    }
}
