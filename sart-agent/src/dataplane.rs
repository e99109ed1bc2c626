//! Loads, pins, tests and attaches the kernel programs and keeps their maps equal to what the agent wants. Decides
//! nothing about Services; never leaves a node with programs that failed their test.

mod error;
mod hook;
mod kernel;
mod load;
mod pods;
mod selftest;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use sart_dataplane::desired::{DesiredTables, DesiredVip, VipId};
use sart_dataplane::plan::{Plan, Refusal, key, plan};
use sart_dataplane::tables::{Dump, Tables};
use sart_ebpf_common::layout::{Count, Vip, VipStats};
use sart_ebpf_common::reason::Reason;

pub use error::{AttachError, OpenError, VipError};
pub use hook::Attach;
use hook::Hooks;
use kernel::Kernel;
use load::{Pins, Prepared};
pub use pods::{Attached, PathChanges, PodHooks, PodPath};

/// The object that `cargo xtask build-ebpf` made before this agent was built.
#[cfg(sart_bpf_object)]
const OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sart-ebpf.o")));
/// There was none.
#[cfg(not(sart_bpf_object))]
const OBJECT: Option<&[u8]> = None;

/// The kernel object this agent carries, if it was built with one.
#[must_use]
pub const fn embedded_object() -> Option<&'static [u8]> {
    OBJECT
}

/// Where the programs live.
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
    kernel: Kernel,
    hooks: Hooks,
    shadow: Dump,
    serving: BTreeSet<VipId>,
    rows: BTreeMap<VipId, u32>,
    attached: bool,
    attach: Attach,
    pins: Pins,
    degraded: Option<OpenError>,
    without_pods: Option<OpenError>,
    plain_pods: Option<String>,
}

/// What [`Dataplane::apply`] reached, for each virtual address that was asked for.
#[derive(Debug, Default)]
pub struct Applied {
    /// The generation read back from the kernel, or why the address is not served.
    pub programmed: BTreeMap<VipId, Result<u64, VipError>>,
    /// Services that came too late for an address that another Service has; `programmed` speaks of the other one.
    pub refused: Vec<Refusal>,
}

/// The kernel's counters, summed over the CPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets and bytes by [`Reason::label`]; all reasons are there.
    pub reasons: BTreeMap<&'static str, Count>,
    /// By virtual address.
    pub vips: BTreeMap<VipId, VipStats>,
}

