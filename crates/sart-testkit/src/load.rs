//! Makes the routes of a big sender: encoded once, the same for the same seed. Must never be the slow part of a measurement,
//! so nothing here is decided while bytes are on their way.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use crate::raw_peer::{UPDATE, message};

/// The AS number of the first sender; the next ones follow. A receiver tells by it whose path it was given.
pub const FIRST_ASN: u32 = 65_001;

/// The /24 of index 0; the others follow it, so that an index and a prefix are the same thing to a receiver.
const FIRST_PREFIX: u32 = 16 << 16;

/// Octets of a message that is not extended (RFC 4271 section 4.1).
const MESSAGE: usize = 4096;

/// What one sender says.
#[derive(Clone, Debug)]
pub struct Shape {
    /// How many distinct /24, counted from 16.0.0.0/24.
    pub prefixes: u32,
    /// The sender's AS number, first of every path.
    pub asn: u32,
    /// The sender's address.
    pub next_hop: Ipv4Addr,
    /// AS numbers in a path, the sender's included.
    pub hops: RangeInclusive<u32>,
    /// Two shapes with the same seed have the same attribute sets.
    pub seed: u64,
}

/// A sender's messages, ready for the socket.
#[derive(Clone, Debug)]
pub struct Load {
    /// UPDATEs that announce every prefix once, one attribute set each.
    pub announce: Vec<u8>,
    /// UPDATEs that withdraw every prefix, packed full.
    pub withdraw: Vec<u8>,
    /// How many attribute sets, and so UPDATEs, `announce` holds.
    pub sets: u32,
    /// Length of the AS path by prefix index.
    pub hops: Vec<u8>,
}

/// A small generator (splitmix64); good enough to spread routes, and the same everywhere.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A generator whose numbers depend only on `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: u32) -> u32 {
        let scaled = ((self.number() >> 32) * u64::from(end)) >> 32;
        u32::try_from(scaled).unwrap_or(0)
    }
}

/// The three octets of the /24 with this index.
#[must_use]
pub fn prefix(index: u32) -> [u8; 3] {
    let [_, first, second, third] = (FIRST_PREFIX + index).to_be_bytes();
    [first, second, third]
}

/// The index of a /24 by its three octets; `None` below the first.
#[must_use]
pub fn index([first, second, third]: [u8; 3]) -> Option<u32> {
    u32::from_be_bytes([0, first, second, third]).checked_sub(FIRST_PREFIX)
}

/// How few UPDATEs can withdraw `prefixes` of the load.
#[must_use]
pub fn fewest_withdrawals(prefixes: u32) -> u32 {
    let room = (MESSAGE - 19 - 4) / 4;
    prefixes.div_ceil(u32::try_from(room).unwrap_or(u32::MAX))
}

/// Encodes a sender's routes: prefixes in one shuffled order that all senders share, in runs of 1 to 10 (5.5 on average)
/// with an attribute set each.
#[must_use]
pub fn generate(shape: &Shape) -> Load {
    let order = shuffled(shape.prefixes);
    let mut random = Random::new(shape.seed);
    let mut load = Load {
        announce: Vec::with_capacity(order.len() * 18),
        withdraw: withdrawals(&order),
        sets: 0,
        hops: vec![0; order.len()],
    };
    let mut rest = &order[..];
    while !rest.is_empty() {
        let run = rest.len().min(1 + random.below(10) as usize);
        let (now, later) = rest.split_at(run);
        let span = shape.hops.end() - shape.hops.start() + 1;
        let hops = shape.hops.start() + random.below(span);
        for &index in now {
            load.hops[index as usize] = u8::try_from(hops).unwrap_or(u8::MAX);
        }
        let attributes = attributes(shape, hops, &mut random);
        load.announce.extend(update(&attributes, now));
        load.sets += 1;
        rest = later;
    }
    load
}

/// ORIGIN, AS_PATH, NEXT_HOP, MED and, of most sets, up to five COMMUNITIES.
fn attributes(shape: &Shape, hops: u32, random: &mut Random) -> Vec<u8> {
    let origin = if random.below(10) == 0 { 2 } else { 0 };
    let mut bytes = vec![0x40, 1, 1, origin];
    bytes.extend([
        0x40,
        2,
        u8::try_from(2 + 4 * hops).unwrap_or(u8::MAX),
        2,
        u8::try_from(hops).unwrap_or(u8::MAX),
    ]);
    bytes.extend(shape.asn.to_be_bytes());
    for _ in 1..hops {
        // Four octets, clear of every private, documented and reserved range.
        bytes.extend((131_072 + random.below(300_000)).to_be_bytes());
    }
    bytes.extend([0x40, 3, 4]);
    bytes.extend(shape.next_hop.octets());
    bytes.extend([0x80, 4, 4]);
    bytes.extend(random.below(1 << 20).to_be_bytes());
    let communities = random.below(6);
    if communities > 0 {
        bytes.extend([0xc0, 8, u8::try_from(4 * communities).unwrap_or(u8::MAX)]);
        for _ in 0..communities {
            bytes.extend(((1 + random.below(60_000)) << 16 | random.below(10_000)).to_be_bytes());
        }
    }
    bytes
}

fn update(attributes: &[u8], prefixes: &[u32]) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend(u16::try_from(attributes.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend(attributes);
    nlri(&mut body, prefixes);
    message(UPDATE, &body)
}

fn nlri(body: &mut Vec<u8>, prefixes: &[u32]) {
    for &index in prefixes {
        body.push(24);
        body.extend(prefix(index));
    }
}

fn withdrawals(order: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for some in order.chunks((MESSAGE - 19 - 4) / 4) {
        let mut body = u16::try_from(some.len() * 4).unwrap_or(u16::MAX).to_be_bytes().to_vec();
        nlri(&mut body, some);
        body.extend([0, 0]);
        bytes.extend(message(UPDATE, &body));
    }
    bytes
}

/// All indices once, in an order far from the address order (Fisher and Yates).
fn shuffled(count: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count).collect();
    let mut random = Random::new(0x5a17);
    for at in (1..count).rev() {
        order.swap(at as usize, random.below(at + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flood::Table;

    fn shape(prefixes: u32) -> Shape {
        Shape { prefixes, asn: FIRST_ASN, next_hop: [10, 78, 0, 2].into(), hops: 2..=6, seed: 1 }
    }

    #[test]
    fn a_load_announces_each_prefix_once_and_withdraws_it_again() {
        let load = generate(&shape(20_000));
        let mut table = Table::new(20_000, 0);
        assert_eq!(table.take(&load.announce), Ok(load.announce.len()));
        assert_eq!((table.present, table.announced, table.updates), (20_000, 20_000, u64::from(load.sets)));
        assert_eq!(table.owned[0], 20_000);
        let mean = 20_000.0 / f64::from(load.sets);
        assert!((5.2..5.8).contains(&mean), "{mean} prefixes in a set");
        assert_eq!(table.sets(), load.sets as usize, "every set is its own");
        assert_eq!(table.take(&load.withdraw), Ok(load.withdraw.len()));
        assert_eq!((table.present, table.withdrawn), (0, 20_000));
        assert_eq!(table.updates - u64::from(load.sets), u64::from(fewest_withdrawals(20_000)));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(generate(&shape(500)).announce, generate(&shape(500)).announce);
        let other = Shape { seed: 2, ..shape(500) };
        assert_ne!(generate(&shape(500)).announce, generate(&other).announce);
    }
}
