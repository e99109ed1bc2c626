//! GC: removes what this network has here and no runtime knows. One failure does not keep the others from going.

use std::collections::BTreeSet;
use std::time::Instant;

use sart_cni::failure::{Failure, code};

use super::attachment::{self, AttachmentKey};
use super::machine::Machine;
use super::network;

impl Machine {
    /// Deletes every attachment of `network` that is not in `valid`, but none that somebody works on now.
    ///
    /// # Errors
    /// Code 106 with every failure.
    pub fn collect(&self, network: &str, valid: &[AttachmentKey], deadline: Instant) -> Result<(), Failure> {
        let valid: BTreeSet<&AttachmentKey> = valid.iter().collect();
        let mut stale: BTreeSet<AttachmentKey> = self.journal.ledger().live.into_keys().collect();
        let observed = network::observe().map_err(|error| {
            Failure::detailed(code::TRY_AGAIN, "the node's links cannot be read", error.to_string())
        })?;
        stale.extend(observed.links.iter().filter_map(|link| attachment::key_of(&link.alias)));
        stale.retain(|key| key.network == network && !valid.contains(key));
        let mut failures = Vec::new();
        for key in &stale {
            if Instant::now() >= deadline {
                failures.push("out of time for the rest".to_owned());
                break;
            }
            let Some(_turn) = self.turns.try_take(key) else { continue };
            failures.extend(self.delete_in_turn(key).err().map(|failure| format!("{key}: {failure}")));
        }
        if failures.is_empty() {
            return Ok(());
        }
        let msg = format!("{} of {} stale attachments stay", failures.len(), stale.len());
        Err(Failure::detailed(code::GC, msg, failures.join("; ")))
    }
}
