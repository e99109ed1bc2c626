//! Many Services come, change and go against one book: no address ever has two holders, and asking again changes nothing.

use super::tests::{Book, pool};
use super::*;
use std::collections::BTreeMap;

use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Ask { service: u8, pool: Option<bool>, address: Option<u8> },
    Drop { service: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    let ask = (0u8..12, any::<Option<bool>>(), prop::option::of(0u8..10))
        .prop_map(|(service, pool, address)| Op::Ask { service, pool, address });
    prop_oneof![4 => ask, 1 => (0u8..12).prop_map(|service| Op::Drop { service })]
}

fn book_without(held: &BTreeMap<u8, Vec<IpAddr>>, service: u8) -> Book {
    let others = held.iter().filter(|(owner, _)| **owner != service);
    Book(others.flat_map(|(owner, list)| list.iter().map(|a| (*a, owner.to_string()))).collect())
}

fn request(
    held: &BTreeMap<u8, Vec<IpAddr>>,
    service: u8,
    pool: Option<bool>,
    address: Option<u8>,
) -> Request {
    Request {
        pools: pool.map(|second| if second { "b".to_owned() } else { "a".to_owned() }).into_iter().collect(),
        addresses: address.map(|low| IpAddr::from([10, 0, 0, low])).into_iter().collect(),
        families: vec![Family::V4],
        require_dual: false,
        held: held.get(&service).cloned().unwrap_or_default(),
    }
}

proptest! {
    #[test]
    fn no_address_has_two_holders_and_asking_again_changes_nothing(ops in prop::collection::vec(op(), 1..60)) {
        let pools = [pool("a", "10.0.0.0/29", true), pool("b", "10.0.0.8/30", false)];
        let mut held: BTreeMap<u8, Vec<IpAddr>> = BTreeMap::new();
        for op in ops {
            match op {
                Op::Drop { service } => { held.remove(&service); }
                Op::Ask { service, pool, address } => {
                    let book = book_without(&held, service);
                    let Ok(got) = allocate(&request(&held, service, pool, address), &pools, &book) else { continue };
                    held.insert(service, got.clone());
                    let again = allocate(&request(&held, service, pool, address), &pools, &book);
                    prop_assert_eq!(again, Ok(got));
                }
            }
            let mut all: Vec<IpAddr> = held.values().flatten().copied().collect();
            let total = all.len();
            all.sort();
            all.dedup();
            prop_assert_eq!(all.len(), total);
        }
    }
}
