//! What a speaker shows to its metrics: numbers of each neighbour and table, made on demand. Must never cost more than a few
//! look-ups for each neighbour.

use core::net::IpAddr;

use super::Speaker;
use crate::family::Family;
use crate::session::{MessageCounters, SessionState};

/// One neighbour in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborFigures {
    /// The neighbour.
    pub peer: IpAddr,
    /// Where its session stands.
    pub state: SessionState,
    /// Messages sent since the neighbour was configured.
    pub sent: MessageCounters,
    /// Messages received since the neighbour was configured.
    pub received: MessageCounters,
    /// What it announces and is told.
    pub families: [FamilyFigures; Family::SUPPORTED.len()],
    /// The most octets that waited to be sent since the session came up.
    pub backlog_high: usize,
}

/// One family of one neighbour in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyFigures {
    /// The family.
    pub family: Family,
    /// Prefixes it announces now.
    pub received: u64,
    /// Those that the import rules accept.
    pub accepted: u64,
    /// Prefixes announced to it now.
    pub advertised: u64,
    /// Prefixes kept from it, whole or some of their paths, by its export limit.
    pub withheld: u64,
    /// Routes kept from it now because they would leak (RFC 9234).
    pub leaks_kept: u64,
}

impl Speaker {
    /// Every neighbour in numbers, in order of address.
    #[must_use]
    pub fn figures(&self) -> Vec<NeighborFigures> {
        self.neighbors.keys().filter_map(|peer| self.figures_of(*peer)).collect()
    }

    /// How many prefixes each family's table holds.
    #[must_use]
    pub fn table_sizes(&self) -> [(Family, usize); Family::SUPPORTED.len()] {
        let rib = self.running.as_ref().map(|running| &running.rib);
        Family::SUPPORTED.map(|family| (family, rib.map_or(0, |rib| rib.prefixes(family))))
    }

    fn figures_of(&self, peer: IpAddr) -> Option<NeighborFigures> {
        let session = &self.neighbors.get(&peer)?.session;
        let rib = self.running.as_ref().map(|running| &running.rib);
        let (sent, received) = session.counters();
        let families = Family::SUPPORTED.map(|family| FamilyFigures {
            family,
            received: rib.map_or(0, |rib| rib.received(peer, Some(family))),
            accepted: rib.map_or(0, |rib| rib.accepted(peer, family)),
            advertised: rib.map_or(0, |rib| rib.told(peer, family)),
            withheld: rib.map_or(0, |rib| rib.withheld(peer, family)),
            leaks_kept: rib.map_or(0, |rib| rib.leaks_kept(peer, family)),
        });
        let backlog_high = rib.map_or(0, |rib| rib.backlog_high(peer));
        Some(NeighborFigures { peer, state: session.state(), sent, received, families, backlog_high })
    }
}
