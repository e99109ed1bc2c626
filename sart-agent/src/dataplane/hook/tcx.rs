//! Links of the kernel's multi-program chain: pinned, and given a new program in one step. Goes behind whoever is there.

use std::path::Path;
use std::time::{Duration, Instant};

use aya::programs::links::{FdLink, LinkError, LinkOrder, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions};
use aya::programs::{ProgramError, SchedClassifier};

use super::{FromIo, Hook, Spot, from_link, has_code, pin_link, remove};

/// How long a removed link may still hold its program: it waits for readers (RCU), and for a thread of the kernel.
const LETTING_GO: Duration = Duration::from_secs(3);

/// See the module.
pub(super) struct Tcx;

impl Hook for Tcx {
    fn put(&self, program: &mut SchedClassifier, spot: &Spot<'_>) -> Result<(), ProgramError> {
        if matches!(update(program, &spot.mark), Ok(true)) {
            return Ok(());
        }
        // A link whose device is gone takes no program any more.
        remove(&spot.mark).map_err(LinkError::from_io)?;
        let id = attach(program, spot)?;
        let link = program.take_link(id)?;
        pin_link(link.try_into().map_err(from_link)?, &spot.mark)
    }

    fn runs(&self, id: u32, spot: &Spot<'_>) -> Result<bool, ProgramError> {
        let (_, programs) = SchedClassifier::query_tcx(spot.interface.name, spot.way)?;
        Ok(programs.iter().any(|program| program.id() == id))
    }
}

/// The kernel lets go of a link some time after its last pin, and takes a program only once on each end meanwhile.
fn attach(program: &mut SchedClassifier, spot: &Spot<'_>) -> Result<SchedClassifierLinkId, ProgramError> {
    let deadline = Instant::now() + LETTING_GO;
    loop {
        let order = TcAttachOptions::TcxOrder(LinkOrder::default());
        match program.attach_with_options(spot.interface.name, spot.way, order) {
            Err(error) if has_code(&error, nix::libc::EEXIST) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => return other,
        }
    }
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
