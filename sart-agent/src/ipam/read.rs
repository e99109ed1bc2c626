//! Reads watched objects into facts; an object that makes no sense is left out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use sart_api::condition::{self, ACCEPTED};
use sart_api::net::Cidr;
use sart_api::{AddressBlock, AddressPool, AddressType, BlockRequest, keys};
use sart_ipam::pod::PodPool;

use super::view::{BlockFact, PodFact, RequestFact};

/// Annotation of a mirror pod: the UID of the static pod it stands for (Kubernetes: static pods).
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A pod with a network of its own; `None` for one on the host's.
pub fn pod(pod: &Pod) -> Option<PodFact> {
    let spec = pod.spec.as_ref()?;
    if spec.host_network == Some(true) {
        return None;
    }
    let status = pod.status.as_ref();
    let ended =
        status.and_then(|s| s.phase.as_deref()).is_some_and(|phase| matches!(phase, "Succeeded" | "Failed"));
    let listed = status.iter().flat_map(|s| s.pod_ips.iter().flatten());
    let addresses: Vec<IpAddr> = listed.filter_map(|ip| ip.ip.parse().ok()).collect();
    Some(PodFact {
        uid: pod.uid().unwrap_or_default(),
        alias: pod.annotations().get(MIRROR).cloned(),
        pool: pod.annotations().get(keys::ADDRESS_POOL).cloned(),
        waiting: !ended && addresses.is_empty() && pod.metadata.deletion_timestamp.is_none(),
        addresses,
    })
}

/// A pool of type `pod` whose prefix makes sense.
pub fn pool(pool: &AddressPool) -> Option<PodPool> {
    if pool.spec.type_ != AddressType::Pod {
        return None;
    }
    let net = pool.spec.cidr.parse::<Cidr>().ok()?.net();
    let conditions = pool.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    Some(PodPool {
        name: pool.name_any(),
        net,
        block_len: pool.spec.block_size.and_then(|size| u8::try_from(size).ok()).unwrap_or(net.prefix_len()),
        auto_assign: pool.spec.auto_assign.unwrap_or(false),
        accepted: condition::is_true(conditions, ACCEPTED) && pool.metadata.deletion_timestamp.is_none(),
        disabled: pool.spec.disabled.unwrap_or(false),
        avoid_buggy: pool.spec.avoid_buggy_ips.unwrap_or(false),
    })
}

/// A block of pods that names this node; the label that selects it may be a shortened name.
pub fn block(block: &AddressBlock, node: &str) -> Option<BlockFact> {
    if block.spec.type_ != AddressType::Pod || block.spec.node_ref.as_deref() != Some(node) {
        return None;
    }
    Some(BlockFact {
        uid: block.uid()?,
        pool: block.spec.pool_ref.clone(),
        net: block.spec.cidr.parse::<Cidr>().ok()?.net(),
        going: block.metadata.deletion_timestamp.is_some(),
    })
}

/// A request of this node.
pub fn request(request: &BlockRequest, node: &str) -> Option<RequestFact> {
    if request.spec.node != node || request.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let accepted = request.status.as_ref().and_then(|s| condition::find(&s.conditions, ACCEPTED));
    let exhausted = accepted.filter(|c| c.reason == "PoolExhausted").map(|c| c.message.clone());
    let release: BTreeSet<String> = request.spec.release.iter().flatten().cloned().collect();
    let (pool, blocks) = (request.spec.pool.clone(), request.spec.blocks.unwrap_or(1));
    Some(RequestFact { pool, blocks, release, exhausted })
}
