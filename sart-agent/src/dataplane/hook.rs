//! Attaches the pinned programs to uplinks and pins the links, so that they outlive the agent. A link that is already
//! there gets the new program in one step; no packet passes without one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use aya::Ebpf;
use aya::programs::links::{FdLink, LinkError, LinkOrder, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, Xdp};

use super::load::{Pins, UP_IN, UP_OUT, XDP_IN, refused};
use super::{AttachError, OpenError};

/// The pinned programs, opened.
pub(super) struct Hooks {
    links: PathBuf,
    up_in: SchedClassifier,
    up_out: SchedClassifier,
    /// What was just loaded; nothing when an earlier agent's programs stay in use.
    fresh: Option<Ebpf>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("links", &self.links).finish_non_exhaustive()
    }
}

/// An interface of this network namespace.
struct Interface<'a> {
    name: &'a str,
    index: u32,
}

impl Hooks {
    /// Opens the pinned programs.
    pub(super) fn open(pins: &Pins, fresh: Option<Ebpf>) -> Result<Self, OpenError> {
        let classifier = |name: &str| {
            SchedClassifier::from_pin(pins.programs.join(name)).map_err(|error| refused(name, &error))
        };
        Ok(Self { links: pins.links.clone(), up_in: classifier(UP_IN)?, up_out: classifier(UP_OUT)?, fresh })
    }

    /// Attaches everything to `name`, the way out first, so that no reply leaves untranslated.
    pub(super) fn attach(&mut self, name: &str) -> Result<BTreeSet<PathBuf>, AttachError> {
        let index = nix::net::if_::if_nametoindex(name)
            .map_err(|_unknown| AttachError::NoInterface { interface: name.to_owned() })?;
        let interface = Interface { name, index };
        let out = self.links.join(pin_name(UP_OUT, &interface));
        let into = self.links.join(pin_name(UP_IN, &interface));
        classify(&mut self.up_out, UP_OUT, TcAttachType::Egress, &interface, &out)?;
        classify(&mut self.up_in, UP_IN, TcAttachType::Ingress, &interface, &into)?;
        let mut pins = BTreeSet::from([out, into]);
        pins.extend(self.attach_xdp(&interface));
        Ok(pins)
    }

    /// XDP only counts: an interface without it loses nothing else.
    fn attach_xdp(&mut self, interface: &Interface<'_>) -> Option<PathBuf> {
        let pin = self.links.join(pin_name(XDP_IN, interface));
        let Some(program) = self.fresh.as_mut().and_then(|fresh| fresh.program_mut(XDP_IN)) else {
            return pin.exists().then_some(pin);
        };
        let program: &mut Xdp = program.try_into().ok()?;
        match count(program, interface.index, &pin) {
            Ok(()) => Some(pin),
            Err(error) => {
                tracing::warn!(interface = interface.name, error = %chain(&error), "no XDP counters here");
                None
            }
        }
    }

    /// Removes the links of interfaces that are no longer uplinks.
    pub(super) fn retain(&self, wanted: &BTreeSet<PathBuf>) -> Result<(), AttachError> {
        let read = |source| AttachError::Pin { path: self.links.clone(), source };
        for entry in fs::read_dir(&self.links).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if !wanted.contains(&path) {
                remove(&path).map_err(|source| AttachError::Pin { path: path.clone(), source })?;
            }
        }
        Ok(())
    }
}

/// Says which device the link belongs to: an interface made again under the same name has another index.
fn pin_name(program: &str, interface: &Interface<'_>) -> String {
    // bpffs keeps names with a dot for itself.
    format!("{program}@{}@{}", interface.name.replace('.', "_"), interface.index)
}

fn classify(
    program: &mut SchedClassifier,
    name: &'static str,
    way: TcAttachType,
    interface: &Interface<'_>,
    pin: &Path,
) -> Result<(), AttachError> {
    let attached = match update(program, pin) {
        Ok(true) => Ok(()),
        // A link whose device is gone takes no program any more.
        Ok(false) | Err(_) => remove(pin).map_err(LinkError::from_io).and_then(|()| {
            let order = TcAttachOptions::TcxOrder(LinkOrder::default());
            let id = program.attach_with_options(interface.name, way, order)?;
            let link = program.take_link(id)?;
            pin_link(link.try_into().map_err(from_link)?, pin)
        }),
    };
    attached.map_err(|error| AttachError::Refused {
        program: name,
        interface: interface.name.to_owned(),
        message: chain(&error),
    })
}

/// Puts the program into the pinned link, if there is one.
fn update(program: &mut SchedClassifier, pin: &Path) -> Result<bool, ProgramError> {
    if !pin.exists() {
        return Ok(false);
    }
    let link = FdLink::from(PinnedLink::from_pin(pin).map_err(from_link)?);
    let link = SchedClassifierLink::try_from(link).map_err(from_link)?;
    let id = program.attach_to_link(link)?;
    // The pin holds the link; the descriptor is not needed any more.
    drop(program.take_link(id)?);
    Ok(true)
}

fn count(program: &mut Xdp, index: u32, pin: &Path) -> Result<(), ProgramError> {
    if pin.exists() {
        let link = FdLink::from(PinnedLink::from_pin(pin).map_err(from_link)?);
        let link = XdpLink::try_from(link).map_err(from_link)?;
        if let Ok(id) = program.attach_to_link(link) {
            drop(program.take_link(id)?);
            return Ok(());
        }
        remove(pin).map_err(LinkError::from_io)?;
    }
    let id = program
        .attach_to_if_index(index, XdpMode::Driver)
        .or_else(|_no_driver| program.attach_to_if_index(index, XdpMode::Skb))?;
    let link = program.take_link(id)?;
    pin_link(link.try_into().map_err(from_link)?, pin)
}

fn pin_link(link: FdLink, pin: &Path) -> Result<(), ProgramError> {
    link.pin(pin).map(drop).map_err(|error| ProgramError::IOError(io::Error::other(error)))
}

fn from_link(error: LinkError) -> ProgramError {
    ProgramError::IOError(io::Error::other(error))
}

/// Turns a file error into the one type that attaching returns.
trait FromIo {
    fn from_io(error: io::Error) -> ProgramError;
}

impl FromIo for LinkError {
    fn from_io(error: io::Error) -> ProgramError {
        ProgramError::IOError(error)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        said = format!("{said}: {current}");
        cause = current.source();
    }
    said
}
