//! The lowest free address of a prefix. The network and broadcast addresses are handed out, as upstream does: a virtual
//! address is routed by itself, not as part of a subnet.

use core::net::IpAddr;

use ipnet::IpNet;

/// The lowest address of `net` that is not in `taken` (ascending, may hold addresses of other prefixes).
/// With `avoid_buggy` IPv4 addresses that end in .0 and .255 are passed over.
#[must_use]
pub fn lowest(net: IpNet, avoid_buggy: bool, taken: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    let mut taken = taken.filter(|a| net.contains(a)).peekable();
    let mut candidate = Some(net.network());
    while let Some(address) = candidate.filter(|a| net.contains(a)) {
        while taken.peek().is_some_and(|t| *t < address) {
            taken.next();
        }
        let passed_over = avoid_buggy && is_buggy(address);
        if !passed_over && taken.peek() != Some(&address) {
            return Some(address);
        }
        candidate = next(address);
    }
    None
}

/// How many addresses of `net` are in `taken` (each listed once).
pub fn used(net: IpNet, taken: impl Iterator<Item = IpAddr>) -> usize {
    taken.filter(|a| net.contains(a)).count()
}

/// How many addresses of `net` can be handed out; as many as 128 bits count when there are more.
#[must_use]
pub fn size(net: IpNet, avoid_buggy: bool) -> u128 {
    let bits = u32::from(net.max_prefix_len() - net.prefix_len());
    let all = 1u128.checked_shl(bits).unwrap_or(u128::MAX);
    all - if avoid_buggy { buggy_in(net) } else { 0 }
}

/// How many of its addresses end in .0 or .255.
fn buggy_in(net: IpNet) -> u128 {
    match net {
        IpNet::V4(v4) if v4.prefix_len() <= 24 => 2 << (24 - v4.prefix_len()),
        // Inside one /24: at most its first address is a .0 and its last a .255.
        IpNet::V4(v4) => {
            let (first, last) = (v4.network().octets()[3], v4.broadcast().octets()[3]);
            u128::from(first == 0) + u128::from(last == 255)
        }
        IpNet::V6(_) => 0,
    }
}

/// Some old clients take .0 and .255 for network and broadcast addresses whatever the prefix length.
#[must_use]
pub fn is_buggy(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if matches!(v4.octets()[3], 0 | 255))
}

fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn set(texts: &[&str]) -> BTreeSet<IpAddr> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    fn low(cidr: &str, avoid: bool, taken: &[&str]) -> Option<String> {
        lowest(net(cidr), avoid, set(taken).into_iter()).map(|a| a.to_string())
    }

    #[test]
    fn the_first_service_of_a_pool_gets_its_network_address() {
        assert_eq!(low("10.0.1.0/24", false, &[]).as_deref(), Some("10.0.1.0"));
        assert_eq!(low("10.0.1.0/24", false, &["10.0.1.0"]).as_deref(), Some("10.0.1.1"));
        assert_eq!(low("10.0.1.0/24", true, &[]).as_deref(), Some("10.0.1.1"));
        assert_eq!(low("fd00::/64", true, &[]).as_deref(), Some("fd00::"));
    }

    #[test]
    fn a_gap_is_filled_before_the_end_grows_and_a_full_prefix_has_nothing() {
        assert_eq!(low("10.0.0.0/30", false, &["10.0.0.0", "10.0.0.2"]).as_deref(), Some("10.0.0.1"));
        assert_eq!(low("10.0.0.4/31", false, &["10.0.0.4", "10.0.0.5"]), None);
        assert_eq!(low("255.255.255.255/32", false, &["255.255.255.255"]), None);
        assert_eq!(low("10.0.0.0/32", true, &[]), None);
    }

    #[test]
    fn issue_7_1_6_a_pool_with_its_127th_and_255th_address_in_use_is_not_empty() {
        let taken = set(&["10.0.0.127", "10.0.0.255"]);
        assert_eq!(used(net("10.0.0.0/24"), taken.iter().copied()), 2);
        let halves: Vec<_> = taken.iter().filter(|a| net("10.0.0.128/25").contains(*a)).collect();
        assert_eq!(halves.len(), 1);
    }

    #[test]
    fn issue_7_1_6_the_last_address_is_given_and_the_one_behind_it_never() {
        let all_but_last: Vec<IpAddr> = (0..255).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        let next = lowest(net("10.0.0.0/24"), false, all_but_last.iter().copied());
        assert_eq!(next, Some(IpAddr::from([10, 0, 0, 255])));
        assert_eq!(lowest(net("10.0.0.0/24"), false, all_but_last.into_iter().chain(next)), None);
    }

    proptest! {
        #[test]
        fn the_answer_is_the_first_address_a_plain_search_finds(
            len in 24u8..=32, base: u32, avoid: bool, taken in prop::collection::btree_set(0u32..256, 0..256),
        ) {
            let net = IpNet::from(ipnet::Ipv4Net::new(base.into(), len).unwrap().trunc());
            let IpAddr::V4(first) = net.network() else { unreachable!() };
            let taken: BTreeSet<IpAddr> =
                taken.iter().map(|t| IpAddr::V4((first.to_bits().wrapping_add(*t)).into())).collect();
            let IpNet::V4(v4) = net else { unreachable!() };
            let (from, to) = (v4.network().to_bits(), v4.broadcast().to_bits());
            let plain = (from..=to).map(|b| IpAddr::V4(b.into()))
                .filter(|a| !taken.contains(a)).find(|a| !avoid || !is_buggy(*a));
            prop_assert_eq!(lowest(net, avoid, taken.into_iter()), plain);
        }
    }
}
