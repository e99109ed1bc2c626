//! The programs on the host's ends of pods' links, and the rows that say whose addresses they are. Opens them anew for each
//! call, so that an upgrade needs no word to anyone; keeps no list of its own: pins and maps are the list.

mod mtu;
mod path;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::{fs, io};

use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use sart_ebpf_common::layout::{PORT_READY, PodKey, PodRow};

use super::hook::{self, Attach, Interface, Spot};
use super::load::{POD_IN, POD_OUT, Pins};
use super::{OpenError, load};
use crate::cni::{PodPort, PortError};
pub use path::{PathChanges, PodPath};
use rows::Rows;

/// A port that is in the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attached {
    /// The addresses whose rows name the link.
    pub addresses: BTreeSet<IpAddr>,
    /// Both programs have their mark in the pin folder.
    pub hooked: bool,
    /// The link is there.
    pub device: bool,
}

/// Attaches pods to programs and maps that are pinned.
///
/// The programs are filters (tc-bpf(8)) on every kernel: a link of the multi-program chain costs 10 ms for each end and keeps
/// the lock of all network configuration meanwhile. A shaped port gets such links all the same: the `ingress` discipline of the
/// plugin that shapes it and our `clsact` exclude each other.
#[derive(Debug)]
pub struct PodHooks {
    pins: Pins,
    /// The best of this kernel.
    attach: Attach,
    rows: Rows,
}

/// Both programs with where they go, the way out first, so that no reply of a translated flow passes by it.
const ENDS: [(&str, TcAttachType); 2] = [(POD_OUT, TcAttachType::Egress), (POD_IN, TcAttachType::Ingress)];

impl PodHooks {
    /// Opens what [`super::Dataplane`] pinned, gives links of an earlier agent the programs of this one, and takes away
    /// what belongs to links that are gone.
    pub(super) fn open(pins: Pins, attach: Attach) -> Result<Self, OpenError> {
        let rows = Rows::open(&pins.maps)?;
        let hooks = Self { pins, attach, rows };
        hooks.program(POD_IN).map_err(|error| load::refused(POD_IN, &error))?;
        hooks.program(POD_OUT).map_err(|error| load::refused(POD_OUT, &error))?;
        for (ifindex, port) in hooks.list().map_err(|error| unusable(&hooks.pins, error))? {
            if !port.device || hooks.hook(ifindex, hooks.way(ifindex)).is_err() {
                hooks.take(ifindex).map_err(|error| unusable(&hooks.pins, error))?;
            }
        }
        Ok(hooks)
    }

    /// See [`crate::cni::PodPorts::attach`]. A shaped port only where [`PodHooks::goes_beside`].
    ///
    /// # Errors
    /// Nothing stays behind.
    pub fn attach(&self, port: &PodPort) -> Result<(), PortError> {
        if port.shaped && self.mark(POD_OUT, port.ifindex).is_dir() {
            let message = "it is attached with filters already: detach it first".to_owned();
            return Err(PortError { link: port.link.clone(), message });
        }
        let way = if port.shaped { Attach::Tcx } else { self.way(port.ifindex) };
        self.attach_by(port, way)
    }

    /// Whether this kernel can run programs on a link and leave its disciplines alone.
    #[must_use]
    pub fn goes_beside(&self) -> bool {
        self.attach == Attach::Tcx
    }

    fn attach_by(&self, port: &PodPort, way: Attach) -> Result<(), PortError> {
        let done = self.try_attach(port, way).and_then(|()| self.check(port));
        done.inspect_err(|_refused| {
            if let Err(error) = self.take(port.ifindex) {
                tracing::warn!(link = port.link, %error, "a refused port stays half attached");
            }
        })
    }

    fn try_attach(&self, port: &PodPort, way: Attach) -> Result<(), PortError> {
        let refused = |message: String| PortError { link: port.link.clone(), message };
        let wanted = self.wanted(port)?;
        let there = self.rows.all().map_err(|error| refused(error.to_string()))?;
        for (key, row) in &wanted {
            let taken = there.get(key).is_some_and(|row| row.ifindex != port.ifindex && exists(row.ifindex));
            if taken {
                let address = rows::address(key);
                return Err(refused(format!("{address} belongs to another link: detach that one first")));
            }
            if there.get(key) != Some(row) {
                let unready = PodRow { flags: 0, ..*row };
                self.rows.put(key, &unready).map_err(|error| refused(error.to_string()))?;
            }
        }
        let former =
            there.iter().filter(|(key, row)| row.ifindex == port.ifindex && !wanted.contains_key(key));
        for (key, _) in former {
            self.rows.delete(key).map_err(|error| refused(error.to_string()))?;
        }
        self.hook(port.ifindex, way)
            .map_err(|error| refused(format!("cannot attach: {}", hook::chain(&error))))?;
        wanted
            .iter()
            .try_for_each(|(key, row)| self.rows.put(key, row))
            .map_err(|error| refused(error.to_string()))
    }

