//! Fills a ring with endpoints so that each gets the same share and few slots change when one comes or goes: every
//! endpoint has its own order of preference over the slots, and they take turns (Maglev, NSDI 2016, section 3.4). The
//! size is a power of two with an odd stride, so the kernel masks instead of dividing.

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
    let mask = u64::from(size - 1);
    let mut turns: Vec<Turn> = seeds.iter().map(|seed| Turn::new(*seed, mask)).collect();
    let mut taken = 0;
    while taken < slots {
        for (endpoint, turn) in turns.iter_mut().enumerate() {
            if taken == slots {
                break;
            }
            turn.take(&mut ring, mask, endpoint);
            taken += 1;
        }
    }
    ring
}

/// One endpoint's walk over the slots.
struct Turn {
    next: u64,
    stride: u64,
}

impl Turn {
    fn new(seed: u64, mask: u64) -> Self {
        let mixed = mix(seed);
        Self { next: mixed & mask, stride: ((mixed >> 32) | 1) & mask | 1 }
    }

    /// Takes the first free slot on the way; there is one, because an odd stride visits all.
    fn take(&mut self, ring: &mut [usize], mask: u64, endpoint: usize) {
        loop {
            let slot = self.next as usize;
            self.next = (self.next + self.stride) & mask;
            if let Some(free) = ring.get_mut(slot).filter(|owner| **owner == usize::MAX) {
                *free = endpoint;
                return;
            }
        }
    }
}

/// Spreads a seed over 64 bits (the finalizer of splitmix64).
fn mix(seed: u64) -> u64 {
    let first = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let second = (first ^ (first >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    second ^ (second >> 31)
}

#[cfg(test)]
mod proptests;
