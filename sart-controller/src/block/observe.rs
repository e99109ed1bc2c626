//! One pod pool: its requests and blocks, the nodes they name, and what every node sees of the blocks of lost ones.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use sart_api::condition::{self, ACCEPTED};
use sart_api::net::Cidr;
use sart_api::{AddressBlock, AddressPool, AddressType, BGPAdvertisement, BlockRequest, keys, names};

use crate::key::Name;
use crate::meta;
use crate::world::World;

/// Namespace of the advertisements of blocks, as upstream has it.
pub const NAMESPACE: &str = "kube-system";

/// A pool that can be cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pool {
    /// Its prefix.
    pub net: IpNet,
    /// Prefix length of its blocks.
    pub block_len: u8,
    /// Copied into its blocks.
    pub auto_assign: bool,
    /// Why it gives nothing new, in words.
    pub closed: Option<&'static str>,
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Life {
    /// It is there.
    Alive,
    /// A person has said that it is down for good.
    OutOfService,
    /// There is no such node.
    Gone,
}

impl Life {
    /// Whether its blocks wait for reuse.
    #[must_use]
    pub fn is_lost(self) -> bool {
        self != Self::Alive
    }
}

/// What decides about one pool.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Its name.
    pub name: String,
    /// The pool, if it is there and of type `pod`.
    pub pool: Option<Pool>,
    /// Requests for it, by name.
    pub requests: Vec<Arc<BlockRequest>>,
    /// Its blocks, by name.
    pub blocks: Vec<Arc<AddressBlock>>,
    /// Prefixes of every block of any pool that shares addresses with this one.
    pub taken: Vec<IpNet>,
    /// Names that blocks of other pools have.
    pub foreign_names: BTreeSet<String>,
    /// Advertisements of its blocks, by name.
    pub adverts: Vec<Arc<BGPAdvertisement>>,
    /// Every node that a request or block names.
    pub nodes: BTreeMap<String, Life>,
    /// Prefix of a lost node's block → the ready nodes that see a route to it or have not said.
    pub doubts: BTreeMap<String, BTreeSet<String>>,
    /// UID of a block → how long this process has known that its node is lost.
    pub lost_for: BTreeMap<String, Duration>,
    /// How long a block of a lost node stays unused.
    pub quarantine: Duration,
}

/// Reads the caches.
#[must_use]
pub fn observe(world: &World, name: &str, now: Duration) -> Observed {
    let pool = world.pools.get(&Name::cluster(name)).filter(|p| p.spec.type_ == AddressType::Pod);
    let pool = pool.and_then(|pool| read(pool));
    let ours = |b: &&Arc<AddressBlock>| b.spec.pool_ref == name && b.spec.type_ == AddressType::Pod;
    let blocks: Vec<_> = world.blocks.values().filter(ours).cloned().collect();
    let requests: Vec<_> = world.requests.values().filter(|r| r.spec.pool == name).cloned().collect();
    let named = blocks.iter().filter_map(|b| b.spec.node_ref.clone());
    let names: BTreeSet<String> = named.chain(requests.iter().map(|r| r.spec.node.clone())).collect();
    let nodes: BTreeMap<String, Life> = names.into_iter().map(|n| (n.clone(), life(world, &n))).collect();
    let is_lost = |b: &&Arc<AddressBlock>| b.spec.node_ref.as_ref().is_some_and(|n| nodes[n].is_lost());
    let lost: Vec<&Arc<AddressBlock>> = blocks.iter().filter(is_lost).collect();
    Observed {
        name: name.to_owned(),
        taken: taken(world, pool.as_ref()),
        foreign_names: world.blocks.values().filter(|b| !ours(b)).map(|b| b.name_any()).collect(),
        adverts: adverts(world, name, &blocks),
        doubts: lost.iter().map(|b| (b.spec.cidr.clone(), doubts(world, &b.spec.cidr))).collect(),
        lost_for: lost.iter().filter_map(|b| lost_for(world, b, now)).collect(),
        quarantine: world.quarantine,
        pool,
        requests,
        blocks,
        nodes,
    }
}