impl Dataplane {
    /// Opens the pinned dataplane or makes it, with the object this agent carries.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing that ran before is changed by a failure.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_with(&config, embedded_object().ok_or(OpenError::NoBpfObject)?)
    }

    /// The same with another object, for tests and for a way back.
    ///
    /// # Errors
    /// See [`Dataplane::open`].
    pub fn open_with(config: &Config, object: &[u8]) -> Result<Self, OpenError> {
        Self::open_by(config, object, Attach::of_this_kernel())
    }

    /// The same, attached in a given way.
    ///
    /// # Errors
    /// See [`Dataplane::open`].
    pub fn open_by(config: &Config, object: &[u8], attach: Attach) -> Result<Self, OpenError> {
        let pins = Pins::make(&config.pin_root)?;
        let Prepared { fresh, degraded, without_pods } = load::prepare(&pins, object)?;
        let kernel = Kernel::open(&pins.maps)?;
        let shadow =
            kernel.dump().map_err(|error| OpenError::ReadBack { map: "all", source: Box::new(error) })?;
        let hooks = Hooks::open(&pins, fresh, attach)?;
        let (serving, rows) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self {
            kernel,
            hooks,
            shadow,
            serving,
            rows,
            attached: false,
            attach,
            pins,
            degraded,
            without_pods,
            plain_pods: None,
        })
    }

    /// Why the programs of an earlier agent are still in use, if they are: the kernel refused this agent's.
    #[must_use]
    pub const fn degraded(&self) -> Option<&OpenError> {
        self.degraded.as_ref()
    }

    /// The programs for pods, opened beside those of the uplinks.
    ///
    /// # Errors
    /// The kernel refuses them, or programs of a release that had none stay in use.
    pub fn pod_hooks(&mut self) -> Result<PodHooks, OpenError> {
        let opened = PodHooks::open(self.pins.clone(), self.attach);
        // Without new ones the pinned ones of an earlier agent do as well; without those, the refusal is what matters.
        let opened = opened.map_err(|error| self.without_pods.take().unwrap_or(error));
        self.plain_pods = opened.as_ref().err().map(|error| format!("{}: {error}", error.reason()));
        opened
    }

    /// Why pods are left to the kernel's routing, if the last [`Dataplane::pod_hooks`] found that they are.
    #[must_use]
    pub fn plain_pods(&self) -> Option<&str> {
        self.plain_pods.as_deref()
    }

    /// Makes the maps equal to `desired` and reads every row back.
    pub fn apply(&mut self, desired: &DesiredTables) -> Applied {
        let Plan { ops, rows, refused } = plan(desired, &self.shadow);
        let mut failure = None;
        for op in &ops {
            // What the kernel took, the shadow takes; the rest is planned again next time.
            if let Err(error) = self.kernel.execute(op) {
                failure = Some(error.to_string());
                break;
            }
            if let Err(error) = self.shadow.execute(op) {
                failure = Some(error.to_string());
                break;
            }
        }
        let owners: BTreeMap<VipId, &DesiredVip> =
            desired.vips.iter().rev().map(|vip| (vip.id, vip)).collect();
        let mut applied = Applied { refused, ..Applied::default() };
        for (id, row) in rows {
            let Some(owner) = owners.get(&id) else { continue };
            applied.programmed.insert(id, self.read_back(owner, row, failure.as_deref()));
        }
        self.remember(&applied);
        applied
    }

    fn remember(&mut self, applied: &Applied) {
        let served = applied.programmed.iter().filter(|(_, result)| result.is_ok());
        self.serving = served.map(|(id, _)| *id).collect();
        let known = applied.programmed.keys();
        self.rows = known.filter_map(|id| Some((*id, self.shadow.vips.get(&key(*id))?.stat))).collect();
    }

    fn read_back(
        &self,
        vip: &DesiredVip,
        row: Result<Vip, Refusal>,
        failure: Option<&str>,
    ) -> Result<u64, VipError> {
        let row = row?;
        let wrong =
            |message: String| VipError::NotProgrammed { vip: vip.id, service: vip.service.clone(), message };
        let found = self.kernel.vip(&key(vip.id)).map_err(|error| wrong(error.to_string()))?;
        if found != Some(row) {
            let why = failure.map_or_else(|| format!("the map holds {found:?}"), ToOwned::to_owned);
            return Err(wrong(why));
        }
        if row.backends == 0 {
            return Err(VipError::NoEndpoint { vip: vip.id, service: vip.service.clone() });
        }
        Ok(row.generation)
    }

    /// Attaches to exactly these interfaces of this network namespace; the result has one entry per name. Interfaces that
    /// were made again under the same name are attached again.
    pub fn set_uplinks(&mut self, names: &[String]) -> BTreeMap<String, Result<(), AttachError>> {
        let mut results = BTreeMap::new();
        let mut pins = BTreeSet::new();
        for name in names {
            let result = self.hooks.attach(name).map(|made| pins.extend(made));
            results.insert(name.clone(), result);
        }
        self.attached = results.values().any(Result::is_ok);
        if let Err(error) = self.hooks.retain(&pins) {
            tracing::warn!(%error, "links of former uplinks stay attached");
        }
        results
    }

    /// Whether the kernel serves `vip` now: its row was read back, and an uplink carries the programs.
    #[must_use]
    pub fn is_serving(&self, vip: VipId) -> bool {
        self.attached && self.serving.contains(&vip)
    }

    /// Reads the counters.
    ///
    /// # Errors
    /// [`OpenError::ReadBack`].
    pub fn counters(&self) -> Result<Counters, OpenError> {
        let unread = |map| move |error| OpenError::ReadBack { map, source: Box::new(error) };
        let mut counters = Counters::default();
        for reason in Reason::ALL {
            let count = self.kernel.reason(reason.index()).map_err(unread("REASONS"))?;
            counters.reasons.insert(reason.label(), count);
        }
        for (vip, stat) in &self.rows {
            let stats = self.kernel.stats(*stat).map_err(unread("VIP_STATS"))?;
            counters.vips.insert(*vip, stats);
        }
        Ok(counters)
    }

    /// Detaches everything and removes all pins below `pin_root`; needs no capability but write access to the bpffs (filters
    /// of old kernels: CAP_NET_ADMIN). For
    /// uninstalling, and for an agent that may no longer change the maps: stale rows must not hijack packets.
    ///
    /// # Errors
    /// A pin cannot be removed.
    pub fn remove_all(pin_root: &Path) -> io::Result<()> {
        // Links first: with them gone no packet meets a half-removed set.
        for folder in ["links", "pods"] {
            hook::take_all(&pin_root.join(folder))?;
        }
        for folder in ["links", "pods", "progs", "maps"] {
            match fs::remove_dir_all(pin_root.join(folder)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match fs::remove_dir(pin_root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
