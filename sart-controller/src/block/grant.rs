//! Who gets which slot. The create of a block decides; here it is only chosen, the same way by every controller.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use sart_api::condition::{ACCEPTED, Condition};
use sart_api::{AddressBlock, BlockRequest, names};
use sart_ipam::block;

use super::bodies;
use super::observe::{Life, Observed, Pool};
use crate::meta;
use crate::write::Action;

/// Creates what the living nodes lack, who has least first, and tells each request how it stands.
pub fn answer(observed: &Observed, leaving: &BTreeSet<String>, now: &Time) -> Vec<Action> {
    let requests: Vec<&Arc<BlockRequest>> =
        observed.requests.iter().filter(|r| is_served(observed, r)).collect();
    let mut has: BTreeMap<&str, usize> = BTreeMap::new();
    let kept = |b: &&Arc<AddressBlock>| !leaving.contains(meta::uid(&***b)) && !meta::is_going(&***b);
    for node in observed.blocks.iter().filter(kept).filter_map(|b| b.spec.node_ref.as_deref()) {
        *has.entry(node).or_default() += 1;
    }
    let granted = grants(observed, &requests, &has);
    let mut actions: Vec<Action> = Vec::new();
    if let Some(pool) = &observed.pool {
        let create = |(node, slot, net): &(String, u128, IpNet)| {
            bodies::create(&observed.name, pool, node, (*slot, *net))
        };
        actions.extend(granted.iter().map(create));
    }
    for request in requests {
        let node = request.spec.node.as_str();
        let short = wanted(request).saturating_sub(has.get(node).copied().unwrap_or_default());
        let coming = granted.iter().filter(|(to, _, _)| to == node).count();
        // While creates are on their way the status waits for their answers: one write instead of two.
        if coming == 0 {
            actions.extend(bodies::request_status(observed, request, verdict(observed, short), now));
        }
    }
    actions
}

/// A request on its way out, or of a node that is lost, gets nothing.
fn is_served(observed: &Observed, request: &BlockRequest) -> bool {
    !meta::is_going(request) && observed.nodes.get(&request.spec.node) == Some(&Life::Alive)
}

/// How many blocks a request asks for.
#[must_use]
pub fn wanted(request: &BlockRequest) -> usize {
    usize::try_from(request.spec.blocks.unwrap_or(1)).unwrap_or(usize::MAX)
}

/// Node, slot and prefix of every block to create.
fn grants(
    observed: &Observed,
    requests: &[&Arc<BlockRequest>],
    has: &BTreeMap<&str, usize>,
) -> Vec<(String, u128, IpNet)> {
    let Some(pool) = observed.pool.as_ref().filter(|pool| pool.closed.is_none()) else { return Vec::new() };
    let mut slots = slots(observed, pool);
    let mut granted = Vec::new();
    // In turns: a node that wants many does not starve one that has none.
    let mut turns: Vec<(usize, i64, &str)> = Vec::new();
    for request in requests {
        let node = request.spec.node.as_str();
        let from = has.get(node).copied().unwrap_or_default();
        turns.extend((from..wanted(request)).map(|turn| (turn, meta::created(&***request), node)));
    }
    turns.sort_unstable();
    for (_, _, node) in turns {
        let Some((slot, net)) = slots.next() else { break };
        granted.push((node.to_owned(), slot, net));
    }
    granted
}

/// Free slots whose name nobody has. A slot and its name belong together for good: were a slot taken under another name,
/// a controller that has not seen that block yet could create it a second time.
fn slots<'a>(observed: &'a Observed, pool: &'a Pool) -> impl Iterator<Item = (u128, IpNet)> + 'a {
    let own: BTreeSet<String> = observed.blocks.iter().map(|b| b.name_any()).collect();
    let free = block::free_slots(pool.net, pool.block_len, &observed.taken);
    free.filter_map(move |slot| {
        let name = names::block(&observed.name, slot);
        let taken = own.contains(&name) || observed.foreign_names.contains(&name);
        (!taken).then(|| Some((slot, block::slot(pool.net, pool.block_len, slot).ok()?))).flatten()
    })
}

/// What a request is told when nothing is on its way.
fn verdict(observed: &Observed, short: usize) -> Condition {
    let name = &observed.name;
    let refused = |reason: &str, message: String| Condition::new(ACCEPTED, "False", reason, message);
    if short == 0 {
        return Condition::new(ACCEPTED, "True", "Served", "the node has the blocks it asked for");
    }
    let Some(pool) = &observed.pool else {
        return refused("PoolNotFound", format!("there is no AddressPool {name} of type pod; create it"));
    };
    if let Some(why) = pool.closed {
        return refused("PoolNotUsable", format!("AddressPool {name} is {why}; see its conditions"));
    }
    if let Err(error) = block::last_slot(pool.net, pool.block_len) {
        return refused(error.reason(), error.to_string());
    }
    let message = format!(
        "AddressPool {name} has no free block, {short} short; the node is served when one is given back. Add a pool, or \
         remove pods or lost nodes"
    );
    refused("PoolExhausted", message)
}
