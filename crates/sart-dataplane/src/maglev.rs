//! Fills a ring with endpoints so that each gets the same share and few slots change when one comes or goes: every
//! endpoint has its own order of preference over the slots, and they take turns (Maglev, NSDI 2016, section 3.4). The
//! size is a power of two, so the kernel masks instead of dividing. An order is a keyed permutation, not an
//! offset and a stride as in the paper: in a small ring two endpoints often have the same stride, would follow each other
//! all the way round, and the loss of a third one would move up to half of what they have.

/// Smallest ring: one map element.
pub const SMALLEST: u32 = 4;
/// Largest ring.
pub const LARGEST: u32 = 65_536;

/// Slots of a ring for this many endpoints: one element for a single endpoint, else at least 64 slots for each, which
/// keeps the shares within 2 %.
#[must_use]
pub fn size(endpoints: usize) -> u32 {
    if endpoints <= 1 {
        return SMALLEST;
    }
    let wanted = u32::try_from(endpoints).unwrap_or(u32::MAX).saturating_mul(64);
    wanted.clamp(SMALLEST, LARGEST).next_power_of_two().min(LARGEST)
}

/// The ring: for each slot the position in `seeds` of the endpoint that has it. `seeds` must tell the endpoints apart and
/// not depend on which others there are; `size` is a power of two. Without endpoints the ring is empty.
#[must_use]
pub fn fill(seeds: &[u64], size: u32) -> Vec<usize> {
    let slots = size as usize;
    let mut ring = vec![usize::MAX; slots];
    if seeds.is_empty() {
        return Vec::new();
    }
    let mut turns: Vec<Turn> = seeds.iter().map(|seed| Turn::new(*seed, size)).collect();
    let mut taken = 0;
    while taken < slots {
        for (endpoint, turn) in turns.iter_mut().enumerate() {
            if taken == slots {
                break;
            }
            turn.take(&mut ring, endpoint);
            taken += 1;
        }
    }
    ring
}

/// One endpoint's walk over the slots, each of which it comes to once.
struct Turn {
    next: u64,
    order: Order,
}

impl Turn {
    fn new(seed: u64, size: u32) -> Self {
        Self { next: 0, order: Order::new(seed, size) }
    }

    /// Takes the first free slot on the way; there is one, because the order names all.
    fn take(&mut self, ring: &mut [usize], endpoint: usize) {
        loop {
            let slot = self.order.slot(self.next);
            self.next += 1;
            if let Some(free) = ring.get_mut(slot).filter(|owner| **owner == usize::MAX) {
                *free = endpoint;
                return;
            }
        }
    }
}

/// A permutation of the slots: each step of a round (to add, to multiply by an odd number, to fold the upper half of the
/// bits into the lower one) has an inverse modulo a power of two.
struct Order {
    rounds: [u64; 2],
    mask: u64,
    half: u32,
}

impl Order {
    fn new(seed: u64, size: u32) -> Self {
        let first = mix(seed);
        // To fold has an inverse if nothing comes to stand where it came from: at least half of the bits, and one.
        let half = size.trailing_zeros().div_ceil(2).max(1);
        Self { rounds: [first, mix(first.wrapping_add(GOLDEN))], mask: u64::from(size - 1), half }
    }

    fn slot(&self, position: u64) -> usize {
        let round = |slot: u64, key: &u64| {
            let moved = slot.wrapping_add(*key).wrapping_mul((key >> 32) | 1) & self.mask;
            moved ^ (moved >> self.half)
        };
        (self.rounds.iter().fold(position, round) & self.mask) as usize
    }
}

/// The increment of splitmix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads a seed over 64 bits (the finalizer of splitmix64).
fn mix(seed: u64) -> u64 {
    let first = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let second = (first ^ (first >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    second ^ (second >> 31)
}

#[cfg(test)]
mod proptests;
