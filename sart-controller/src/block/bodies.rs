//! The objects written for a pod pool: blocks, their status and label, their advertisements, and the answer to a request.

use std::collections::BTreeMap;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use sart_api::condition::{self, Condition};
use sart_api::{
    AddressBlock, AddressBlockStatus, BGPAdvertisement, BlockRequest, BlockRequestStatus, keys, names,
};
use serde_json::{Value, json};

use super::observe::{NAMESPACE, Observed, Pool};
use crate::key::Name;
use crate::meta;
use crate::write::{Action, Kind, Target, api_version};

/// The create that claims a slot for a node.
#[must_use]
pub fn create(pool_name: &str, pool: &Pool, node: &str, (slot, net): (u128, IpNet)) -> Action {
    let name = names::block(pool_name, slot);
    let spec = json!({
        "cidr": net.to_string(), "type": "pod", "poolRef": pool_name, "nodeRef": node, "autoAssign": pool.auto_assign,
    });
    Action::Create(
        Target { kind: Kind::Block, name: Name::cluster(&name) },
        body(&name, &labels(pool_name, node), &spec),
    )
}

fn labels(pool: &str, node: &str) -> BTreeMap<String, String> {
    let pair = |key: &str, value: &str| (key.to_owned(), names::label_value(value));
    BTreeMap::from([pair(keys::ADDRESS_POOL, pool), pair(keys::BLOCK_NODE, node)])
}

fn body(name: &str, labels: &BTreeMap<String, String>, spec: &Value) -> Value {
    json!({
        "apiVersion": api_version(),
        "kind": "AddressBlock",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    })
}

/// Sets the labels by which agents find the block; by the mark of loss every agent finds it.
#[must_use]
pub fn label(block: &AddressBlock, is_lost: bool) -> Option<Action> {
    let node = block.spec.node_ref.as_deref().unwrap_or_default();
    let mut wanted = labels(&block.spec.pool_ref, node);
    if is_lost {
        wanted.insert(keys::BLOCK_LOST.to_owned(), "true".to_owned());
    }
    if meta::labels_match(block, &wanted) {
        return None;
    }
    let name = block.name_any();
    let mut body = body(&name, &wanted, &json!(block.spec));
    body["metadata"]["uid"] = json!(meta::uid(block));
    Some(Action::Apply(Target { kind: Kind::Block, name: Name::cluster(&name) }, body))
}

/// Slot and condition of a block.
#[must_use]
pub fn block_status(
    observed: &Observed,
    block: &AddressBlock,
    condition: Option<Condition>,
    now: &Time,
) -> Option<Action> {
    let current = block.status.clone().unwrap_or_default();
    let net = block.spec.cidr.parse::<IpNet>().ok();
    let slot =
        net.zip(observed.pool.as_ref()).and_then(|(net, pool)| sart_ipam::block::slot_of(pool.net, net));
    let index = slot.map_or(current.index, |slot| u32::try_from(slot).unwrap_or(u32::MAX));
    let wanted = condition.map(|c| c.observed(block.metadata.generation)).into_iter().collect();
    let wanted = AddressBlockStatus { index, conditions: condition::merge(&current.conditions, wanted, now) };
    if block.status.as_ref() == Some(&wanted) {
        return None;
    }
    let name = block.name_any();
    let body = json!({
        "apiVersion": api_version(),
        "kind": "AddressBlock",
        "metadata": {"name": name, "uid": meta::uid(block)},
        "status": wanted,
    });
    Some(Action::ApplyStatus(Target { kind: Kind::Block, name: Name::cluster(&name) }, body))
}

/// The advertisement of a block, unless it stands: named after the block, in the namespace upstream uses.
#[must_use]
pub fn advertisement(observed: &Observed, block: &AddressBlock) -> Option<Action> {
    let name = block.name_any();
    let protocol = if block.spec.cidr.contains(':') { "ipv6" } else { "ipv4" };
    let stands = |a: &&std::sync::Arc<BGPAdvertisement>| {
        a.name_any() == name && a.namespace().as_deref() == Some(NAMESPACE)
    };
    // One of an earlier block of this name goes first: it is an orphan. One made by hand stays as it is.
    if observed.adverts.iter().any(|a| stands(&a)) {
        return None;
    }
    let body = json!({
        "apiVersion": api_version(),
        "kind": "BGPAdvertisement",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {keys::ADDRESS_POOL: names::label_value(&block.spec.pool_ref)},
            "ownerReferences": meta::owned_by(&api_version(), "AddressBlock", &name, meta::uid(block)),
        },
        "spec": {"cidr": block.spec.cidr, "type": "pod", "protocol": protocol},
    });
    Some(Action::Apply(Target { kind: Kind::Advertisement, name: Name::new(NAMESPACE, &name) }, body))
}

/// The answer to a request, if it differs.
#[must_use]
pub fn request_status(
    observed: &Observed,
    request: &BlockRequest,
    verdict: Condition,
    now: &Time,
) -> Option<Action> {
    let current = request.status.clone().unwrap_or_default();
    let ours = |b: &&std::sync::Arc<AddressBlock>| {
        let released = request.spec.release.iter().flatten().any(|uid| uid == meta::uid(&***b));
        b.spec.node_ref.as_ref() == Some(&request.spec.node) && !released && !meta::is_going(&***b)
    };
    let mut blocks: Vec<_> = observed.blocks.iter().filter(ours).collect();
    blocks.sort_by_key(|b| (meta::created(&***b), b.name_any()));
    let wanted = BlockRequestStatus {
        block: blocks.last().map(|b| b.name_any()),
        blocks: Some(u32::try_from(blocks.len()).unwrap_or(u32::MAX)),
        conditions: condition::merge(
            &current.conditions,
            vec![verdict.observed(request.metadata.generation)],
            now,
        ),
    };
    if request.status.as_ref() == Some(&wanted) {
        return None;
    }
    let name = request.name_any();
    let body = json!({
        "apiVersion": api_version(),
        "kind": "BlockRequest",
        "metadata": {"name": name, "uid": meta::uid(request)},
        "status": wanted,
    });
    Some(Action::ApplyStatus(Target { kind: Kind::Request, name: Name::cluster(&name) }, body))
}
