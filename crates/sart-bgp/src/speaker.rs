//! A whole speaker: configuration, sessions and RIB behind one `handle`.
//!
//! Decides which session an event belongs to and what of the RIB's work goes out on which connection. Must never do I/O.

mod configure;
mod drive;
mod figures;
mod io;
mod limits;
mod neighbor;
mod query;
pub mod record;
pub mod replay;
mod settle;
#[cfg(test)]
mod tests;
mod view;

pub use self::figures::{FamilyFigures, NeighborFigures};
pub use self::io::*;
pub use self::view::*;
pub use crate::rib::Cursor;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use self::neighbor::Neighbor;
use self::record::Recording;
use self::settle::Settle;
use crate::config::{Global, PolicySource};
use crate::policy::PolicyConfig;
use crate::rib::Rib;

/// A BGP speaker without sockets and clock. See the crate's documentation for the loop that drives it.
#[derive(Debug)]
pub struct Speaker {
    seed: u64,
    running: Option<Running>,
    neighbors: BTreeMap<IpAddr, Neighbor>,
    connections: BTreeMap<ConnId, Link>,
    settle: Settle,
    /// Somebody wants to know multipath sets.
    fed: bool,
    /// A next hop tracker listens.
    tracked: bool,
    outputs: VecDeque<SpeakerOutput>,
    recording: Option<Recording>,
}

/// What exists from the first configuration on.
#[derive(Debug)]
struct Running {
    global: Global,
    policy: PolicyConfig,
    source: PolicySource,
    rib: Rib,
}

/// A live connection.
#[derive(Clone, Copy, Debug)]
struct Link {
    peer: IpAddr,
    local: LocalAddresses,
}

impl Speaker {
    /// A speaker without configuration, which refuses every connection. `seed` feeds timer jitter only.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            running: None,
            neighbors: BTreeMap::new(),
            connections: BTreeMap::new(),
            settle: Settle::new(),
            fed: true,
            tracked: false,
            outputs: VecDeque::new(),
            recording: None,
        }
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<SpeakerOutput> {
        let output = self.outputs.pop_front();
        self.note_output(output.as_ref());
        output
    }

    /// When to feed [`SpeakerInput::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let sessions = self.neighbors.values().filter_map(|neighbor| neighbor.session.next_deadline());
        sessions.chain(self.settle.deadline(self.neighbors.values())).min()
    }

    /// Whether every configured neighbour has sent its End-of-RIB since the first configuration, or was waited for
    /// long enough (60 s in all; 10 s once Established if it does not know graceful restart). Never turns false again.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.settle.is_done()
    }
}
