//! Slots of a pod pool: which prefix slot `n` has, for every pair of pool and block length in both families.

use core::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Why a slot has no prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SlotError {
    /// The block would be larger than its pool, or longer than an address.
    #[error("a block of /{block} does not fit a pool of /{pool}; choose a block size from {pool} to {max}")]
    Length {
        /// Prefix length of the pool.
        pool: u8,
        /// Prefix length asked for.
        block: u8,
        /// Longest prefix length of the family.
        max: u8,
    },
    /// The pool has fewer slots.
    #[error("the pool has no slot {slot}; its last one is {last}")]
    Slot {
        /// The slot asked for.
        slot: u128,
        /// The pool's last slot.
        last: u128,
    },
}

impl SlotError {
    /// The word used in conditions and metric labels.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Length { .. } => "InvalidBlockSize",
            Self::Slot { .. } => "NoSuchSlot",
        }
    }
}

/// Number of the last slot when `pool` is cut into blocks of length `block`; one less than the count, so that it fits.
///
/// # Errors
/// The block does not fit the pool.
pub fn last_slot(pool: IpNet, block: u8) -> Result<u128, SlotError> {
    let (length, max) = (pool.prefix_len(), pool.max_prefix_len());
    if block < length || block > max {
        return Err(SlotError::Length { pool: length, block, max });
    }
    let bits = u32::from(block - length);
    Ok(u128::MAX.checked_shr(128 - bits).unwrap_or(0))
}

/// The prefix of a slot.
///
/// # Errors
/// The block does not fit the pool, or the pool has fewer slots.
pub fn slot(pool: IpNet, block: u8, slot: u128) -> Result<IpNet, SlotError> {
    let last = last_slot(pool, block)?;
    if slot > last {
        return Err(SlotError::Slot { slot, last });
    }
    let max = pool.max_prefix_len();
    // The slot number stands in the address right behind the pool's bits. A single slot may start at bit 0 of 128.
    let offset = slot.checked_shl(u32::from(max - block)).unwrap_or(0);
    Ok(at(pool.trunc().network(), offset, block))
}

/// The slot that `block` is in `pool`; `None` when it is not exactly one slot of it.
#[must_use]
pub fn slot_of(pool: IpNet, block: IpNet) -> Option<u128> {
    if !pool.contains(&block) || block != block.trunc() {
        return None;
    }
    let offset = bits(block.network()) - bits(pool.network());
    offset.checked_shr(u32::from(pool.max_prefix_len() - block.prefix_len())).or(Some(0))
}

