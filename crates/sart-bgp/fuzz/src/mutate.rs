//! Small changes to good messages, from a seed alone: the same seed gives the same messages on every machine. Must never
//! draw from a clock or the system's randomness.

/// Numbers that lengths and types break at.
const INTERESTING: [u8; 16] = [0, 1, 2, 3, 4, 7, 8, 12, 19, 32, 33, 0x40, 0x7f, 0x80, 0xc0, 0xff];
/// The headers of attributes worth putting in at any place.
const HEADERS: [[u8; 3]; 12] = [
    [0x40, 1, 1],
    [0x40, 2, 6],
    [0x40, 3, 4],
    [0x80, 4, 4],
    [0xc0, 7, 8],
    [0xc0, 8, 4],
    [0x80, 14, 20],
    [0x80, 15, 3],
    [0xc0, 17, 6],
    [0xc0, 32, 12],
    [0xd0, 28, 0],
    [0xc0, 40, 10],
];

/// A stream of mutations.
#[derive(Clone, Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// A stream that depends on `seed` only.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.number() % bound as u64) as usize }
    }

    /// Writes a changed copy of `from` into `out`: one to four changes, now and then with a piece of `other`.
    pub fn mutate(&mut self, from: &[u8], other: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(from);
        for _ in 0..=self.below(4) {
            self.change(other, out);
        }
    }

    fn change(&mut self, other: &[u8], out: &mut Vec<u8>) {
        let at = self.below(out.len());
        match self.below(10) {
            0 => self.set(out, at, |old, random| old ^ (1 << (random % 8))),
            1 => self.set(out, at, |_, random| random as u8),
            2 => self.set(out, at, |_, random| pick(&INTERESTING, random)),
            3 => self.set(out, at, |old, random| old.wrapping_add((random % 5) as u8).wrapping_sub(2)),
            4 => {
                let value = pick(&INTERESTING, self.number());
                out.insert(at, value);
            }
            5 => {
                let end = (at + 1 + self.below(8)).min(out.len());
                out.drain(at.min(end)..end);
            }
            6 => out.truncate(at),
            7 => {
                let end = (at + 1 + self.below(24)).min(out.len());
                out.extend_from_within(at.min(end)..end);
            }
            8 => {
                let header = pick(&HEADERS, self.number());
                out.splice(at..at, header);
            }
            _ => {
                let start = self.below(other.len());
                let end = (start + self.below(64)).min(other.len());
                out.splice(at..at, other.get(start..end).unwrap_or_default().iter().copied());
            }
        }
    }

    fn set(&mut self, out: &mut [u8], at: usize, change: fn(u8, u64) -> u8) {
        let random = self.number();
        if let Some(byte) = out.get_mut(at) {
            *byte = change(*byte, random);
        }
    }
}

fn pick<T: Copy, const N: usize>(from: &[T; N], random: u64) -> T {
    from[(random % N as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_messages() {
        let run = |seed| {
            let mut mutator = Mutator::new(seed);
            let mut out = Vec::new();
            let mut all = Vec::new();
            for _ in 0..100 {
                mutator.mutate(&[1, 2, 3, 4, 5, 6, 7, 8], &[9; 40], &mut out);
                all.push(out.clone());
            }
            all
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let mut distinct = run(3);
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > 90, "mutations differ from one another");
    }
}
