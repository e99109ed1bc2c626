//! Which pools may serve: the shape of each, and who wins when two overlap. Earlier decisions stand.

use ipnet::IpNet;

use crate::block::{self, SlotError};

/// What decides about a pool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PoolFacts {
    /// Its name.
    pub name: String,
    /// Its prefix.
    pub net: IpNet,
    /// Whether pods use it; otherwise Services do.
    pub pod: bool,
    /// Prefix length of its blocks.
    pub block_len: Option<u8>,
    /// Whether it serves whoever names no pool.
    pub auto_assign: bool,
    /// Whether it was accepted before: an accepted pool is never refused for a newer one.
    pub accepted: bool,
    /// When it was created, in seconds; the older pool wins.
    pub created: i64,
}

/// Why a pool is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PoolRefusal {
    /// Its prefix shares addresses with an accepted pool.
    #[error(
        "{net} overlaps pool {other} ({other_net}); delete one of the two pools or give this one another CIDR"
    )]
    Overlap {
        /// This pool's prefix.
        net: IpNet,
        /// The accepted pool.
        other: String,
        /// Its prefix.
        other_net: IpNet,
    },
    /// Another pool of this type and family already serves by default.
    #[error(
        "pool {other} already has autoAssign for this type and address family; clear autoAssign on one of the two"
    )]
    AutoAssign {
        /// The accepted pool.
        other: String,
    },
    /// The blocks do not fit.
    #[error(transparent)]
    Block(#[from] SlotError),
}

impl PoolRefusal {
    /// The word used in conditions and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Overlap { .. } => "Overlap",
            Self::AutoAssign { .. } => "AutoAssignConflict",
            Self::Block(error) => error.reason(),
        }
    }
}

/// Decides about every pool at once; the answers come in the order of decision.
#[must_use]
pub fn decide(pools: &[PoolFacts]) -> Vec<(String, Result<(), PoolRefusal>)> {
    let mut order: Vec<&PoolFacts> = pools.iter().collect();
    order.sort_by(|a, b| (!a.accepted, a.created, &a.name).cmp(&(!b.accepted, b.created, &b.name)));
    let mut accepted: Vec<&PoolFacts> = Vec::new();
    let mut answers = Vec::with_capacity(order.len());
    for pool in order {
        let answer = judge(pool, &accepted);
        if answer.is_ok() {
            accepted.push(pool);
        }
        answers.push((pool.name.clone(), answer));
    }
    answers
}

fn judge(pool: &PoolFacts, accepted: &[&PoolFacts]) -> Result<(), PoolRefusal> {
    if let (true, Some(length)) = (pool.pod, pool.block_len) {
        block::last_slot(pool.net, length)?;
    }
    let overlaps = |other: &&&PoolFacts| other.net.contains(&pool.net) || pool.net.contains(&other.net);
    if let Some(other) = accepted.iter().find(overlaps) {
        return Err(PoolRefusal::Overlap { net: pool.net, other: other.name.clone(), other_net: other.net });
    }
    let same_family = |other: &PoolFacts| other.net.addr().is_ipv4() == pool.net.addr().is_ipv4();
    let rival = accepted.iter().find(|o| o.auto_assign && o.pod == pool.pod && same_family(o));
    match rival {
        Some(other) if pool.auto_assign => Err(PoolRefusal::AutoAssign { other: other.name.clone() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(name: &str, net: &str, created: i64) -> PoolFacts {
        PoolFacts {
            name: name.to_owned(),
            net: net.parse().unwrap(),
            pod: false,
            block_len: None,
            auto_assign: false,
            accepted: false,
            created,
        }
    }

    fn reason(pools: &[PoolFacts], name: &str) -> Option<&'static str> {
        let answers = decide(pools);
        answers.iter().find(|a| a.0 == name).unwrap().1.as_ref().err().map(PoolRefusal::reason)
    }

    #[test]
    fn measured_of_two_overlapping_pools_the_older_one_serves() {
        let pools = [pool("b", "10.0.0.0/16", 1), pool("a", "10.0.1.0/24", 2), pool("c", "10.1.0.0/24", 3)];
        assert_eq!(reason(&pools, "b"), None);
        assert_eq!(reason(&pools, "a"), Some("Overlap"));
        assert_eq!(reason(&pools, "c"), None);
    }

    #[test]
    fn an_accepted_pool_stays_accepted_whatever_its_age() {
        let mut pools = [pool("old", "10.0.0.0/24", 1), pool("new", "10.0.0.0/25", 2)];
        pools[1].accepted = true;
        assert_eq!(reason(&pools, "new"), None);
        assert_eq!(reason(&pools, "old"), Some("Overlap"));
    }

    #[test]
    fn one_pool_per_type_and_family_serves_by_default() {
        let mut pools = [pool("a", "10.0.0.0/24", 1), pool("b", "10.1.0.0/24", 2), pool("c", "fd00::/64", 3)];
        pools.iter_mut().for_each(|p| p.auto_assign = true);
        assert_eq!(reason(&pools, "b"), Some("AutoAssignConflict"));
        assert_eq!(reason(&pools, "c"), None);
        pools[1].pod = true;
        assert_eq!(reason(&pools, "b"), None);
    }

    #[test]
    fn a_pod_pool_with_blocks_larger_than_itself_is_refused() {
        let mut pods = pool("a", "10.0.0.0/24", 1);
        (pods.pod, pods.block_len) = (true, Some(20));
        assert_eq!(reason(&[pods], "a"), Some("InvalidBlockSize"));
    }

    proptest! {
        #[test]
        fn accepted_pools_never_share_an_address_and_deciding_again_agrees(
            nets in prop::collection::vec((0u32..64, 26u8..=32, any::<bool>()), 1..12),
        ) {
            let mut pools: Vec<PoolFacts> = nets.iter().enumerate().map(|(at, (host, len, auto))| {
                let net = ipnet::Ipv4Net::new((*host).into(), *len).unwrap().trunc();
                let mut p = pool(&format!("p{at}"), &net.to_string(), i64::from(*host));
                p.auto_assign = *auto;
                p
            }).collect();
            let first = decide(&pools);
            let ok = |name: &str| first.iter().any(|(n, a)| n == name && a.is_ok());
            for a in &pools { for b in &pools {
                if a.name != b.name && ok(&a.name) && ok(&b.name) {
                    prop_assert!(!a.net.contains(&b.net));
                }
            } }
            let accepted: Vec<String> = first.iter().filter(|a| a.1.is_ok()).map(|a| a.0.clone()).collect();
            pools.iter_mut().for_each(|p| p.accepted = accepted.contains(&p.name));
            let again: Vec<String> = decide(&pools).iter().filter(|a| a.1.is_ok()).map(|a| a.0.clone()).collect();
            prop_assert_eq!(accepted, again);
        }
    }
}
