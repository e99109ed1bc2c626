//! Links of the kernel's multi-program chain: pinned, and given a new program in one step. Goes behind whoever is there.

use std::path::Path;

use aya::programs::links::{FdLink, LinkError, LinkOrder, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::{ProgramError, SchedClassifier};

use super::{FromIo, Hook, Spot, from_link, pin_link, remove};

/// See the module.
pub(super) struct Tcx;

impl Hook for Tcx {
    fn put(&self, program: &mut SchedClassifier, spot: &Spot<'_>) -> Result<(), ProgramError> {
        if matches!(update(program, &spot.mark), Ok(true)) {
            return Ok(());
        }
        // A link whose device is gone takes no program any more.
        remove(&spot.mark).map_err(LinkError::from_io)?;
        let order = TcAttachOptions::TcxOrder(LinkOrder::default());
        let id = program.attach_with_options(spot.interface.name, spot.way, order)?;
        let link = program.take_link(id)?;
        pin_link(link.try_into().map_err(from_link)?, &spot.mark)
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
