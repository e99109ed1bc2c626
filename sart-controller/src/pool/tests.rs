//! The decisions about pools, case by case.

use std::sync::Arc;

use super::observe::Observed;
use super::plan;
use crate::write::{Action, Kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use sart_api::{AddressBlock, AddressPool};
use serde_json::json;

fn now() -> Time {
    Time(Timestamp::from_second(1000).unwrap())
}

fn pool(name: &str, cidr: &str) -> AddressPool {
    let value = json!({"metadata": {"name": name, "uid": name}, "spec": {"cidr": cidr, "type": "service"}});
    serde_json::from_value(value).unwrap()
}

fn block(name: &str, pool: &str, kind: &str, owned: bool) -> AddressBlock {
    let owner = json!([{"apiVersion": "x", "kind": "AddressPool", "name": pool, "uid": pool}]);
    let owners = if owned { owner } else { json!([]) };
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": name, "ownerReferences": owners},
        "spec": {"cidr": "10.0.0.0/24", "type": kind, "poolRef": pool, "autoAssign": false},
    }))
    .unwrap()
}

fn observed(pools: &[AddressPool], blocks: &[AddressBlock]) -> Observed {
    Observed {
        pools: pools.iter().cloned().map(Arc::new).collect(),
        blocks: blocks.iter().cloned().map(Arc::new).collect(),
    }
}

/// Applies the plan to pools and blocks as the API server would.
fn model_apply(pools: &mut [AddressPool], blocks: &mut Vec<AddressBlock>, actions: Vec<Action>) {
    for action in actions {
        match action {
            Action::Apply(target, mut body) if target.kind == Kind::Block => {
                body["metadata"]["uid"] = json!(target.name.name);
                blocks.retain(|b| b.metadata.name.as_deref() != Some(&target.name.name));
                blocks.push(serde_json::from_value(body).unwrap());
            }
            Action::ApplyStatus(target, body) => {
                let pool =
                    pools.iter_mut().find(|p| p.metadata.name.as_deref() == Some(&target.name.name)).unwrap();
                pool.status = serde_json::from_value(body["status"].clone()).unwrap();
            }
            Action::Delete(target, _) => {
                blocks.retain(|b| b.metadata.name.as_deref() != Some(&target.name.name));
            }
            other => panic!("pools never plan {other:?}"),
        }
    }
}

fn reason(pool: &AddressPool) -> String {
    pool.status.as_ref().unwrap().conditions[0].reason.clone()
}

fn settle(pools: &mut [AddressPool], blocks: &mut Vec<AddressBlock>) {
    let actions = plan(&observed(pools, blocks), &now()).actions;
    model_apply(pools, blocks, actions);
    assert_eq!(plan(&observed(pools, blocks), &now()).actions, [], "planning again yields nothing");
}

#[test]
fn an_accepted_service_pool_gets_the_block_of_its_name() {
    let (mut pools, mut blocks) = (vec![pool("a", "10.0.0.0/24")], Vec::new());
    settle(&mut pools, &mut blocks);
    assert_eq!(reason(&pools[0]), "Accepted");
    assert_eq!((blocks[0].spec.cidr.as_str(), blocks[0].spec.pool_ref.as_str()), ("10.0.0.0/24", "a"));
}

#[test]
fn measured_overlapping_pools_are_refused_and_get_no_block() {
    let (mut pools, mut blocks) = (vec![pool("a", "10.0.0.0/24"), pool("b", "10.0.0.128/25")], Vec::new());
    settle(&mut pools, &mut blocks);
    assert_eq!((reason(&pools[0]), reason(&pools[1])), ("Accepted".into(), "Overlap".into()));
    assert_eq!(blocks.len(), 1);
}

#[test]
fn issue_7_1_8_a_service_pool_with_a_numeric_suffix_is_a_pool_like_any_other() {
    let (mut pools, mut blocks) = (vec![pool("lb-1", "10.0.0.0/24")], Vec::new());
    settle(&mut pools, &mut blocks);
    assert_eq!(reason(&pools[0]), "Accepted");
}

#[test]
fn issue_7_1_8_a_restart_reads_back_a_block_without_status_whatever_its_name() {
    let mut pools = vec![pool("lb-1", "10.0.0.0/24"), pool("b", "10.1.0.0/24")];
    let mut blocks = vec![block("lb-1", "lb-1", "service", true)];
    assert_eq!(blocks[0].status, None);
    settle(&mut pools, &mut blocks);
    assert_eq!((reason(&pools[0]), reason(&pools[1])), ("Accepted".into(), "Accepted".into()));
    let mut names: Vec<_> = blocks.iter().filter_map(|b| b.metadata.name.as_deref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["b", "lb-1"]);
}

#[test]
fn issue_7_2_an_edit_of_auto_assign_reaches_the_block() {
    let (mut pools, mut blocks) = (vec![pool("a", "10.0.0.0/24")], Vec::new());
    settle(&mut pools, &mut blocks);
    assert!(!blocks[0].spec.auto_assign);
    pools[0].spec.auto_assign = Some(true);
    settle(&mut pools, &mut blocks);
    assert!(blocks.len() == 1 && blocks[0].spec.auto_assign);
}

#[test]
fn issue_7_1_8_a_name_that_a_pod_block_has_refuses_the_pool_and_harms_no_other() {
    let mut pools = vec![pool("a-0", "10.0.0.0/24"), pool("b", "10.1.0.0/24")];
    let mut blocks = vec![block("a-0", "a", "pod", false)];
    settle(&mut pools, &mut blocks);
    assert_eq!((reason(&pools[0]), reason(&pools[1])), ("BlockNameTaken".into(), "Accepted".into()));
}

#[test]
fn a_stored_pool_with_a_bad_cidr_is_refused_not_fatal() {
    let (mut pools, mut blocks) = (vec![pool("a", "10.0.0.0/33"), pool("b", "10.0.0.0/24")], Vec::new());
    settle(&mut pools, &mut blocks);
    assert_eq!((reason(&pools[0]), reason(&pools[1])), ("InvalidCidr".into(), "Accepted".into()));
}

#[test]
fn the_block_of_a_deleted_pool_goes_and_blocks_of_others_stay() {
    let mut blocks = vec![block("gone", "gone", "service", true), block("p-0", "p", "pod", false)];
    settle(&mut [], &mut blocks);
    assert_eq!(blocks.iter().filter_map(|b| b.metadata.name.as_deref()).collect::<Vec<_>>(), ["p-0"]);
}
