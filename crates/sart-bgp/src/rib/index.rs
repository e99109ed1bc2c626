//! Finds rows of a slab by hash: open addressing with linear probing. Holds numbers only; must never hold a key.

/// From a hash to the numbers of rows. Hash and number stand in one word, so that a probe that misses touches no row.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// `hash << 32 | number + 1`; 0 is empty. The length is a power of two or zero.
    slots: Vec<u64>,
    used: usize,
}

const SMALLEST: usize = 16;

impl Index {
    /// The row with that hash for which `is` holds.
    pub(crate) fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if (slot >> 32) as u32 == hash && is(row(slot)) {
                return Some(row(slot));
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a row that is not there yet.
    pub(crate) fn insert(&mut self, hash: u32, number: u32) {
        if (self.used + 1) * 10 > self.slots.len() * 7 {
            self.resize((self.slots.len() * 2).max(SMALLEST));
        }
        self.place(u64::from(hash) << 32 | u64::from(number + 1));
        self.used += 1;
    }

    /// Removes a row; what stood behind it moves up, so that no mark has to stay.
    pub(crate) fn remove(&mut self, hash: u32, number: u32) {
        let Some(mask) = self.slots.len().checked_sub(1) else { return };
        let wanted = u64::from(hash) << 32 | u64::from(number + 1);
        let mut hole = hash as usize & mask;
        while self.slots[hole] != wanted {
            if self.slots[hole] == 0 {
                return;
            }
            hole = (hole + 1) & mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            let home = (slot >> 32) as usize & mask;
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = 0;
        self.used -= 1;
        if self.slots.len() > SMALLEST && self.used * 16 < self.slots.len() {
            self.resize(self.slots.len() / 4);
        }
    }

    fn place(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = (slot >> 32) as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    fn resize(&mut self, len: usize) {
        let old = core::mem::replace(&mut self.slots, vec![0; len.max(SMALLEST)]);
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            self.place(slot);
        }
    }
}

const fn row(slot: u64) -> u32 {
    slot as u32 - 1
}
