//! What this node attached and what it let go, on disk before anybody is told. Appended, never changed in place; a line cut
//! short by a crash ends the reading and costs nothing that was promised. Callers that come together share one fsync.

mod file;
mod syncer;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use self::file::JournalFile;
use self::syncer::Syncer;
use super::addresses::PodAddress;
use super::attachment::{Attachment, AttachmentKey};

/// A journal of this length is written anew with what still counts.
const LONGEST: u64 = 4 << 20;
/// What was let go longer ago has cooled down everywhere.
const MEMORY: Duration = Duration::from_secs(3600);

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// An ADD is about to change the kernel.
    Begun(Attachment),
    /// It has, and the runtime is about to be told.
    Made(Attachment),
    /// A DEL is about to change the kernel, or a failed ADD was undone.
    Gone(Gone),
}

/// An attachment that was let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Which.
    pub key: AttachmentKey,
    /// What it held.
    pub addresses: Vec<PodAddress>,
    /// When, by the wall clock, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What the lines add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What is attached, or about to be (false).
    pub live: BTreeMap<AttachmentKey, (Attachment, bool)>,
    /// What was let go and not attached again.
    pub gone: BTreeMap<AttachmentKey, Gone>,
}

/// Why a line is not safe on disk.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} the journal {path}: {source}; check the space and mount of that folder")]
pub struct JournalError {
    step: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    inner: Mutex<Inner>,
    syncer: Arc<Syncer>,
    path: PathBuf,
}

#[derive(Debug)]
struct Inner {
    file: JournalFile,
    ledger: Ledger,
}

impl Gone {
    /// Let go at `at`.
    #[must_use]
    pub fn new(key: AttachmentKey, addresses: Vec<PodAddress>, at: SystemTime) -> Self {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { key, addresses, at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
    }

    /// When.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.at_ms)
    }
}

impl Ledger {
    /// Takes a line into account.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::Begun(attachment) => self.attach(attachment, false),
            Record::Made(attachment) => self.attach(attachment, true),
            Record::Gone(gone) => {
                self.live.remove(&gone.key);
                self.gone.insert(gone.key.clone(), gone);
            }
        }
    }

    fn attach(&mut self, attachment: Attachment, made: bool) {
        self.gone.remove(&attachment.key);
        self.live.insert(attachment.key.clone(), (attachment, made));
    }

    /// The lines that say the same in the fewest words.
    fn records(&self) -> impl Iterator<Item = Record> {
        let gone = self.gone.values().cloned().map(Record::Gone);
        gone.chain(self.live.values().cloned().map(|(attachment, made)| {
            if made { Record::Made(attachment) } else { Record::Begun(attachment) }
        }))
    }

    fn forget(&mut self, before: SystemTime) {
        self.gone.retain(|_, gone| gone.at() >= before);
    }
}

impl Journal {
    /// Reads `journal` in the folder, writes it anew, and keeps it open. `now` decides what is old enough to forget.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(folder: &Path, now: SystemTime) -> Result<Self, JournalError> {
        let path = folder.join("journal");
        let failed = |step| {
            let path = path.clone();
            move |source| JournalError { step, path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
        let mut ledger = file::read(&path).map_err(failed("read"))?;
        ledger.forget(now.checked_sub(MEMORY).unwrap_or(SystemTime::UNIX_EPOCH));
        let file = JournalFile::create(&path, ledger.records()).map_err(failed("write"))?;
        let syncer = Syncer::start(file.shared()).map_err(failed("start the thread of"))?;
        Ok(Self { inner: Mutex::new(Inner { file, ledger }), syncer, path })
    }

    /// Writes a line; from here on it survives our own death. Returns what [`Journal::sync`] waits for.
    ///
    /// # Errors
    /// The line is not written, or only in part; the next one begins a new file.
    pub fn append(&self, record: Record) -> Result<u64, JournalError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { file, ledger } = &mut *inner;
        if file.is_damaged() || file.length() > LONGEST || self.syncer.failed() {
            ledger.forget(SystemTime::now().checked_sub(MEMORY).unwrap_or(SystemTime::UNIX_EPOCH));
            *file = JournalFile::create(&self.path, ledger.records()).map_err(self.failed("write"))?;
            self.syncer.replace(file.shared());
        }
        file.append(&record).map_err(self.failed("append to"))?;
        ledger.take(record);
        Ok(self.syncer.written())
    }

    /// Waits until the line of `number` survives a power loss.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self, number: u64) -> Result<(), JournalError> {
        self.syncer.wait(number).map_err(|source| JournalError {
            step: "sync",
            path: self.path.clone(),
            source,
        })
    }

    /// What is attached under this key, and whether the runtime was told.
    pub fn get(&self, key: &AttachmentKey) -> Option<(Attachment, bool)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).ledger.live.get(key).cloned()
    }

    /// How many attachments there are, whether the runtime was told or not.
    pub fn count(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).ledger.live.len()
    }

    /// A copy of what the lines add up to.
    pub fn ledger(&self) -> Ledger {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).ledger.clone()
    }

    fn failed(&self, step: &'static str) -> impl Fn(io::Error) -> JournalError {
        move |source| JournalError { step, path: self.path.clone(), source }
    }
}

impl JournalError {
    /// Label for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        "journal"
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.syncer.stop();
    }
}

#[cfg(test)]
mod tests;
