//! Filters of the `clsact` queueing discipline, for kernels without multi-program chains. Ours has a priority and a handle
//! of its own and is replaced in place; filters and the discipline of others stay. A folder in the pin folder is the mark,
//! because a filter is no object that could be pinned.

use std::path::Path;
use std::{fs, io};

use aya::programs::links::{Link, LinkError};
use aya::programs::tc::{
    NlOptions, SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions, TcError, TcHandle,
    qdisc_add_clsact,
};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};

use super::super::load::{POD_IN, UP_IN};
use super::{FromIo, Hook, Spot, filter, has_code, name_of};

/// Of our filters, on both sides of every interface.
const PRIORITY: u16 = 0x5a27;
const HANDLE: TcHandle = TcHandle::new(0, 1);

/// See the module.
pub(super) struct Clsact;

impl Hook for Clsact {
    fn put(&self, program: &mut SchedClassifier, spot: &Spot<'_>) -> Result<(), ProgramError> {
        match qdisc_add_clsact(spot.interface.name) {
            Err(error) if !exists(&error) => return Err(error.into()),
            _ => {}
        }
        fs::create_dir_all(&spot.mark).map_err(LinkError::from_io)?;
        let id = replace(program, spot).or_else(|_none| {
            let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
            program.attach_with_options(spot.interface.name, spot.way, TcAttachOptions::Netlink(options))
        })?;
        // Dropping it would detach: the filter stays, and the mark stands for it.
        std::mem::forget(program.take_link(id)?);
        Ok(())
    }

    fn runs(&self, id: u32, spot: &Spot<'_>) -> Result<bool, ProgramError> {
        let found = filter::program(spot.interface.index, spot.way, (PRIORITY, HANDLE.into()));
        Ok(found.map_err(LinkError::from_io)? == Some(id))
    }
}

/// The discipline is there already, ours or another's. The kernel's words may come with the number or without.
fn exists(error: &TcError) -> bool {
    has_code(error, nix::libc::EEXIST) || matches!(error, TcError::AlreadyAttached)
}

/// Puts the program into our filter; an error if there is none.
fn replace(program: &mut SchedClassifier, spot: &Spot<'_>) -> Result<SchedClassifierLinkId, ProgramError> {
    program.attach_to_link(ours(spot.interface.name, spot.way).map_err(LinkError::from_io)?)
}

fn ours(interface: &str, way: TcAttachType) -> io::Result<SchedClassifierLink> {
    SchedClassifierLink::attached(interface, way, PRIORITY, HANDLE, None)
}

/// Removes the filter and its mark, which is named by program, interface and index. With the interface the filter went.
pub(super) fn take(mark: &Path) -> io::Result<()> {
    let name = mark.file_name().unwrap_or_default().to_string_lossy();
    let index = name.rsplit('@').next().and_then(|index| index.parse().ok()).unwrap_or(0);
    let into = [UP_IN, POD_IN].iter().any(|program| name.starts_with(program));
    let way = if into { TcAttachType::Ingress } else { TcAttachType::Egress };
    if let Ok(interface) = name_of(index) {
        ours(&interface.to_string_lossy(), way)?.detach().map_err(io::Error::other)?;
    }
    fs::remove_dir(mark)
}
