//! One prefix: its paths, at most one per neighbour and one of our own, and which of them are used. Must never hold two
//! paths of one source: a newer one replaces the older (implicit withdraw, RFC 4271 section 9.1.4).

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::decision::{self, Candidate, Rules};
use super::feed::BestPath;
use super::import::Refusal;
use crate::policy::Source;
use crate::wire::attr::Attributes;

/// The most next hops a multipath set may have.
const MAX_NEXT_HOPS: usize = 64;

/// The paths of one prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    pub(crate) paths: Vec<Path>,
    /// Indexes into `paths`; the first is the best path, all together are the multipath set.
    chosen: Vec<usize>,
    /// What the route manager was last told.
    pub(crate) published: Option<BestPath>,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Who sent it; `None` for an own path.
    pub learned: Option<Learned>,
    /// Attributes, shared.
    pub attributes: Arc<Attributes>,
    /// Next hop; `None` for an own path.
    pub next_hop: Option<IpAddr>,
    /// What the neighbour sent, before any policy; `None` for an own path.
    pub received: Option<Received>,
    /// Why it may not be used.
    pub refused: Option<Refusal>,
    /// When it last changed.
    pub changed_at: Duration,
}

/// A path as a neighbour sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Attributes, shared.
    pub attributes: Arc<Attributes>,
    /// Next hop.
    pub next_hop: IpAddr,
}

/// The neighbour a path came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Its address.
    pub peer: IpAddr,
    /// Its AS number.
    pub asn: u32,
    /// Its router id.
    pub router_id: Ipv4Addr,
    /// It is in our AS.
    pub internal: bool,
}

impl Learned {
    /// The neighbour as policies know it.
    pub(crate) const fn policy_source(&self) -> Source {
        if self.internal { Source::Internal(self.peer) } else { Source::External(self.peer) }
    }
}

impl Path {
    fn source(&self) -> Option<IpAddr> {
        self.learned.map(|learned| learned.peer)
    }
}

/// What [`Destination::put`] pushed out.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub old: Path,
    pub new_refused: Option<Refusal>,
    /// The new path says the same; the old one's age was kept.
    pub unchanged: bool,
}

impl Destination {
    /// Stores a path in place of its source's former one.
    pub(crate) fn put(&mut self, path: Path) -> Option<Replaced> {
        let source = path.source();
        let Some(slot) = self.paths.iter_mut().find(|old| old.source() == source) else {
            self.paths.push(path);
            return None;
        };
        let unchanged = Path { changed_at: slot.changed_at, ..path.clone() } == *slot;
        let new_refused = path.refused;
        if unchanged {
            return Some(Replaced { old: path, new_refused, unchanged });
        }
        Some(Replaced { old: core::mem::replace(slot, path), new_refused, unchanged })
    }

    /// Takes the path of one source out; `None` as source is an own path.
    pub(crate) fn remove(&mut self, source: Option<IpAddr>) -> Option<Path> {
        let index = self.paths.iter().position(|path| path.source() == source)?;
        self.chosen.clear();
        Some(self.paths.remove(index))
    }

    pub(crate) fn refusal_of(&self, peer: IpAddr) -> Option<Refusal> {
        self.paths.iter().find(|path| path.source() == Some(peer)).and_then(|path| path.refused)
    }

    /// Chooses anew.
    pub(crate) fn decide(&mut self, rules: Rules, igp_metrics: &BTreeMap<IpAddr, u32>) {
        let candidates: Vec<_> = self
            .paths
            .iter()
            .enumerate()
            .filter(|(_, path)| path.refused.is_none())
            .map(|(index, path)| Candidate {
                index,
                attributes: &path.attributes,
                learned: path.learned,
                igp_metric: path.next_hop.and_then(|hop| igp_metrics.get(&hop).copied()).unwrap_or(0),
                changed_at: path.changed_at,
            })
            .collect();
        self.chosen = decision::choose(candidates, rules);
    }

    /// The best path.
    #[must_use]
    pub fn best(&self) -> Option<&Path> {
        self.chosen.first().and_then(|index| self.paths.get(*index))
    }

    /// The multipath set, best first.
    pub fn multipath(&self) -> impl Iterator<Item = &Path> {
        self.chosen.iter().filter_map(|index| self.paths.get(*index))
    }

    /// Every path, refused ones included.
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The own path.
    #[must_use]
    pub fn local(&self) -> Option<&Path> {
        self.paths.iter().find(|path| path.learned.is_none())
    }

    /// What a route manager has to know. A prefix of our own is never handed to it, however good a neighbour's path is.
    pub(crate) fn feed_entry(&self, prefix: IpNet) -> Option<BestPath> {
        if self.local().is_some() {
            return None;
        }
        let internal = self.best()?.learned?.internal;
        let mut next_hops: Vec<_> = self.multipath().filter_map(|path| path.next_hop).collect();
        next_hops.truncate(MAX_NEXT_HOPS);
        next_hops.sort_unstable();
        next_hops.dedup();
        Some(BestPath { prefix, next_hops, internal })
    }
}
