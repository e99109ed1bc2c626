//! A ledger against a plain table of addresses, and a node that asks for blocks and gives them back until nothing changes.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const COOL: u64 = 50;

#[derive(Clone, Debug)]
enum Op {
    Allocate { key: u8, pool: bool, pressure: bool },
    Release { key: u8 },
    Adopt { key: u8, low: u8 },
    Wait { seconds: u64 },
    Close { second: bool, open: bool },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0u8..14, any::<bool>(), any::<bool>())
            .prop_map(|(key, pool, pressure)| Op::Allocate { key, pool, pressure }),
        3 => (0u8..14).prop_map(|key| Op::Release { key }),
        1 => (0u8..14, 0u8..12).prop_map(|(key, low)| Op::Adopt { key, low }),
        2 => (1u64..40).prop_map(|seconds| Op::Wait { seconds }),
        1 => any::<(bool, bool)>().prop_map(|(second, open)| Op::Close { second, open }),
    ]
}

/// The reference: every address by itself, nothing indexed.
#[derive(Default)]
struct Model {
    holder: BTreeMap<IpAddr, u8>,
    cooled_at: BTreeMap<IpAddr, u64>,
    closed: BTreeSet<&'static str>,
}

/// Pool, block, first and last low byte.
const BLOCKS: [(&str, &str, u8, u8); 3] = [("a", "a-0", 0, 3), ("a", "a-1", 4, 7), ("b", "b-0", 8, 9)];

fn address(low: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, low])
}

impl Model {
    fn expected(&self, pool: &str, now: u64, pressure: bool) -> Option<IpAddr> {
        let open = BLOCKS.iter().filter(|(of, name, _, _)| *of == pool && !self.closed.contains(name));
        let all: Vec<IpAddr> = open.flat_map(|(_, _, from, to)| (*from..=*to).map(address)).collect();
        let unheld = all.into_iter().filter(|a| !self.holder.contains_key(a));
        let (rest, cool): (Vec<_>, Vec<_>) =
            unheld.partition(|a| self.cooled_at.get(a).is_some_and(|at| *at > now));
        let warm = || rest.iter().min_by_key(|a| (self.cooled_at[*a], **a)).copied();
        cool.first().copied().or_else(|| pressure.then(warm).flatten())
    }

    fn held_by(&self, key: u8) -> Vec<IpAddr> {
        self.holder.iter().filter(|(_, holder)| **holder == key).map(|(address, _)| *address).collect()
    }
}

fn ledger() -> Ledger<u8> {
    let mut ledger = Ledger::new(Duration::from_secs(COOL));
    for (pool, name, from, to) in BLOCKS {
        let net = format!("10.0.0.{from}/{}", 32 - (to - from + 1).trailing_zeros()).parse().unwrap();
        let (name, pool) = (name.to_owned(), pool.to_owned());
        ledger.put_block(Block { name, pool, net, state: BlockState::Open, avoid_buggy: false });
    }
    ledger
}

