//! Carries out what a start finds, before anybody is served: the plan of [`super::reconcile`], then the removals that wait.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use sart_cni::intent;

use super::attachment::Attachment;
use super::check;
use super::journal::{Gone, Record};
use super::machine::Machine;
use super::network::{self, NetworkError};
use super::reconcile::{Repair, plan};

/// How long one waiting removal may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a start did, for the log and for tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Attachments that stand.
    pub adopted: usize,
    /// Links and routes removed.
    pub removed: usize,
    /// Attachments found gone.
    pub released: usize,
    /// Things that could not be done and are in the log.
    pub failed: usize,
}

impl Machine {
    /// Makes journal, kernel and ledger agree. Only before anybody is served: an ADD under way would look half done.
    ///
    /// # Errors
    /// The kernel cannot be read; single repairs that fail are counted and logged.
    pub(super) fn reconcile(&self) -> Result<Summary, NetworkError> {
        let mut summary = Summary::default();
        for repair in plan(&self.journal.ledger(), &network::observe()?) {
            let result = self.carry_out(&repair);
            let count = match repair {
                Repair::Unlink(_) | Repair::Unroute(_) => &mut summary.removed,
                Repair::Adopt(..) | Repair::Recover(_) => &mut summary.adopted,
                Repair::Release(..) | Repair::Cool(_) => &mut summary.released,
            };
            match result {
                Ok(()) => *count += 1,
                Err(error) => {
                    tracing::error!(?repair, error, "not repaired");
                    summary.failed += 1;
                }
            }
        }
        self.forget_flows_of_the_gone();
        Ok(summary)
    }

    /// An earlier process may have ended before it forgot their flows. What lives now keeps its own.
    fn forget_flows_of_the_gone(&self) {
        let ledger = self.journal.ledger();
        let live: BTreeSet<IpAddr> =
            ledger.live.values().flat_map(|(attachment, _)| attachment.ips()).collect();
        let gone = ledger.gone.values().flat_map(|gone| gone.addresses.iter().map(|one| one.address));
        self.flows.push(gone.filter(|address| !live.contains(address)));
    }

    /// Attaches the ports of all pods again, beside whatever ADDs and DELs run: for a dataplane that came, went or was made
    /// anew. Returns how many have their port and how many have not; the latter are in the log.
    pub fn reattach(&self) -> (usize, usize) {
        let (mut attached, mut failed) = (0, 0);
        for key in self.journal.ledger().live.into_keys() {
            let Some(_turn) = self.turns.take(&key, Instant::now() + PATIENCE) else { continue };
            // Read again in its turn: it may have left meanwhile. One that is half made attaches its port itself.
            let Some((attachment, true)) = self.journal.get(&key) else { continue };
            match self.ports.attach(&attachment.port()) {
                Ok(_) => attached += 1,
                Err(error) => {
                    tracing::error!(attachment = %key, %error, "the pod has no port in the dataplane");
                    failed += 1;
                }
            }
        }
        (attached, failed)
    }

    /// One repair of the plan, whoever found it necessary.
    pub(super) fn carry_out(&self, repair: &Repair) -> Result<(), String> {
        match repair {
            Repair::Unlink(link) => self.unplug(link),
            Repair::Unroute(route) => network::unroute(route).map_err(|error| error.to_string()),
            Repair::Adopt(attachment, routes) => self.take_back(attachment, *routes),
            Repair::Recover(attachment) => self.take_back(attachment, true),
            Repair::Release(key, addresses) => {
                let gone = Gone::new(key.clone(), addresses.clone(), SystemTime::now());
                self.cool(&gone);
                self.journal.append(Record::Gone(gone)).map(drop).map_err(|error| error.to_string())
            }
            Repair::Cool(gone) => {
                self.cool(gone);
                Ok(())
            }
        }
    }

    /// The dataplane lets go first: its rows and marks name the link, and nobody would come for them once it is gone.
    fn unplug(&self, link: &str) -> Result<(), String> {
        if let Some(found) = network::named(link).map_err(|error| error.to_string())? {
            self.ports.detach(&check::port(&found)).map_err(|error| error.to_string())?;
        }
        self.remover.remove(link).map_err(|error| error.to_string())
    }

    fn take_back(&self, attachment: &Attachment, routes: bool) -> Result<(), String> {
        if self.journal.get(&attachment.key).is_none_or(|(known, _)| known != *attachment) {
            self.journal.append(Record::Made(attachment.clone())).map_err(|error| error.to_string())?;
        }
        self.addresses
            .adopt(&attachment.key, &attachment.addresses)
            .map_err(|address| format!("address {address} of {} is another attachment's", attachment.key))?;
        if routes {
            network::route(attachment).map_err(|error| error.to_string())?;
        }
        self.ports.attach(&attachment.port()).map(drop).map_err(|error| error.to_string())
    }

    fn cool(&self, gone: &Gone) {
        gone.addresses.iter().for_each(|address| self.addresses.cool(address, gone.at()));
    }

    /// Carries out the removals that plugins wrote down; returns how many there were.
    pub fn drain(&self, state: &std::path::Path) -> usize {
        let intents = match intent::list(state) {
            Ok(intents) => intents,
            Err(error) => {
                tracing::error!(%error, state = %state.display(), "the waiting removals cannot be read");
                return 0;
            }
        };
        let mut drained = 0;
        for (path, read) in intents {
            let done = match read {
                Ok(intent) => {
                    self.delete(&intent.key, Instant::now() + PATIENCE).map_err(|error| error.to_string())
                }
                // The file was renamed into place whole; what cannot be read was not written by a plugin of ours.
                Err(error) => Err(format!("no removal: {error}")),
            };
            match done.and_then(|()| std::fs::remove_file(&path).map_err(|error| error.to_string())) {
                Ok(()) => drained += 1,
                Err(error) => tracing::error!(path = %path.display(), error, "a waiting removal is not done"),
            }
        }
        drained
    }
}
