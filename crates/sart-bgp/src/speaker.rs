//! A whole speaker: configuration, sessions and RIB behind one `handle`.
//!
//! Decides which session an event belongs to and what of the RIB's work goes out on which connection. Must never do I/O.

mod io;
mod view;

pub use self::io::*;
pub use self::view::*;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::VecDeque;

use ipnet::IpNet;

use crate::config::{Config, ConfigError, Global, LocalPath, NeighborConfig};
use crate::family::Family;

/// A BGP speaker without sockets and clock. See the crate's documentation for the loop that drives it.
#[derive(Debug)]
pub struct Speaker {
    seed: u64,
    config: Option<Config>,
    outputs: VecDeque<SpeakerOutput>,
}

impl Speaker {
    /// A speaker without configuration, which refuses every connection. `seed` feeds timer jitter only.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, config: None, outputs: VecDeque::new() }
    }

    /// Makes the whole configuration equal to `config`; what is unchanged is not touched.
    ///
    /// # Errors
    /// The first fault of `config`; then nothing has changed.
    pub fn apply_config(&mut self, config: Config, _now: Duration) -> Result<Applied, ConfigError> {
        config.check()?;
        self.config = Some(config);
        Ok(Applied::default())
    }

    /// Changes identity and switches only. A new AS number or router id restarts every session.
    ///
    /// # Errors
    /// The first fault of `global`; then nothing has changed.
    pub fn set_global(&mut self, global: Global, _now: Duration) -> Result<(), ConfigError> {
        global.check()
    }

    /// Adds one neighbour.
    ///
    /// # Errors
    /// If there is no identity yet, a field is wrong, or address or name are taken.
    pub fn add_neighbor(&mut self, _neighbor: NeighborConfig, _now: Duration) -> Result<(), ConfigError> {
        Err(ConfigError::NoGlobal)
    }

    /// Removes one neighbour; its session ends with Cease/Peer De-configured.
    ///
    /// # Errors
    /// If no neighbour has that address.
    pub fn delete_neighbor(&mut self, address: IpAddr, _now: Duration) -> Result<(), ConfigError> {
        Err(ConfigError::UnknownNeighbor { address })
    }

    /// Originates and withdraws own paths in one pass. Repeating an upsert with equal content sends nothing.
    ///
    /// # Errors
    /// If a prefix has host bits or is given twice among the upserts; then nothing has changed.
    pub fn update_paths(
        &mut self,
        _upserts: Vec<LocalPath>,
        _withdrawals: &[IpNet],
        _now: Duration,
    ) -> Result<PathsUpdated, ConfigError> {
        Err(ConfigError::NoGlobal)
    }

    /// Feeds one event.
    pub fn handle(&mut self, input: SpeakerInput<'_>, _now: Duration) {
        if let SpeakerInput::Accepted { conn, .. } | SpeakerInput::Dialled { conn, .. } = input {
            self.outputs.push_back(SpeakerOutput::Close { conn });
        }
    }

    /// Ends every session with Cease/Administrative Shutdown and dials no more, until a configuration is applied.
    pub fn shutdown(&mut self, _now: Duration) {
        self.config = None;
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<SpeakerOutput> {
        self.outputs.pop_front()
    }

    /// When to feed [`SpeakerInput::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        None
    }

    /// Identity and switches; `None` while no configuration has been applied.
    #[must_use]
    pub fn global(&self) -> Option<&Global> {
        self.config.as_ref().map(|config| &config.global)
    }

    /// Every neighbour, in order of address.
    #[must_use]
    pub fn neighbors(&self, _now: Duration) -> Vec<NeighborView> {
        Vec::new()
    }

    /// One neighbour.
    #[must_use]
    pub fn neighbor(&self, _address: IpAddr, _now: Duration) -> Option<NeighborView> {
        None
    }

    /// The own paths, in order of prefix.
    #[must_use]
    pub fn local_paths(&self) -> Vec<LocalPath> {
        Vec::new()
    }

    /// The rows of a table that match `filter`, in order of prefix.
    ///
    /// # Errors
    /// If an adjacency table of an unknown neighbour is asked for.
    pub fn paths(
        &self,
        _table: Table,
        _filter: PathFilter,
        _now: Duration,
    ) -> Result<Vec<PathView>, QueryError> {
        Ok(Vec::new())
    }

    /// The multipath set of every prefix learned from neighbours, of the families asked for.
    #[must_use]
    pub fn best_paths(&self, _families: &[Family]) -> Vec<BestPath> {
        Vec::new()
    }

    /// Whether every configured neighbour has sent its End-of-RIB since the first configuration, or was waited for
    /// long enough.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        false
    }
}
