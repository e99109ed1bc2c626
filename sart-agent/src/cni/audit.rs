//! What differs between journal, kernel, address book and dataplane while pods come and go, and the mending of it. Says
//! nothing of an attachment that an ADD or DEL works on, and mends only what needs no guess.

mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::attachment::{Attachment, AttachmentKey};
use super::machine::Machine;
use super::network::{self, NetworkError};
use super::ports::PodPort;
use super::reconcile::Repair;
use super::turns::Turn;

pub use compare::compare;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One word for scripts; never changed, only added to.
    pub reason: &'static str,
    /// The attachment, or the link or route that belongs to none.
    pub subject: String,
    /// What differs, and what to do where nothing here mends it.
    pub message: String,
    key: Option<AttachmentKey>,
    mend: Option<Mend>,
}

/// How a difference goes away.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mend {
    /// As at a start: removes a link or route, or writes routes, journal and book anew from what stands.
    Restore(Repair),
    /// The attachment is gone: a DEL finishes it.
    Delete(AttachmentKey),
    /// The book takes the journal's addresses.
    Adopt(Attachment),
    /// The book lets go.
    Release(AttachmentKey),
    /// The dataplane takes the port.
    Attach(PodPort),
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// The differences, each with what became of mending it: none if nobody tried.
    pub findings: Vec<(Finding, Option<Result<(), String>>)>,
    /// Attachments in the journal.
    pub attachments: usize,
    /// Attachments that looked different and are being worked on.
    pub busy: usize,
}

/// Differences that stay while nobody works on their attachments, with the right to do so.
struct Confirmed<'a> {
    findings: Vec<Finding>,
    busy: usize,
    _turns: BTreeMap<AttachmentKey, Turn<'a>>,
}

impl Finding {
    /// Whether a repair can make it go away.
    #[must_use]
    pub fn is_mendable(&self) -> bool {
        self.mend.is_some()
    }
}

impl Machine {
    /// Compares and changes nothing.
    ///
    /// # Errors
    /// The kernel cannot be read.
    pub fn audit(&self) -> Result<Audit, NetworkError> {
        let confirmed = self.confirmed()?;
        let findings = confirmed.findings.into_iter().map(|finding| (finding, None)).collect();
        Ok(Audit { findings, attachments: self.journal.count(), busy: confirmed.busy })
    }

    /// Compares and mends. ADDs and DELs of the attachments concerned wait meanwhile, no others.
    ///
    /// # Errors
    /// The kernel cannot be read; a difference that does not go away is no error but in the answer.
    pub fn repair(&self) -> Result<Audit, NetworkError> {
        let confirmed = self.confirmed()?;
        let mut findings = Vec::new();
        for finding in confirmed.findings {
            let mended = finding.mend.as_ref().map(|mend| self.mend(mend));
            tracing::info!(
                subject = finding.subject,
                reason = finding.reason,
                ?mended,
                "repair by an operator"
            );
            findings.push((finding, mended));
        }
        Ok(Audit { findings, attachments: self.journal.count(), busy: confirmed.busy })
    }

    /// What looks different at first may be an ADD or DEL under way: it is looked at again with the turns of all that is
    /// concerned. What belongs to no attachment counts if it is there both times.
    fn confirmed(&self) -> Result<Confirmed<'_>, NetworkError> {
        let first = self.differences()?;
        let keys: BTreeSet<AttachmentKey> = first.iter().filter_map(|finding| finding.key.clone()).collect();
        let count = keys.len();
        let turns: BTreeMap<_, _> =
            keys.into_iter().filter_map(|key| Some((key.clone(), self.turns.try_take(&key)?))).collect();
        let busy = count - turns.len();
        let mut findings = if first.is_empty() { Vec::new() } else { self.differences()? };
        findings.retain(|finding| match &finding.key {
            Some(key) => turns.contains_key(key),
            None => first.contains(finding),
        });
        Ok(Confirmed { findings, busy, _turns: turns })
    }

    fn differences(&self) -> Result<Vec<Finding>, NetworkError> {
        let ledger = self.journal.ledger();
        let mut findings = compare(&ledger, &network::observe()?, &self.addresses.holdings());
        let known: BTreeSet<_> = findings.iter().filter_map(|finding| finding.key.clone()).collect();
        let whole = ledger.live.into_iter().filter(|(key, (_, made))| *made && !known.contains(key));
        findings.extend(whole.filter_map(|(key, (attachment, _))| {
            let error = self.ports.check(&attachment.port()).err()?;
            let mend = Some(Mend::Attach(attachment.port()));
            Some(Finding {
                reason: "MissingPort",
                subject: key.to_string(),
                message: error.to_string(),
                key: Some(key),
                mend,
            })
        }));
        Ok(findings)
    }

    fn mend(&self, mend: &Mend) -> Result<(), String> {
        match mend {
            Mend::Restore(repair) => self.carry_out(repair),
            Mend::Delete(key) => self.delete_in_turn(key).map_err(|failure| failure.to_string()),
            Mend::Adopt(attachment) => {
                let adopted = self.addresses.adopt(&attachment.key, &attachment.addresses);
                adopted.map_err(|address| format!("{address} is another attachment's by now"))
            }
            Mend::Release(key) => {
                self.addresses.release(key, SystemTime::now());
                Ok(())
            }
            Mend::Attach(port) => self.ports.attach(port).map(drop).map_err(|error| error.to_string()),
        }
    }
}
