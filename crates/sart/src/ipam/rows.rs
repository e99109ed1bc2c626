//! One row per pool and per block. Computes; asks nobody.

use ipnet::IpNet;
use kube::ResourceExt as _;
use sart_api::condition::{self, ACCEPTED, LOST};
use sart_api::{AddressBlock, AddressPool, AddressType, BlockRequest};
use serde::Serialize;

pub(crate) const POOL_COLUMNS: [&str; 8] =
    ["NAME", "CIDR", "TYPE", "AUTO", "BLOCKS", "FREE BLOCKS", "WAITING NODES", "ACCEPTED"];
pub(crate) const BLOCK_COLUMNS: [&str; 6] = ["NAME", "CIDR", "TYPE", "POOL", "NODE", "STATE"];

/// A pool and how much of it is cut.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PoolRow {
    pub(crate) name: String,
    pub(crate) cidr: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) auto_assign: bool,
    pub(crate) blocks: usize,
    /// None for service pools and for more than 128 bits can count.
    pub(crate) free_blocks: Option<u128>,
    /// Nodes whose request is not served.
    pub(crate) waiting: Vec<String>,
    pub(crate) accepted: String,
}

/// A block and whose it is.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlockRow {
    pub(crate) name: String,
    pub(crate) cidr: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) pool: String,
    pub(crate) node: String,
    pub(crate) state: String,
}

pub(crate) fn pools(
    pools: &[AddressPool],
    blocks: &[AddressBlock],
    requests: &[BlockRequest],
) -> Vec<PoolRow> {
    let mut rows: Vec<PoolRow> = pools.iter().map(|pool| row(pool, blocks, requests)).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

fn row(pool: &AddressPool, blocks: &[AddressBlock], requests: &[BlockRequest]) -> PoolRow {
    let name = pool.name_any();
    let count = blocks.iter().filter(|block| block.spec.pool_ref == name).count();
    let short = |request: &&BlockRequest| {
        let conditions = request.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
        request.spec.pool == name && !condition::is_true(conditions, ACCEPTED)
    };
    let accepted = pool.status.as_ref().and_then(|s| condition::find(&s.conditions, ACCEPTED));
    PoolRow {
        cidr: pool.spec.cidr.clone(),
        kind: kind(pool.spec.type_),
        auto_assign: pool.spec.auto_assign.unwrap_or(false),
        blocks: count,
        free_blocks: free(pool, count),
        waiting: requests.iter().filter(short).map(|request| request.spec.node.clone()).collect(),
        accepted: accepted.map_or_else(|| "not yet judged".to_owned(), |c| c.reason.clone()),
        name,
    }
}

fn free(pool: &AddressPool, taken: usize) -> Option<u128> {
    let net: IpNet = pool.spec.cidr.parse().ok()?;
    let length = pool.spec.block_size.map_or(Some(net.prefix_len()), |size| u8::try_from(size).ok())?;
    let last =
        sart_ipam::block::last_slot(net, length).ok().filter(|_| pool.spec.type_ == AddressType::Pod)?;
    Some(last.checked_add(1)?.saturating_sub(u128::try_from(taken).ok()?))
}

pub(crate) fn blocks(blocks: &[AddressBlock]) -> Vec<BlockRow> {
    let mut rows: Vec<(Option<IpNet>, BlockRow)> = blocks.iter().map(block).collect();
    rows.sort_by(|(a, x), (b, y)| (&x.pool, a, &x.name).cmp(&(&y.pool, b, &y.name)));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn block(block: &AddressBlock) -> (Option<IpNet>, BlockRow) {
    let conditions = block.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let lost = condition::find(conditions, LOST).filter(|lost| lost.is_true());
    let state = match lost {
        Some(lost) => format!("lost: {}", lost.message),
        None if block.metadata.deletion_timestamp.is_some() => "going".to_owned(),
        None => "claimed".to_owned(),
    };
    let row = BlockRow {
        name: block.name_any(),
        cidr: block.spec.cidr.clone(),
        kind: kind(block.spec.type_),
        pool: block.spec.pool_ref.clone(),
        node: block.spec.node_ref.clone().unwrap_or_default(),
        state,
    };
    (block.spec.cidr.parse().ok(), row)
}

fn kind(kind: AddressType) -> String {
    match kind {
        AddressType::Pod => "pod".to_owned(),
        AddressType::Service => "service".to_owned(),
    }
}

impl PoolRow {
    pub(crate) fn cells(&self) -> Vec<String> {
        let free = self.free_blocks.map_or_else(|| "-".to_owned(), |free| free.to_string());
        let waiting = if self.waiting.is_empty() { "-".to_owned() } else { self.waiting.join(",") };
        vec![
            self.name.clone(),
            self.cidr.clone(),
            self.kind.clone(),
            self.auto_assign.to_string(),
            self.blocks.to_string(),
            free,
            waiting,
            self.accepted.clone(),
        ]
    }
}

impl BlockRow {
    pub(crate) fn cells(&self) -> Vec<String> {
        let node = if self.node.is_empty() { "-".to_owned() } else { self.node.clone() };
        vec![
            self.name.clone(),
            self.cidr.clone(),
            self.kind.clone(),
            self.pool.clone(),
            node,
            self.state.clone(),
        ]
    }
}
