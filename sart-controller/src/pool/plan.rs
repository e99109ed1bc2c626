//! Accepts or refuses every pool, gives each accepted service pool its block, and removes blocks whose pool is gone.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use sart_api::condition::{self, ACCEPTED, Condition};
use sart_api::net::{Cidr, ParseError};
use sart_api::{AddressBlock, AddressPool, AddressType};
use sart_ipam::pool::{PoolFacts, decide};
use serde_json::json;

use super::observe::Observed;
use crate::key::Name;
use crate::meta;
use crate::write::Plan;
use crate::write::{Action, Kind, Target, api_version};

/// Plans every pool at once.
#[must_use]
pub fn plan(observed: &Observed, now: &Time) -> Plan {
    let verdicts = verdicts(&observed.pools);
    let mut actions = Vec::new();
    for pool in &observed.pools {
        let Some(mut wanted) = verdicts.get(&pool.name_any()).cloned() else { continue };
        let block = observed.blocks.iter().find(|b| b.name_any() == pool.name_any());
        let serves = pool.spec.type_ == AddressType::Service && !meta::is_going(&**pool);
        if wanted.is_true() && serves {
            match give_block(pool, block.map(|b| &**b)) {
                Ok(action) => actions.extend(action),
                Err(taken) => wanted = *taken,
            }
        }
        actions.extend(tell(pool, wanted, now));
    }
    actions.extend(observed.blocks.iter().filter_map(|b| orphan(b, &observed.pools)));
    Plan::of(actions)
}

/// `Accepted` of every pool by name.
fn verdicts(pools: &[std::sync::Arc<AddressPool>]) -> BTreeMap<String, Condition> {
    let mut verdicts = BTreeMap::new();
    let mut facts = Vec::new();
    for pool in pools.iter().filter(|p| !meta::is_going(&***p)) {
        match facts_of(pool) {
            Ok(fact) => facts.push(fact),
            Err(error) => {
                verdicts.insert(pool.name_any(), refused(error.reason(), &error.to_string()));
            }
        }
    }
    for (name, answer) in decide(&facts) {
        let condition = match answer {
            Ok(()) => Condition::new(ACCEPTED, "True", "Accepted", "addresses are allocated from this pool"),
            Err(refusal) => refused(refusal.reason(), &refusal.to_string()),
        };
        verdicts.insert(name, condition);
    }
    verdicts
}

fn facts_of(pool: &AddressPool) -> Result<PoolFacts, ParseError> {
    let net = pool.spec.cidr.parse::<Cidr>()?.net();
    let conditions = pool.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    Ok(PoolFacts {
        name: pool.name_any(),
        net,
        pod: pool.spec.type_ == AddressType::Pod,
        block_len: pool.spec.block_size.map(|size| u8::try_from(size).unwrap_or(u8::MAX)),
        auto_assign: pool.spec.auto_assign.unwrap_or(false),
        accepted: condition::is_true(conditions, ACCEPTED),
        created: meta::created(pool),
    })
}

fn refused(reason: &str, message: &str) -> Condition {
    Condition::new(ACCEPTED, "False", reason, message)
}

/// The block of a service pool: nothing to do, one write, or the name belongs to another pool's block.
fn give_block(pool: &AddressPool, block: Option<&AddressBlock>) -> Result<Option<Action>, Box<Condition>> {
    let name = pool.name_any();
    let auto = pool.spec.auto_assign.unwrap_or(false);
    if let Some(block) = block {
        if block.spec.pool_ref != name || block.spec.type_ != AddressType::Service {
            let message = format!(
                "AddressBlock {name} belongs to pool {}; give this pool another name",
                block.spec.pool_ref
            );
            return Err(Box::new(refused("BlockNameTaken", &message)));
        }
        let same = block.spec.cidr == pool.spec.cidr && block.spec.auto_assign == auto;
        if same || meta::is_going(block) {
            return Ok(None);
        }
    }
    let body = json!({
        "apiVersion": api_version(),
        "kind": "AddressBlock",
        "metadata": {
            "name": name,
            "ownerReferences": meta::owned_by(&api_version(), "AddressPool", &name, meta::uid(pool)),
        },
        "spec": {"cidr": pool.spec.cidr, "type": "service", "poolRef": name, "autoAssign": auto},
    });
    Ok(Some(Action::Apply(Target { kind: Kind::Block, name: Name::cluster(&name) }, body)))
}

/// The status write of a pool, if its condition differs.
fn tell(pool: &AddressPool, wanted: Condition, now: &Time) -> Option<Action> {
    let current = pool.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let merged = condition::merge(current, vec![wanted.observed(pool.metadata.generation)], now);
    if merged == current {
        return None;
    }
    let name = pool.name_any();
    let body = json!({
        "apiVersion": api_version(),
        "kind": "AddressPool",
        "metadata": {"name": name, "uid": meta::uid(pool)},
        "status": {"conditions": merged},
    });
    Some(Action::ApplyStatus(Target { kind: Kind::Pool, name: Name::cluster(&name) }, body))
}

/// Deletes the block of a service pool that is gone. Claims keep its addresses from anyone else.
fn orphan(block: &AddressBlock, pools: &[std::sync::Arc<AddressPool>]) -> Option<Action> {
    let has_pool = pools.iter().any(|p| p.name_any() == block.spec.pool_ref && !meta::is_going(&**p));
    let ours = block.spec.type_ == AddressType::Service && meta::owner(block, "AddressPool").is_some();
    if has_pool || !ours || meta::is_going(block) {
        return None;
    }
    let target = Target { kind: Kind::Block, name: Name::of(block) };
    Some(Action::Delete(target, meta::uid(block).to_owned()))
}
