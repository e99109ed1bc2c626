//! Loads, pins, tests and attaches the kernel programs and keeps their maps equal to what the agent wants. Decides
//! nothing about Services; never leaves a node with programs that failed their test.

mod error;

use std::collections::BTreeMap;
use std::path::PathBuf;

use sart_dataplane::desired::{DesiredTables, VipId};

pub use error::{AttachError, OpenError, VipError};

/// Where the programs live and how they are attached.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder on a bpffs for maps, programs and links.
    pub pin_root: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { pin_root: PathBuf::from("/sys/fs/bpf/sart/v1") }
    }
}

/// The open dataplane of this node. Dropping it leaves programs, maps and links in place: forwarding goes on.
#[derive(Debug)]
pub struct Dataplane {
    never: std::convert::Infallible,
}

/// What [`Dataplane::apply`] reached, for each virtual address that was asked for.
#[derive(Debug, Default)]
pub struct Applied {
    /// The generation read back from the kernel, or why the address is not served.
    pub programmed: BTreeMap<VipId, Result<u64, VipError>>,
}

impl Dataplane {
    /// Opens the pinned dataplane or makes it.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing that ran before is changed by a failure.
    pub fn open(_config: Config) -> Result<Self, OpenError> {
        Err(OpenError::NoBpfObject)
    }

    /// Makes the maps equal to `desired` and reads every row back.
    pub fn apply(&mut self, _desired: &DesiredTables) -> Applied {
        match self.never {}
    }

    /// Attaches to exactly these interfaces of this network namespace; the result has one entry per name.
    pub fn set_uplinks(&mut self, _names: &[String]) -> BTreeMap<String, Result<(), AttachError>> {
        match self.never {}
    }

    /// Whether the kernel serves `vip` now: its row was read back, and an uplink carries the programs.
    #[must_use]
    pub fn is_serving(&self, _vip: VipId) -> bool {
        match self.never {}
    }
}