/// Those of this pool's blocks, and whatever has the name of one.
fn adverts(world: &World, pool: &str, blocks: &[Arc<AddressBlock>]) -> Vec<Arc<BGPAdvertisement>> {
    let label = names::label_value(pool);
    let of_pool = world.adverts.values().filter(|a| block_pool(a).as_ref() == Some(&label));
    let mut adverts: BTreeMap<Name, Arc<BGPAdvertisement>> =
        of_pool.map(|a| (Name::of(&**a), Arc::clone(a))).collect();
    for block in blocks {
        let name = Name::new(NAMESPACE, &block.name_any());
        if let Some(advert) = world.adverts.get(&name) {
            adverts.insert(name, Arc::clone(advert));
        }
    }
    adverts.into_values().collect()
}

fn read(pool: &AddressPool) -> Option<Pool> {
    let net = pool.spec.cidr.parse::<Cidr>().ok()?.net();
    let conditions = pool.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let accepted = condition::is_true(conditions, ACCEPTED) && !meta::is_going(pool);
    let closed = match (accepted, pool.spec.disabled.unwrap_or(false)) {
        (false, _) => Some("not accepted"),
        (true, true) => Some("disabled"),
        (true, false) => None,
    };
    Some(Pool {
        net,
        block_len: pool
            .spec
            .block_size
            .map_or(net.prefix_len(), |size| u8::try_from(size).unwrap_or(u8::MAX)),
        auto_assign: pool.spec.auto_assign.unwrap_or(false),
        closed,
    })
}

/// Whether the node is there.
#[must_use]
pub fn life(world: &World, name: &str) -> Life {
    match world.nodes.get(&Name::cluster(name)) {
        None => Life::Gone,
        Some(node) if meta::is_out_of_service(node) => Life::OutOfService,
        Some(_) => Life::Alive,
    }
}

/// Whether the kubelet of the node reports.
#[must_use]
pub fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn taken(world: &World, pool: Option<&Pool>) -> Vec<IpNet> {
    let Some(pool) = pool else { return Vec::new() };
    let nets = world.blocks.values().filter_map(|b| b.spec.cidr.parse::<IpNet>().ok());
    nets.map(|net| net.trunc()).filter(|net| pool.net.contains(net) || net.contains(&pool.net)).collect()
}

/// Ready nodes that speak BGP and see a route to the prefix, or have not said anything about it yet.
fn doubts(world: &World, prefix: &str) -> BTreeSet<String> {
    let speaks = |node: &&Arc<Node>| {
        let there = world.node_bgps.get(&Name::of(&***node)).is_some();
        there && is_ready(node) && !meta::is_out_of_service(node)
    };
    let clear = |node: &Node| {
        let status = world.node_bgps.get(&Name::of(node)).and_then(|n| n.status.as_ref());
        let mut told = status.into_iter().flat_map(|s| s.lost_blocks.iter().flatten());
        told.any(|block| block.prefix == prefix && !block.route)
    };
    world.nodes.values().filter(speaks).filter(|node| !clear(node)).map(|node| node.name_any()).collect()
}

fn lost_for(world: &World, block: &AddressBlock, now: Duration) -> Option<(String, Duration)> {
    let uid = meta::uid(block);
    let since = world.lost_since.get(uid)?;
    Some((uid.to_owned(), now.saturating_sub(*since)))
}

/// The label of the pool whose block an advertisement is for.
#[must_use]
pub fn block_pool(advert: &BGPAdvertisement) -> Option<String> {
    let is_block = advert.spec.type_ == AddressType::Pod && meta::owner(advert, "AddressBlock").is_some();
    is_block.then(|| advert.labels().get(keys::ADDRESS_POOL).cloned()).flatten()
}