fn apply(ledger: &mut Ledger<u8>, model: &mut Model, op: Op, now: &mut u64) -> Result<(), TestCaseError> {
    let time = Duration::from_secs(*now);
    match op {
        Op::Allocate { key, pool, pressure } => {
            let pool = if pool { "a" } else { "b" };
            let reuse = if pressure { Reuse::UnderPressure } else { Reuse::Cooled };
            let held = model.held_by(key);
            let given = ledger.allocate(&key, &[pool], time, reuse).ok().map(|given| given[0].address);
            if held.is_empty() {
                prop_assert_eq!(given, model.expected(pool, *now, pressure));
            } else {
                prop_assert!(given.is_none_or(|address| held == [address]), "never a second address");
            }
            if let Some(address) = given {
                model.cooled_at.remove(&address);
                model.holder.insert(address, key);
            }
        }
        Op::Release { key } => {
            let mut released = ledger.release(&key, time);
            released.sort_unstable();
            prop_assert_eq!(&released, &model.held_by(key));
            for address in released {
                model.holder.remove(&address);
                model.cooled_at.insert(address, *now + COOL);
            }
        }
        Op::Adopt { key, low } => {
            let address = address(low);
            let free = model.holder.get(&address).is_none_or(|holder| *holder == key);
            prop_assert_eq!(ledger.adopt(&key, &[address]).is_ok(), free);
            if free {
                model.cooled_at.remove(&address);
                model.holder.insert(address, key);
            }
        }
        Op::Wait { seconds } => *now += seconds,
        Op::Close { second, open } => {
            let name = if second { "a-1" } else { "a-0" };
            ledger.set_block_state(name, if open { BlockState::Open } else { BlockState::Leaving });
            if open {
                model.closed.remove(name)
            } else {
                model.closed.insert(name)
            };
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_ledger_gives_what_a_plain_table_gives_and_no_address_twice(ops in prop::collection::vec(op(), 1..120)) {
        let (mut ledger, mut model, mut now) = (ledger(), Model::default(), 0);
        for op in ops {
            apply(&mut ledger, &mut model, op, &mut now)?;
            let holders: BTreeMap<IpAddr, u8> =
                ledger.attachments().flat_map(|(key, list)| list.iter().map(|a| (*a, *key))).collect();
            prop_assert_eq!(&holders, &model.holder);
            let total: usize = ledger.attachments().map(|(_, list)| list.len()).sum();
            prop_assert_eq!(total, holders.len());
            let counts = ledger.counts("a", Duration::from_secs(now));
            let in_a = |a: &&IpAddr| matches!(a, IpAddr::V4(v4) if v4.octets()[3] < 8);
            prop_assert_eq!(counts.held, model.holder.keys().filter(in_a).count());
        }
    }

    #[test]
    fn a_ledger_rebuilt_from_journal_and_blocks_gives_the_same_next_address(
        ops in prop::collection::vec(op(), 1..60), pool: bool,
    ) {
        let (mut before, mut model, mut now) = (ledger(), Model::default(), 0);
        for op in ops {
            apply(&mut before, &mut model, op, &mut now)?;
        }
        let mut after = Ledger::new(Duration::from_secs(COOL));
        for (key, addresses) in before.attachments() {
            after.adopt(key, addresses).unwrap();
        }
        model.cooled_at.iter().for_each(|(address, until)| after.rest(*address, Duration::from_secs(*until)));
        before.blocks().for_each(|block| after.put_block(block.clone()));
        let pool = if pool { "a" } else { "b" };
        let time = Duration::from_secs(now);
        prop_assert_eq!(
            after.allocate(&99, &[pool], time, Reuse::Cooled),
            before.allocate(&99, &[pool], time, Reuse::Cooled)
        );
    }

    #[test]
    fn asking_and_giving_back_settles_and_never_gives_back_a_block_in_use(
        extra in 0u8..4, held in 0usize..20, pending in 0usize..10, standing: bool, closed: bool,
    ) {
        let block_len = 32 - extra;
        let want = Want { pool: "a".to_owned(), max_len: 32, block_len, pending, standing, closed };
        let pool = "10.0.0.0/24".parse().unwrap();
        let mut ledger: Ledger<usize> = Ledger::new(Duration::from_secs(COOL));
        let mut slot = 0;
        let mut add = |ledger: &mut Ledger<usize>| {
            let net = crate::block::slot(pool, block_len, slot).unwrap();
            slot += 1;
            let (name, pool) = (format!("a-{slot}"), "a".to_owned());
            ledger.put_block(Block { name, pool, net, state: BlockState::Open, avoid_buggy: false });
        };
        for key in 0..held {
            while ledger.allocate(&key, &["a"], Duration::ZERO, Reuse::Cooled).is_err() {
                add(&mut ledger);
            }
        }
        for round in 0.. {
            prop_assert!(round < 4, "it settles");
            let need = need(&ledger, &want, Duration::ZERO);
            let has = ledger.blocks().count();
            if need.release.is_empty() && need.blocks == has {
                break;
            }
            for name in &need.release {
                prop_assert_eq!(ledger.remove_block(name), vec![]);
            }
            (ledger.blocks().count()..need.blocks).for_each(|_| add(&mut ledger));
        }
        if !closed {
            let free = ledger.free_count("a", Duration::ZERO);
            prop_assert!(free >= u128::try_from(pending).unwrap());
        }
    }
}
