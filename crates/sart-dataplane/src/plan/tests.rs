//! What single changes do to the maps.

use std::net::Ipv4Addr;

use sart_ebpf_common::layout::{BACKEND_DRAINING, BACKEND_LIVE, RING, VIP_STATS};

use super::*;
use crate::desired::{Endpoint, Protocol, identity};
use crate::tables::{Faulty, Tables};

fn id(last: u8, port: u16) -> VipId {
    VipId { addr: Ipv4Addr::new(10, 0, 1, last), port, protocol: Protocol::Tcp }
}

fn pod(last: u8, uid: &str) -> Endpoint {
    Endpoint { addr: Ipv4Addr::new(10, 244, 1, last), port: 8080, identity: identity(uid), draining: false }
}

fn service(name: &str, id: VipId, endpoints: &[Endpoint]) -> DesiredVip {
    let service = ServiceRef { namespace: "default".into(), name: name.into() };
    DesiredVip { id, service, endpoints: endpoints.to_vec() }
}

fn settle(shadow: &mut Dump, vips: &[DesiredVip]) -> Plan {
    let plan = plan(&DesiredTables { vips: vips.to_vec() }, shadow);
    for op in &plan.ops {
        shadow.execute(op).unwrap();
    }
    plan
}

#[test]
fn an_endpoint_is_live_before_its_ring_and_the_ring_before_its_row() {
    let plan = settle(&mut Dump::default(), &[service("a", id(0, 80), &[pod(5, "x"), pod(6, "y")])]);
    let rank = |op: &Op| match op {
        Op::PutGeneration(_) => 0,
        Op::PutBackend(..) => 1,
        Op::PutRing(..) => 2,
        Op::ResetStats(_) => 3,
        Op::PutVip(_, vip) if vip.flags == 0 => 4,
        Op::PutVip(..) => 5,
        Op::DeleteVip(_) => 6,
    };
    let ranks: Vec<u8> = plan.ops.iter().map(rank).collect();
    assert!(ranks.is_sorted(), "{:?}", plan.ops);
    assert_eq!(ranks.iter().filter(|rank| **rank == 1).count(), 2);
    assert_eq!(ranks.iter().filter(|rank| **rank == 5).count(), 1);
}

#[test]
fn a_pod_that_takes_over_an_address_is_another_endpoint_of_another_generation() {
    let mut shadow = Dump::default();
    settle(&mut shadow, &[service("a", id(0, 80), &[pod(5, "old")])]);
    settle(&mut shadow, &[service("a", id(0, 80), &[pod(5, "new")])]);
    assert_eq!(shadow.backends[&0].flags, 0, "the old pod's index is dead");
    assert_eq!(shadow.backends[&1].flags, BACKEND_LIVE);
    settle(&mut shadow, &[service("a", id(0, 80), &[pod(5, "newest")])]);
    assert_eq!((shadow.backends[&0].flags, shadow.backends[&0].generation), (BACKEND_LIVE, 2));
}

#[test]
fn a_draining_endpoint_keeps_its_flows_and_gets_no_new_one() {
    let mut shadow = Dump::default();
    settle(&mut shadow, &[service("a", id(0, 80), &[pod(5, "x"), pod(6, "y")])]);
    let draining = Endpoint { draining: true, ..pod(5, "x") };
    let plan = settle(&mut shadow, &[service("a", id(0, 80), &[draining, pod(6, "y")])]);
    let index =
        shadow.backends.iter().find(|(_, row)| row.identity == identity("x")).map(|(index, _)| *index);
    let row = shadow.backends[&index.unwrap()];
    assert_eq!((row.flags, row.generation), (BACKEND_LIVE | BACKEND_DRAINING, 1));
    assert_eq!(plan.rows[&id(0, 80)].as_ref().unwrap().backends, 1);
}

#[test]
fn an_address_without_endpoints_stays_and_has_no_ring() {
    let mut shadow = Dump::default();
    settle(&mut shadow, &[service("a", id(0, 80), &[pod(5, "x")])]);
    let plan = settle(&mut shadow, &[service("a", id(0, 80), &[])]);
    let row = plan.rows[&id(0, 80)].clone().unwrap();
    assert_eq!((row.backends, row.generation), (0, 2));
    assert_eq!(shadow.vips.len(), 1, "the endpoint's own row is gone");
}

#[test]
fn two_services_on_one_address_port_and_protocol_are_told_apart_by_name() {
    let plan = settle(
        &mut Dump::default(),
        &[service("b", id(0, 80), &[pod(6, "y")]), service("a", id(0, 80), &[pod(5, "x")])],
    );
    assert!(plan.rows[&id(0, 80)].is_ok());
    let said = plan.refused[0].to_string();
    assert_eq!(said, "10.0.1.0:80/TCP of default/b is already served for default/a");
    assert_eq!(plan.refused[0].reason(), "AddressTaken");
}

#[test]
fn a_full_table_refuses_the_newcomer_by_name_and_harms_nobody_else() {
    let mut shadow = Dump::default();
    let all: Vec<DesiredVip> = (0..VIP_STATS.max_entries)
        .map(|n| {
            let addr = Ipv4Addr::from(0x0a01_0000 + n);
            service("old", VipId { addr, port: 80, protocol: Protocol::Tcp }, &[])
        })
        .collect();
    settle(&mut shadow, &all);
    let mut more = all;
    more.push(service("late", id(0, 80), &[pod(5, "x")]));
    let plan = settle(&mut shadow, &more);
    assert_eq!(plan.ops, [], "nothing changes for those that are there");
    let refusal = plan.rows[&id(0, 80)].clone().unwrap_err();
    assert_eq!(refusal.reason(), "TableFull");
    assert!(refusal.to_string().contains("default/late"), "{refusal}");
    assert!(refusal.to_string().contains("VIP_STATS"), "{refusal}");
}

#[test]
fn a_ring_array_without_a_large_enough_gap_refuses_by_name() {
    let mut shadow = Dump::default();
    let pods: Vec<Endpoint> = (0..=255).map(|last| pod(last, &last.to_string())).collect();
    let rings = RING.max_entries * 4 / 16_384;
    let all: Vec<DesiredVip> = (0..=rings).map(|n| service("a", id(0, 1000 + n as u16), &pods)).collect();
    let plan = settle(&mut shadow, &all);
    let refused: Vec<_> = plan.rows.values().filter_map(|row| row.as_ref().err()).collect();
    assert_eq!(refused.len(), 1);
    assert!(matches!(refused[0], Refusal::Full { table: "RING", .. }), "{:?}", refused[0]);
}

#[test]
fn a_plan_that_broke_off_is_finished_by_the_next() {
    let vips = [service("a", id(0, 80), &[pod(5, "x"), pod(6, "y")])];
    let mut whole = Dump::default();
    let steps = settle(&mut whole, &vips).ops.len();
    for broken in 0..steps {
        let mut tables = Faulty::new(Dump::default(), vec![broken]);
        let desired = DesiredTables { vips: vips.to_vec() };
        let first = plan(&desired, &tables.dump().unwrap());
        let failed = first.ops.iter().try_for_each(|op| tables.execute(op));
        assert!(failed.is_err());
        for op in plan(&desired, &tables.dump().unwrap()).ops {
            tables.execute(&op).unwrap();
        }
        let done = tables.dump().unwrap();
        assert_eq!(done.vips.keys().collect::<Vec<_>>(), whole.vips.keys().collect::<Vec<_>>());
        assert_eq!((&done.ring, done.backends.len()), (&whole.ring, whole.backends.len()));
        assert_eq!(plan(&desired, &done).ops, [], "broken at {broken}");
    }
}
