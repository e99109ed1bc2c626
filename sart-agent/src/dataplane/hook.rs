//! Attaches the pinned programs to uplinks, so that they outlive the agent, and keeps a mark of each in the pin folder.
//! What is already attached gets the new program in one step; no packet passes without one.

mod clsact;
mod filter;
mod tcx;

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use aya::Ebpf;
use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, Xdp};
use aya::util::KernelVersion;

use super::load::{Pins, UP_IN, UP_OUT, XDP_IN, refused};
use super::{AttachError, OpenError};
use clsact::Clsact;
use tcx::Tcx;

/// How classifiers come to an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attach {
    /// Links of the multi-program chain (kernel 6.6).
    Tcx,
    /// Filters of the `clsact` queueing discipline (tc-bpf(8)).
    Clsact,
}

impl Attach {
    /// The best that this kernel has.
    #[must_use]
    pub fn of_this_kernel() -> Self {
        // A version that cannot be read is no reason for the older way.
        let old = KernelVersion::current().is_ok_and(|version| version < KernelVersion::new(6, 6, 0));
        if old { Self::Clsact } else { Self::Tcx }
    }

    pub(super) fn hook(self) -> Box<dyn Hook> {
        match self {
            Self::Tcx => Box::new(Tcx),
            Self::Clsact => Box::new(Clsact),
        }
    }
}

/// One way of having a classifier run on an interface.
pub(super) trait Hook: Send {
    /// Makes `program` the one that runs at `spot`: in one step, if an earlier one of ours does.
    fn put(&self, program: &mut SchedClassifier, spot: &Spot<'_>) -> Result<(), ProgramError>;

    /// Whether the kernel runs the program with this id at `spot`.
    fn runs(&self, id: u32, spot: &Spot<'_>) -> Result<bool, ProgramError>;
}

/// One end of an interface, and what says in the pin folder that we are there.
pub(super) struct Spot<'a> {
    pub(super) interface: &'a Interface<'a>,
    pub(super) way: TcAttachType,
    pub(super) mark: PathBuf,
}

/// The pinned programs, opened.
pub(super) struct Hooks {
    hook: Box<dyn Hook>,
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
pub(super) struct Interface<'a> {
    pub(super) name: &'a str,
    pub(super) index: u32,
}

impl Hooks {
    /// Opens the pinned programs.
    pub(super) fn open(pins: &Pins, fresh: Option<Ebpf>, attach: Attach) -> Result<Self, OpenError> {
        let classifier = |name: &str| {
            SchedClassifier::from_pin(pins.programs.join(name)).map_err(|error| refused(name, &error))
        };
        let (up_in, up_out) = (classifier(UP_IN)?, classifier(UP_OUT)?);
        Ok(Self { hook: attach.hook(), links: pins.links.clone(), up_in, up_out, fresh })
    }

    /// Attaches everything to `name`, the way out first, so that no reply leaves untranslated.
    pub(super) fn attach(&mut self, name: &str) -> Result<BTreeSet<PathBuf>, AttachError> {
        let index = nix::net::if_::if_nametoindex(name)
            .map_err(|_unknown| AttachError::NoInterface { interface: name.to_owned() })?;
        let interface = Interface { name, index };
        let spot = |program, way| Spot {
            interface: &interface,
            way,
            mark: self.links.join(pin_name(program, &interface)),
        };
        let (out, into) = (spot(UP_OUT, TcAttachType::Egress), spot(UP_IN, TcAttachType::Ingress));
        let refused = |program| {
            move |error| AttachError::Refused { program, interface: name.to_owned(), message: chain(&error) }
        };
        self.hook.put(&mut self.up_out, &out).map_err(refused(UP_OUT))?;
        self.hook.put(&mut self.up_in, &into).map_err(refused(UP_IN))?;
        let mut pins = BTreeSet::from([out.mark, into.mark]);
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
                take(&path).map_err(|source| AttachError::Pin { path: path.clone(), source })?;
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

/// Takes away all that the marks in `folder` stand for.
pub(super) fn take_all(folder: &Path) -> io::Result<()> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(entries) => entries.into_iter().try_for_each(|entry| take(&entry?.path())),
    }
}

/// Takes away what `mark` stands for, and the mark: a pinned link goes with its pin, a filter leaves a folder behind.
pub(super) fn take(mark: &Path) -> io::Result<()> {
    if mark.is_dir() { clsact::take(mark) } else { remove(mark) }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The name of the interface with this index. The library answers with an empty one where there is none.
pub(super) fn name_of(index: u32) -> io::Result<CString> {
    let name = nix::net::if_::if_indextoname(index)?;
    if name.is_empty() { Err(io::Error::from_raw_os_error(nix::libc::ENODEV)) } else { Ok(name) }
}

/// Whether the kernel's answer stands somewhere in the causes.
fn has_code(error: &(dyn Error + 'static), code: i32) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if current.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) == Some(code) {
            return true;
        }
        cause = current.source();
    }
    false
}

/// An error with its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        said = format!("{said}: {current}");
        cause = current.source();
    }
    said
}
