//! Which prefixes no route from a peer may take: what is connected to this node, its own addresses, and what the
//! configuration protects. Only refuses; never changes a route.

use std::collections::BTreeMap;

use ipnet::IpNet;
use thiserror::Error;

use crate::route::{KernelRoute, PROTOCOL_BLOCK, RouteKind};

/// Why a prefix is never programmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Inside a prefix that is on one of this node's links.
    #[error("{0} is inside {1}, which is connected to this node")]
    Connected(IpNet, IpNet),
    /// Inside this node's own addresses.
    #[error("{0} is inside {1}, which is local to this node")]
    Local(IpNet, IpNet),
    /// Inside a block of pod addresses that is this node's.
    #[error("{0} is inside {1}, a block of this node's pods")]
    Block(IpNet, IpNet),
    /// Inside a prefix the configuration protects (API server, node addresses).
    #[error("{0} is inside the protected prefix {1}")]
    Protected(IpNet, IpNet),
    /// Another program's route has the same table, prefix and metric.
    #[error("a route of protocol {1} with the same metric stands at {0}")]
    Occupied(IpNet, u8),
}

/// The prefixes of one moment that are off limits.
#[derive(Debug, Default)]
pub struct Guard {
    taken: BTreeMap<IpNet, Why>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Protected,
    Local,
    Connected,
    Block,
}

impl Refusal {
    /// Label for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::Connected(..) => "connected",
            Refusal::Local(..) => "local",
            Refusal::Block(..) => "block",
            Refusal::Protected(..) => "protected",
            Refusal::Occupied(..) => "occupied",
        }
    }
}

impl Guard {
    /// Reads the connected and local prefixes out of a dump; routes of `ours` say nothing about the node.
    pub fn new(kernel: &[KernelRoute], protected: &[IpNet], ours: &[u8]) -> Self {
        let mut taken = BTreeMap::new();
        for found in kernel.iter().filter(|found| !ours.contains(&found.route.protocol)) {
            let prefix = found.route.key.prefix;
            if found.route.kind == RouteKind::Local {
                taken.insert(prefix, Why::Local);
            } else if found.route.protocol == PROTOCOL_BLOCK {
                taken.entry(prefix).or_insert(Why::Block);
            } else if found.is_connected() {
                taken.entry(prefix).or_insert(Why::Connected);
            }
        }
        taken.extend(protected.iter().map(|prefix| (prefix.trunc(), Why::Protected)));
        Self { taken }
    }

    /// Refuses a prefix that equals, or lies inside, one that is off limits: a longer or equal prefix would win the
    /// lookup for addresses that are the node's.
    pub fn check(&self, prefix: IpNet) -> Result<(), Refusal> {
        for len in 0..=prefix.prefix_len() {
            let Ok(cover) = IpNet::new(prefix.network(), len) else { continue };
            let cover = cover.trunc();
            match self.taken.get(&cover) {
                None => {}
                Some(Why::Protected) => return Err(Refusal::Protected(prefix, cover)),
                Some(Why::Local) => return Err(Refusal::Local(prefix, cover)),
                Some(Why::Block) => return Err(Refusal::Block(prefix, cover)),
                Some(Why::Connected) => return Err(Refusal::Connected(prefix, cover)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
