//! Trie and chains against references that ask every range, condition and action one by one, for any configuration.

mod reference;
mod strategies;

use proptest::prelude::*;

use self::strategies::{config_and_chain, prefix, range, route};
use super::trie::PrefixTrie;
use super::{
    ChainOwner, Direction, End, Facts, NodeRules, Policies, PolicyConfig, RejectReason, Source, Verdict,
    node_names, node_policies,
};
use crate::wire::attr::Attributes;

proptest! {
    #[test]
    fn the_trie_finds_what_asking_every_range_finds(
        sets in prop::collection::vec(prop::collection::vec(range(), 0..6), 1..6),
        asked in prop::collection::vec(prefix(), 1..20),
    ) {
        let mut trie = PrefixTrie::default();
        for (number, set) in sets.iter().enumerate() {
            set.iter().for_each(|range| trie.insert(range, number as u8));
        }
        for prefix in asked {
            let signature = trie.signature(&prefix);
            prop_assert_eq!(signature.is_v6(), matches!(prefix, ipnet::IpNet::V6(_)));
            for (number, set) in sets.iter().enumerate() {
                let found = signature.0 >> number & 1 == 1;
                let wanted = set.iter().any(|range| range.contains(&prefix));
                prop_assert_eq!(found, wanted, "{} in set {}: {:?}", prefix, number, set);
            }
        }
    }

    #[test]
    fn a_chain_answers_like_the_reference(
        (config, chain) in config_and_chain(),
        routes in prop::collection::vec(route(), 1..12),
        neighbor in 1u8..4,
        export in any::<bool>(),
    ) {
        let direction = if export { Direction::Export } else { Direction::Import };
        let owner = ChainOwner { neighbor: strategies::peer(neighbor), direction, own_asn: 65_000 };
        let policies = Policies::new(&config).unwrap();
        let Ok(compiled) = policies.chain(&chain, owner, "chain") else {
            // A next hop that the direction cannot have; the reference does not know directions.
            return Ok(());
        };
        for route in routes {
            let facts = Facts { attributes: &route.attributes, next_hop: route.next_hop, source: route.source };
            let verdict = compiled.evaluate(&route.prefix, &facts);
            let wanted = reference::evaluate(&config, &chain, &owner, &route);
            match (verdict, wanted) {
                (Verdict::Reject(_), None) => {}
                (Verdict::Accept(changes), Some((attributes, next_hop))) => {
                    let mut changed = route.attributes.clone();
                    changes.apply(&mut changed);
                    prop_assert_eq!(&changed, &attributes);
                    prop_assert_eq!(changes.next_hop, next_hop);
                    changes.apply(&mut changed);
                    prop_assert_eq!(changed, attributes, "applying twice is the same as once");
                }
                (verdict, wanted) => prop_assert!(false, "{:?}, the reference {:?}", verdict, wanted),
            }
        }
    }

    /// What may be learned with `accept_all`, ranges and protected prefixes, as one sentence each.
    #[test]
    fn the_nodes_rules_as_policies_say_what_they_say_as_sentences(
        accept_all in any::<bool>(),
        ranges in prop::collection::vec(prefix(), 0..3),
        protected in prop::collection::vec(prefix(), 0..3),
        asked in prop::collection::vec(prefix(), 1..20),
    ) {
        let rules = NodeRules { accept_all, ranges: &ranges, protected: &protected, local_only: false, leaving: false };
        let node = node_policies(&rules);
        let policies = Policies::with_node(&PolicyConfig::default(), &node).unwrap();
        let owner =
            ChainOwner { neighbor: strategies::peer(1), direction: Direction::Import, own_asn: 65_000 };
        let names = node_names(&node, Direction::Import);
        let chain = policies.chain_to(&names, End::Accept, owner, "chain").unwrap();
        let attributes = Attributes::default();
        let facts = Facts { attributes: &attributes, next_hop: None, source: Source::Local };
        for prefix in asked {
            let wanted = if prefix.prefix_len() == 0 && ranges.contains(&prefix) {
                None
            } else if protected.iter().any(|one| one.contains(&prefix) || prefix.contains(one)) {
                Some(RejectReason::ProtectedPrefix)
            } else if accept_all || ranges.iter().any(|range| range.contains(&prefix)) {
                None
            } else {
                Some(RejectReason::OutsideRanges)
            };
            let found = match chain.evaluate(&prefix, &facts) {
                Verdict::Accept(changes) => {
                    prop_assert!(changes.is_empty());
                    None
                }
                Verdict::Reject(rejection) => Some(rejection.reason),
            };
            prop_assert_eq!(found, wanted, "{}", prefix);
        }
    }

    #[test]
    fn equal_signatures_and_facts_get_equal_answers(
        (config, chain) in config_and_chain(),
        route in route(),
        others in prop::collection::vec(prefix(), 1..20),
    ) {
        let owner = ChainOwner { neighbor: strategies::peer(1), direction: Direction::Export, own_asn: 65_000 };
        let policies = Policies::new(&config).unwrap();
        let Ok(compiled) = policies.chain(&chain, owner, "chain") else { return Ok(()) };
        let facts = Facts { attributes: &route.attributes, next_hop: route.next_hop, source: route.source };
        let known = compiled.evaluate(&route.prefix, &facts);
        for prefix in others {
            if compiled.signature(&prefix) == compiled.signature(&route.prefix) {
                prop_assert_eq!(compiled.evaluate(&prefix, &facts), known.clone());
            }
        }
    }
}
