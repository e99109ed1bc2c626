//! The journal's bytes: one line per record, a checksum in front. A new file takes the old one's place only when it is whole
//! and on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::{Ledger, Record};

/// The file that is appended to.
#[derive(Debug)]
pub(super) struct JournalFile {
    file: Arc<File>,
    length: u64,
    damaged: bool,
}

impl JournalFile {
    /// Writes the records to a file beside `path`, syncs it, and renames it over `path`.
    pub(super) fn create(path: &Path, records: impl Iterator<Item = Record>) -> io::Result<Self> {
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&fresh)?;
        let mut bytes = Vec::new();
        for record in records {
            bytes.extend(line(&record)?);
        }
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        if let Some(folder) = path.parent() {
            // The name is durable only with its folder (fsync(2)).
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { file: Arc::new(file), length: bytes.len() as u64, damaged: false })
    }

    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let bytes = line(record)?;
        let written = (&*self.file).write_all(&bytes);
        // Half a line may stand there now, and would hide whatever came behind it.
        self.damaged |= written.is_err();
        self.length += bytes.len() as u64;
        written
    }

    pub(super) fn shared(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged
    }
}

/// Adds up the lines, to the first one that is not whole.
pub(super) fn read(path: &Path) -> io::Result<Ledger> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ledger::default()),
        bytes => bytes?,
    };
    let mut ledger = Ledger::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(record) = parse(line) else {
            tracing::warn!(path = %path.display(), "the journal ends in a line cut short; nobody was told of it");
            break;
        };
        ledger.take(record);
    }
    Ok(ledger)
}

fn line(record: &Record) -> io::Result<Vec<u8>> {
    let text = serde_json::to_string(record)?;
    Ok(format!("{:016x} {text}\n", checksum(text.as_bytes())).into_bytes())
}

fn parse(line: &[u8]) -> Option<Record> {
    let (sum, text) = line.strip_suffix(b"\n")?.split_at_checked(16)?;
    let text = text.strip_prefix(b" ")?;
    let sum = u64::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (sum == checksum(text)).then_some(())?;
    serde_json::from_slice(text).ok()
}

/// FNV-1a: against torn and zeroed lines, not against people.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