    /// See [`crate::cni::PodPorts::check`].
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self, port: &PodPort) -> Result<(), PortError> {
        let missing = |message: String| PortError { link: port.link.clone(), message };
        for (key, row) in self.wanted(port)? {
            let found = self.rows.get(&key).map_err(|error| missing(error.to_string()))?;
            if found != Some(row) {
                let address = rows::address(&key);
                return Err(missing(format!("the map PODS holds {found:?} for {address}, not {row:?}")));
            }
        }
        for (name, way) in ENDS {
            let runs = self.runs(port, name, way);
            if !runs.map_err(|error| missing(format!("cannot ask for {name}: {}", hook::chain(&error))))? {
                return Err(missing(format!("{name} is not attached")));
            }
        }
        Ok(())
    }

    /// Takes programs and rows of a link away; the programs first, so that the pod's own packets are never taken for
    /// foreign ones.
    ///
    /// # Errors
    /// What stays behind.
    pub fn take(&self, ifindex: u32) -> Result<(), io::Error> {
        for (name, _) in ENDS {
            match hook::take(&self.mark(name, ifindex)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let rows = self.rows.all().map_err(io::Error::other)?;
        let own = rows.iter().filter(|(_, row)| row.ifindex == ifindex);
        own.map(|(key, _)| key).try_for_each(|key| self.rows.delete(key)).map_err(io::Error::other)
    }

    /// All ports by link, whole or not; those without a device are left over.
    ///
    /// # Errors
    /// Maps or pins cannot be read.
    pub fn list(&self) -> Result<BTreeMap<u32, Attached>, io::Error> {
        let mut ports: BTreeMap<u32, Attached> = BTreeMap::new();
        for (key, row) in self.rows.all().map_err(io::Error::other)? {
            ports.entry(row.ifindex).or_default().addresses.insert(rows::address(&key));
        }
        for entry in fs::read_dir(&self.pins.pods)? {
            let name = entry?.file_name();
            if let Some(index) = name.to_string_lossy().rsplit('@').next().and_then(|at| at.parse().ok()) {
                ports.entry(index).or_default();
            }
        }
        for (index, port) in &mut ports {
            port.hooked = ENDS.iter().all(|(name, _)| self.mark(name, *index).exists());
            port.device = exists(*index);
        }
        Ok(ports)
    }

    fn wanted(&self, port: &PodPort) -> Result<BTreeMap<PodKey, PodRow>, PortError> {
        let refused = |message: String| PortError { link: port.link.clone(), message };
        let name = hook::name_of(port.ifindex).map_err(|_gone| {
            refused(format!("no link has the index {} in the node's network namespace", port.ifindex))
        })?;
        let mtu = mtu::of(&name).map_err(|error| refused(format!("its MTU is not known: {error}")))?;
        let mut addresses = port.addresses.clone();
        addresses.sort_unstable();
        addresses.dedup();
        // What skips the stack would skip the disciplines of a shaped link.
        let shaped = port.shaped || self.way(port.ifindex) == Attach::Tcx;
        let flags = if shaped { 0 } else { PORT_READY };
        let slots = 0..=u8::MAX;
        if addresses.is_empty() || addresses.len() > slots.len() {
            return Err(refused(format!("{} addresses: a pod has 1 to 256", addresses.len())));
        }
        let row = |slot| PodRow {
            ifindex: port.ifindex,
            mtu,
            flags,
            slot,
            pad: 0,
            host_mac: port.host_mac,
            pod_mac: port.pod_mac,
        };
        Ok(addresses.into_iter().zip(slots).map(|(address, slot)| (rows::key(address), row(slot))).collect())
    }

    /// How the link is attached, or is to be.
    fn way(&self, ifindex: u32) -> Attach {
        // A pinned link is a file, the mark of a filter a folder.
        if self.mark(POD_OUT, ifindex).is_file() { Attach::Tcx } else { Attach::Clsact }
    }

    fn hook(&self, ifindex: u32, way: Attach) -> Result<(), ProgramError> {
        let name = hook::name_of(ifindex)?;
        let interface = Interface { name: &name.to_string_lossy(), index: ifindex };
        for (program, direction) in ENDS {
            let spot = Spot { interface: &interface, way: direction, mark: self.mark(program, ifindex) };
            way.hook().put(&mut self.program(program)?, &spot)?;
        }
        Ok(())
    }

    /// Whether the kernel runs our program there.
    fn runs(&self, port: &PodPort, name: &str, direction: TcAttachType) -> Result<bool, ProgramError> {
        let mark = self.mark(name, port.ifindex);
        if !mark.exists() {
            return Ok(false);
        }
        let own = self.program(name)?.info()?.id();
        let link = hook::name_of(port.ifindex)?;
        let interface = Interface { name: &link.to_string_lossy(), index: port.ifindex };
        self.way(port.ifindex).hook().runs(own, &Spot { interface: &interface, way: direction, mark })
    }

    fn program(&self, name: &str) -> Result<SchedClassifier, ProgramError> {
        SchedClassifier::from_pin(self.pins.programs.join(name))
    }

    fn mark(&self, program: &str, ifindex: u32) -> PathBuf {
        self.pins.pods.join(format!("{program}@{ifindex}"))
    }
}

fn exists(ifindex: u32) -> bool {
    hook::name_of(ifindex).is_ok()
}

fn unusable(pins: &Pins, source: io::Error) -> OpenError {
    OpenError::PinFolder { path: pins.pods.clone(), source }
}
