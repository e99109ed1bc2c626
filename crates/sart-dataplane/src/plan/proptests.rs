//! Plans between random tables: safe at every step, complete at the end, empty when repeated.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use sart_ebpf_common::layout::{BACKEND_LIVE, SLOTS_PER_WORD};

use super::*;
use crate::desired::{Endpoint, Protocol};
use crate::tables::Tables;

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (0..12_u8, 0..2_u64, prop::bool::weighted(0.2)).prop_map(|(last, identity, draining)| Endpoint {
        addr: Ipv4Addr::new(10, 244, 0, last),
        port: 8080,
        identity,
        draining,
    })
}

fn tables() -> impl Strategy<Value = DesiredTables> {
    let vip = (0..6_u8, prop::bool::ANY, prop::collection::vec(endpoint(), 0..6));
    prop::collection::vec(vip, 0..8).prop_map(|vips| DesiredTables {
        vips: vips
            .into_iter()
            .map(|(last, udp, endpoints)| DesiredVip {
                id: VipId {
                    addr: Ipv4Addr::new(10, 0, 1, last),
                    port: 80,
                    protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
                },
                service: ServiceRef { namespace: "n".into(), name: format!("s{last}") },
                endpoints,
            })
            .collect(),
    })
}

/// Address, port and identity of an endpoint.
type Who = (u32, u16, u64);

/// Where new flows to `vip` can go: the live endpoints, and whether a slot leads nowhere.
fn reachable(tables: &Dump, vip: VipId) -> Option<(BTreeSet<Who>, bool)> {
    let row = tables.vips.get(&key(vip)).filter(|row| row.flags & VIP_SERVICE != 0 && row.backends > 0)?;
    let mut found = BTreeSet::new();
    let mut dead = false;
    for slot in row.ring_base..=row.ring_base + row.ring_mask {
        let word = tables.ring.get(&(slot / SLOTS_PER_WORD)).copied().unwrap_or(0);
        let index = (word >> (slot % SLOTS_PER_WORD * 16)) as u16;
        match tables.backends.get(&index).filter(|row| row.flags & BACKEND_LIVE != 0) {
            Some(row) => {
                found.insert((row.addr, row.port, row.identity));
            }
            None => dead = true,
        }
    }
    Some((found, dead))
}

fn serving(desired: &DesiredTables, vip: VipId) -> BTreeSet<Who> {
    let mut owners: Vec<&DesiredVip> = desired.vips.iter().filter(|row| row.id == vip).collect();
    owners.sort_by_key(|row| &row.service);
    let endpoints = owners.first().map(|row| row.endpoints.as_slice()).unwrap_or_default();
    let serving = endpoints.iter().filter(|endpoint| !endpoint.draining);
    serving.map(|e| (be32(e.addr.octets()), be16(e.port), e.identity)).collect()
}

fn unambiguous(tables: &DesiredTables) -> DesiredTables {
    let mut seen = BTreeSet::new();
    DesiredTables { vips: tables.vips.iter().filter(|vip| seen.insert(vip.id)).cloned().collect() }
}

proptest! {
    #[test]
    fn planning_again_after_carrying_it_out_gives_nothing(steps in prop::collection::vec(tables(), 1..5)) {
        let mut shadow = Dump::default();
        for desired in &steps {
            for op in plan(desired, &shadow).ops {
                shadow.execute(&op).unwrap();
            }
            prop_assert_eq!(plan(desired, &shadow).ops, vec![]);
        }
    }

    #[test]
    fn a_new_flow_only_ever_reaches_an_endpoint_its_service_has_or_had(steps in prop::collection::vec(tables(), 1..5)) {
        let mut shadow = Dump::default();
        let mut before = DesiredTables::default();
        for desired in steps.iter().map(unambiguous) {
            for op in plan(&desired, &shadow).ops {
                shadow.execute(&op).unwrap();
                for vip in before.vips.iter().chain(&desired.vips) {
                    let Some((found, dead)) = reachable(&shadow, vip.id) else { continue };
                    let allowed: BTreeSet<_> =
                        serving(&before, vip.id).union(&serving(&desired, vip.id)).copied().collect();
                    prop_assert!(found.is_subset(&allowed), "{} reaches {found:?}, not {allowed:?}", vip.id);
                    prop_assert!(!dead, "{} has a slot that leads nowhere after {op:?}", vip.id);
                }
            }
            before = desired;
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_way(first in tables(), second in tables()) {
        let second = unambiguous(&second);
        let mut shadow = Dump::default();
        for desired in [&first, &second] {
            for op in plan(desired, &shadow).ops {
                shadow.execute(&op).unwrap();
            }
        }
        for vip in &second.vips {
            let wanted = serving(&second, vip.id);
            match reachable(&shadow, vip.id) {
                Some((found, dead)) => prop_assert!(found == wanted && !dead, "{found:?} for {wanted:?}"),
                None => prop_assert!(wanted.is_empty()),
            }
        }
        let services = shadow.vips.values().filter(|row| row.flags & VIP_SERVICE != 0).count();
        prop_assert_eq!(services, second.vips.len());
    }

    #[test]
    fn an_index_never_gets_another_endpoint_under_the_same_generation(steps in prop::collection::vec(tables(), 1..6)) {
        let mut shadow = Dump::default();
        let mut owners = std::collections::BTreeMap::new();
        for desired in &steps {
            for op in plan(desired, &shadow).ops {
                shadow.execute(&op).unwrap();
                if let Op::PutBackend(index, row) = op {
                    let who = (row.addr, row.port, row.identity);
                    let owner = owners.entry((index, row.generation)).or_insert(who);
                    prop_assert_eq!(*owner, who);
                }
            }
        }
    }
}