/// The slots of `pool` that share no address with any of `taken`, ascending. Blocks of other lengths count as well.
pub fn free_slots(pool: IpNet, block: u8, taken: &[IpNet]) -> impl Iterator<Item = u128> {
    let last = last_slot(pool, block).ok();
    let covered = |net: &IpNet| {
        let net = if net.contains(&pool) { pool } else { *net };
        let shift = u32::from(pool.max_prefix_len() - block);
        let offset = |address| (bits(address) - bits(pool.network())).checked_shr(shift).unwrap_or(0);
        (offset(net.network()), offset(net.broadcast()))
    };
    let inside = taken.iter().filter(|net| pool.contains(*net) || net.contains(&pool));
    let mut ranges: Vec<(u128, u128)> = last.iter().flat_map(|_| inside.clone().map(covered)).collect();
    ranges.sort_unstable();
    let mut ranges = ranges.into_iter().peekable();
    let mut next = last.map(|_| 0);
    core::iter::from_fn(move || {
        let mut slot = next?;
        while let Some((from, to)) = ranges.next_if(|(from, _)| *from <= slot) {
            debug_assert!(from <= to);
            if to >= slot {
                let Some(behind) = to.checked_add(1) else {
                    next = None;
                    return None;
                };
                slot = behind;
            }
        }
        next = slot.checked_add(1).filter(|_| last.is_some_and(|last| slot < last));
        last.filter(|last| slot <= *last).map(|_| slot)
    })
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn at(first: IpAddr, offset: u128, length: u8) -> IpNet {
    let sum = bits(first) | offset;
    match first {
        IpAddr::V4(_) => {
            let low = u32::try_from(sum & u128::from(u32::MAX)).unwrap_or(u32::MAX);
            IpNet::V4(Ipv4Net::new_assert(low.into(), length))
        }
        IpAddr::V6(_) => IpNet::V6(Ipv6Net::new_assert(sum.into(), length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn text(pool: &str, block: u8, n: u128) -> String {
        slot(net(pool), block, n).unwrap().to_string()
    }

    #[test]
    fn issue_7_1_1_slots_advance_by_the_size_of_a_block() {
        assert_eq!(text("10.0.0.0/24", 26, 1), "10.0.0.64/26");
        assert_eq!(text("10.0.0.0/24", 29, 3), "10.0.0.24/29");
        assert_eq!(text("10.0.0.0/16", 24, 11), "10.0.11.0/24");
        assert_eq!(text("10.0.0.0/29", 32, 1), "10.0.0.1/32");
        assert_eq!(text("fd00::/48", 64, 0x1_0), "fd00:0:0:10::/64");
        assert_eq!(text("0.0.0.0/0", 0, 0), "0.0.0.0/0");
        assert_eq!(text("::/0", 128, u128::MAX), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
    }

    #[test]
    fn measured_host_blocks_advance_by_one() {
        let blocks: Vec<_> = (0..4).map(|n| text("10.10.0.0/29", 32, n)).collect();
        assert_eq!(blocks, ["10.10.0.0/32", "10.10.0.1/32", "10.10.0.2/32", "10.10.0.3/32"]);
    }

    #[test]
    fn measured_a_block_larger_than_its_pool_is_refused_with_the_allowed_range() {
        let error = slot(net("10.0.0.0/24"), 20, 0).unwrap_err();
        assert_eq!(error.reason(), "InvalidBlockSize");
        assert!(error.to_string().contains("from 24 to 32"), "{error}");
        assert_eq!(slot(net("10.0.0.0/24"), 33, 0).unwrap_err().reason(), "InvalidBlockSize");
        assert_eq!(slot(net("10.0.0.0/24"), 26, 4), Err(SlotError::Slot { slot: 4, last: 3 }));
    }

    fn any_pool() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<u32>(), 0u8..=32)
            .prop_map(|(a, l)| IpNet::from(Ipv4Net::new(a.into(), l).unwrap().trunc()));
        let v6 = (any::<u128>(), 0u8..=128)
            .prop_map(|(a, l)| IpNet::from(Ipv6Net::new(a.into(), l).unwrap().trunc()));
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn every_slot_lies_in_the_pool_and_reads_back(pool in any_pool(), extra in 0u8..=128, pick: u128) {
            let block = pool.prefix_len().saturating_add(extra).min(pool.max_prefix_len());
            let last = last_slot(pool, block).unwrap();
            let n = if last == u128::MAX { pick } else { pick % (last + 1) };
            let cut = slot(pool, block, n).unwrap();
            prop_assert!(pool.contains(&cut));
            prop_assert_eq!(cut.prefix_len(), block);
            prop_assert_eq!(cut, cut.trunc());
            prop_assert_eq!(slot_of(pool, cut), Some(n));
            if n < last {
                let next = slot(pool, block, n + 1).unwrap();
                prop_assert!(!next.contains(&cut) && !cut.contains(&next));
                prop_assert!(bits(next.network()) > bits(cut.network()));
            }
        }

        #[test]
        fn free_slots_are_those_a_plain_search_finds(
            len in 24u8..=30, extra in 0u8..=2, taken in prop::collection::vec((any::<u8>(), 22u8..=32), 0..12),
        ) {
            let pool = IpNet::from(Ipv4Net::new([10, 0, 0, 0].into(), len).unwrap());
            let taken: Vec<IpNet> = taken.into_iter()
                .map(|(low, len)| IpNet::from(Ipv4Net::new([10, 0, 0, low].into(), len).unwrap().trunc())).collect();
            let plain: Vec<u128> = (0..=last_slot(pool, len + extra).unwrap())
                .filter(|n| {
                    let cut = slot(pool, len + extra, *n).unwrap();
                    !taken.iter().any(|t| t.contains(&cut) || cut.contains(t))
                }).collect();
            prop_assert_eq!(free_slots(pool, len + extra, &taken).collect::<Vec<_>>(), plain);
        }

        #[test]
        fn the_slots_are_exactly_the_subnets(pool in any_pool(), extra in 0u8..=6) {
            let block = pool.prefix_len().saturating_add(extra).min(pool.max_prefix_len());
            let reference: Vec<IpNet> = pool.subnets(block).unwrap().collect();
            let count = last_slot(pool, block).unwrap() + 1;
            prop_assert_eq!(u128::try_from(reference.len()).unwrap(), count);
            let ours: Vec<IpNet> = (0..count).map(|n| slot(pool, block, n).unwrap()).collect();
            prop_assert_eq!(ours, reference);
        }
    }
}
