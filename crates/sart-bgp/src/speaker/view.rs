//! What a speaker shows to its API: copies of state, made on demand. Only data; must never reach into a session.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use crate::config::NeighborConfig;
use crate::family::Family;
use crate::session::{MessageCounters, SessionState};
use crate::wire::attr::Attributes;

/// What [`super::Speaker::apply_config`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Neighbours that are new.
    pub neighbors_added: u32,
    /// Neighbours that are gone.
    pub neighbors_removed: u32,
    /// Neighbours whose session had to restart, because what the OPEN says changed.
    pub neighbors_reset: u32,
    /// Own paths added, changed or withdrawn.
    pub paths_changed: u32,
}

/// What [`super::Speaker::update_paths`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathsUpdated {
    /// Own paths added, changed or withdrawn.
    pub changed: u32,
    /// Withdrawals of prefixes that were not originated.
    pub unknown: u32,
}

/// One neighbour as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighborView {
    /// Its configuration.
    pub config: NeighborConfig,
    /// Where its session stands.
    pub state: SessionState,
    /// Router id of the OPEN received.
    pub router_id: Option<Ipv4Addr>,
    /// Time since the session became Established.
    pub uptime: Option<Duration>,
    /// Negotiated hold time; zero before the OPEN or if timers are off.
    pub hold_time: Duration,
    /// Negotiated keepalive interval; zero before the OPEN or if timers are off.
    pub keepalive_time: Duration,
    /// Capabilities the neighbour's OPEN named, as words.
    pub capabilities: Vec<String>,
    /// Messages sent since the neighbour was configured.
    pub sent: MessageCounters,
    /// Messages received since the neighbour was configured.
    pub received: MessageCounters,
    /// Prefixes it announces now.
    pub prefixes_received: u64,
    /// Those that the import rules accept.
    pub prefixes_accepted: u64,
    /// Prefixes announced to it now.
    pub prefixes_sent: u64,
    /// Prefixes kept from it, whole or some of their paths, by its export limit.
    pub prefixes_withheld: u64,
    /// Times the session has left Established.
    pub flaps: u64,
    /// Why the last session or attempt ended.
    pub last_error: Option<String>,
    /// Prefixes it announces that are refused now, by reason.
    pub import_refused: BTreeMap<&'static str, u64>,
}

/// The table to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Accepted and own paths.
    LocRib,
    /// What a neighbour announces, accepted or not.
    AdjRibIn(IpAddr),
    /// What a neighbour was told.
    AdjRibOut(IpAddr),
}

/// Which part of a table to list; the default lists all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathFilter {
    /// Only this family.
    pub family: Option<Family>,
    /// Only this prefix (exactly).
    pub prefix: Option<IpNet>,
}

/// Why a table cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No such neighbour.
    #[error("neighbor {address} is not configured; list the neighbors to see which are")]
    UnknownNeighbor {
        /// The address asked for.
        address: IpAddr,
    },
}

/// One path of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathView {
    /// The prefix.
    pub prefix: IpNet,
    /// The path identifier it was received or, in Adj-RIB-Out, told with (RFC 7911); 0 without.
    pub path_id: u32,
    /// The next hop; none for an own path in the Loc-RIB.
    pub next_hop: Option<IpAddr>,
    /// All other attributes.
    pub attributes: Arc<Attributes>,
    /// The neighbour it came from (for Adj-RIB-Out: goes to); none for an own path.
    pub peer: Option<IpAddr>,
    /// That neighbour's AS number; our own for an own path.
    pub peer_asn: u32,
    /// The best path of its prefix.
    pub best: bool,
    /// Member of the multipath set.
    pub multipath: bool,
    /// Why it is not used: an import rule refuses it (Adj-RIB-In only), or its next hop cannot be reached.
    pub refused: Option<&'static str>,
    /// Time since the path last changed; zero in Adj-RIB-Out.
    pub age: Duration,
}

impl PathView {
    /// The family of the prefix.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of_prefix(&self.prefix)
    }
}
