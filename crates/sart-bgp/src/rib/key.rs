//! A prefix as the tables keep it: a number and a length. Must never know what a prefix is worth.

use core::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A prefix of either unicast family; bits behind the length are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    V4 { bits: u32, len: u8 },
    V6 { bits: u128, len: u8 },
}

/// Number of tables: one for each family of prefixes.
pub(crate) const TABLES: usize = 2;

impl Key {
    pub(crate) fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(v4) => Self::V4 { bits: v4.network().to_bits(), len: v4.prefix_len() },
            IpNet::V6(v6) => Self::V6 { bits: v6.network().to_bits(), len: v6.prefix_len() },
        }
    }

    /// The prefix in words; a length that no prefix has is cut to the longest one.
    pub(crate) fn prefix(self) -> IpNet {
        match self {
            Self::V4 { bits, len } => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), len.min(32))),
            Self::V6 { bits, len } => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), len.min(128))),
        }
    }

    /// Which table it belongs into.
    pub(crate) const fn table(self) -> usize {
        match self {
            Self::V4 { .. } => 0,
            Self::V6 { .. } => 1,
        }
    }

    /// Well mixed, and different for every seed, so that nobody outside can choose prefixes that collide.
    pub(crate) fn hash(self, seed: u64) -> u32 {
        (match self {
            Self::V4 { bits, len } => mix((u64::from(bits) << 8 | u64::from(len)) ^ seed),
            Self::V6 { bits, len } => {
                let high = mix((bits >> 64) as u64 ^ seed);
                mix(high ^ mix(bits as u64 ^ seed.rotate_left(32)) ^ u64::from(len))
            }
        }) as u32
    }
}

/// One multiplication whose halves are folded together: every bit of the input reaches every bit of the output's low
/// half.
pub(crate) fn mix(value: u64) -> u64 {
    let wide = u128::from(value ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f_u128;
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// A hash of octets, by the same rule.
pub(crate) fn hash_octets(octets: &[u8], seed: u64) -> u32 {
    let (chunks, rest) = octets.as_chunks::<8>();
    let start = seed ^ octets.len() as u64;
    let hash = chunks.iter().fold(start, |hash, chunk| mix(hash ^ u64::from_le_bytes(*chunk)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash ^ u64::from_le_bytes(last)) as u32
}
