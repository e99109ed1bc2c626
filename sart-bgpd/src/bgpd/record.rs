//! Writes what the speaker was fed to a file, and feeds it to another speaker again. Must never make routing wait for a
//! disk, and never leave a gap: where it cannot keep up, the recording ends and says so.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use sart_bgp::speaker::record::{Record, RecordEnd, Recorder, Step};
use sart_bgp::speaker::replay::{Replay, ReplayError};

/// Lines that may wait to be written.
const QUEUE: usize = 16 * 1024;
/// Octets of received messages that may wait to be written.
const QUEUE_OCTETS: usize = 64 * 1024 * 1024;
/// How long the rest may take to be written when the daemon stops.
const FINISH_TIME: Duration = Duration::from_secs(5);

/// The speaker's end of a recording; dropping it ends the recording in order.
#[derive(Debug)]
pub struct FileRecorder {
    queue: Option<SyncSender<Record>>,
    backlog: Arc<Backlog>,
    limit: usize,
    path: PathBuf,
}

/// What both ends know of the queue.
#[derive(Debug, Default)]
struct Backlog {
    octets: AtomicUsize,
    overflowed: AtomicBool,
}

/// The file's end of a recording.
#[derive(Debug)]
pub struct Recording {
    done: Receiver<()>,
    path: PathBuf,
}

/// Why there can be no recording.
#[derive(Debug, thiserror::Error)]
#[error("cannot record to {path}: {source}; name a file that can be written, or leave --record out")]
pub struct RecordError {
    path: PathBuf,
    source: io::Error,
}

/// Begins a recording. A file of that name is kept as `FILE.old`: it may be of the run that a restart followed.
///
/// # Errors
/// If the file cannot be made.
pub fn start(path: &Path) -> Result<(FileRecorder, Recording), RecordError> {
    let file = create(path).map_err(|source| RecordError { path: path.to_owned(), source })?;
    start_in(path, file, (QUEUE, QUEUE_OCTETS))
}

fn start_in(
    path: &Path,
    file: impl Write + Send + 'static,
    (lines, limit): (usize, usize),
) -> Result<(FileRecorder, Recording), RecordError> {
    let (queue, records) = sync_channel(lines);
    let (finished, done) = sync_channel(1);
    let backlog = Arc::new(Backlog::default());
    let (path_of_writer, shared) = (path.to_owned(), Arc::clone(&backlog));
    let write = move || {
        if let Err(error) = write_all(BufWriter::new(file), &records, &shared) {
            tracing::error!(path = %path_of_writer.display(), %error, "the recording ended: the file cannot be written");
        }
        drop(finished);
    };
    let spawned = std::thread::Builder::new().name("record".to_owned()).spawn(write);
    spawned.map_err(|source| RecordError { path: path.to_owned(), source })?;
    let recorder = FileRecorder { queue: Some(queue), backlog, limit, path: path.to_owned() };
    Ok((recorder, Recording { done, path: path.to_owned() }))
}

/// What is in it is for the operator only.
fn create(path: &Path) -> io::Result<File> {
    if path.is_file() {
        let mut old = path.as_os_str().to_owned();
        old.push(".old");
        std::fs::rename(path, old)?;
    }
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

impl Recorder for FileRecorder {
    fn record(&mut self, record: Record) -> bool {
        let Some(queue) = &self.queue else { return false };
        let octets = weight(&record);
        if self.backlog.octets.fetch_add(octets, Ordering::Relaxed) + octets > self.limit {
            return self.overflow();
        }
        match queue.try_send(record) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => self.overflow(),
            // The writer has said why.
            Err(TrySendError::Disconnected(_)) => {
                self.queue = None;
                false
            }
        }
    }
}

impl FileRecorder {
    fn overflow(&mut self) -> bool {
        tracing::error!(
            path = %self.path.display(),
            "the recording ended: the disk is slower than the neighbors; what is in the file can be replayed"
        );
        self.backlog.overflowed.store(true, Ordering::Release);
        self.queue = None;
        false
    }
}

/// Octets that a line holds beyond its own size.
fn weight(record: &Record) -> usize {
    match record {
        Record::Input { step: Step::Received { bytes, .. }, .. } => bytes.len(),
        _ => 0,
    }
}

fn write_all(mut file: impl Write, records: &Receiver<Record>, backlog: &Backlog) -> io::Result<()> {
    while let Ok(first) = records.recv() {
        for record in std::iter::once(first).chain(records.try_iter()) {
            write_one(&mut file, &record)?;
            backlog.octets.fetch_sub(weight(&record), Ordering::Relaxed);
        }
        // Nothing waits: a process that is killed now loses little.
        file.flush()?;
    }
    let reason =
        if backlog.overflowed.load(Ordering::Acquire) { RecordEnd::Overflow } else { RecordEnd::Stopped };
    write_one(&mut file, &Record::End { reason })?;
    file.flush()
}

fn write_one(file: &mut impl Write, record: &Record) -> io::Result<()> {
    serde_json::to_writer(&mut *file, record)?;
    file.write_all(b"\n")
}

impl Recording {
    /// Waits until the rest is written, for a few seconds at most. The recorder must have been dropped.
    pub fn finish(self) {
        if self.done.recv_timeout(FINISH_TIME) == Err(RecvTimeoutError::Timeout) {
            tracing::error!(path = %self.path.display(), "the recording is not complete: the disk is too slow");
        }
    }
}

/// Why a file could not be replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFileError {
    /// It could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The outputs could not be written.
    #[error("cannot write the outputs: {0}")]
    Write(io::Error),
    /// A line is no line of a recording.
    #[error("{path}:{line}: not a line of a recording: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A line cannot be done again.
    #[error("{path}:{line}: {source}")]
    Replay {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        source: ReplayError,
    },
}

/// Feeds a recording to a speaker of its own and writes each output to `out`, one a line.
///
/// # Errors
/// If the file is no recording, or the outputs are not those recorded.
pub fn replay(path: &Path, out: &mut impl Write) -> Result<Replay, ReplayFileError> {
    let read = |source| ReplayFileError::Read { path: path.to_owned(), source };
    let file = BufReader::new(File::open(path).map_err(read)?);
    let mut replay = None;
    let mut lines = file.lines().enumerate().peekable();
    while let Some((number, text)) = lines.next() {
        let (text, line) = (text.map_err(read)?, number + 1);
        let record = match serde_json::from_str(&text) {
            Ok(record) => record,
            // A process that was killed leaves half a line.
            Err(error) if error.is_eof() && lines.peek().is_none() => break,
            Err(source) => return Err(ReplayFileError::Line { path: path.to_owned(), line, source }),
        };
        let stepped = step(&mut replay, record, out);
        stepped.map_err(ReplayFileError::Write)?.map_err(|source| ReplayFileError::Replay {
            path: path.to_owned(),
            line,
            source,
        })?;
    }
    let nothing = || ReplayFileError::Replay { path: path.to_owned(), line: 1, source: ReplayError::NoBegin };
    replay.ok_or_else(nothing)
}

fn step(
    replay: &mut Option<Replay>,
    record: Record,
    out: &mut impl Write,
) -> io::Result<Result<(), ReplayError>> {
    let Some(running) = replay else {
        return Ok(Replay::begin(record).map(|begun| *replay = Some(begun)));
    };
    match running.step(record) {
        Ok(outputs) => {
            outputs.iter().try_for_each(|output| writeln!(out, "{:?} {output}", running.now())).map(Ok)
        }
        Err(error) => Ok(Err(error)),
    }
}

#[cfg(test)]
mod tests;
