//! What a recording of a speaker holds: every input in order, and after each batch what the outputs came to. Only data and
//! the hook that makes it; must never hold a key, and never change what the speaker does.

mod digest;
mod hex;
mod keys;
#[cfg(test)]
mod tests;

pub use self::digest::Digest;

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub(super) use self::keys::stand_in;

use self::keys::Keys;
use super::{Speaker, SpeakerInput};
use crate::config::{Config, LocalPath, NeighborConfig};
use crate::family::LocalAddresses;
use crate::session::{ConnId, ConnectionEnd};

/// The version of the lines; a reader refuses any other.
pub const RECORD_VERSION: u32 = 1;

/// One line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The first line: what a speaker has to be made of to do the same.
    Begin {
        /// [`RECORD_VERSION`].
        version: u32,
        /// The version of sart that wrote it.
        sart: String,
        /// The seed of the timers' jitter.
        seed: u64,
    },
    /// Something was fed to the speaker.
    Input {
        /// `now`, in nanoseconds since any fixed moment.
        at: u64,
        /// What.
        step: Step,
    },
    /// Every output so far was taken.
    Check {
        /// How many outputs there were since the beginning.
        outputs: u64,
        /// Their [`Digest`], as sixteen hexadecimal digits.
        digest: String,
    },
    /// The last line. A recording without it was cut off.
    End {
        /// Why it ends.
        reason: RecordEnd,
    },
}

/// Why a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordEnd {
    /// The speaker stopped.
    Stopped,
    /// What writes it could not keep up: what came later is missing.
    Overflow,
}

impl RecordEnd {
    /// One word, as in the file.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Overflow => "overflow",
        }
    }
}

/// One input of the pure core, owned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// [`SpeakerInput::Accepted`].
    Accepted {
        /// The connection.
        conn: ConnId,
        /// The far end.
        peer: SocketAddr,
        /// Our addresses on that link.
        local: LocalAddresses,
    },
    /// [`SpeakerInput::Dialled`].
    Dialled {
        /// The connection.
        conn: ConnId,
        /// The neighbour.
        peer: IpAddr,
        /// Our addresses on that link.
        local: LocalAddresses,
    },
    /// [`SpeakerInput::DialFailed`].
    DialFailed {
        /// The neighbour.
        peer: IpAddr,
        /// Why.
        error: String,
    },
    /// [`SpeakerInput::Received`].
    Received {
        /// The connection.
        conn: ConnId,
        /// The octets, written as hexadecimal digits.
        #[serde(with = "hex")]
        bytes: Vec<u8>,
    },
    /// [`SpeakerInput::Closed`].
    Closed {
        /// The connection.
        conn: ConnId,
        /// How.
        end: ConnectionEnd,
    },
    /// [`SpeakerInput::Sent`].
    Sent {
        /// The connection.
        conn: ConnId,
        /// How many octets.
        octets: usize,
    },
    /// [`SpeakerInput::TrackerUp`].
    TrackerUp,
    /// [`SpeakerInput::TrackerDown`].
    TrackerDown,
    /// [`SpeakerInput::NextHops`].
    NextHops {
        /// Each with its distance; none is unreachable.
        answers: Vec<(IpAddr, Option<u32>)>,
    },
    /// [`SpeakerInput::Tick`].
    Tick,
    /// [`Speaker::flush`].
    Flush,
    /// [`Speaker::apply_config`] with a configuration that was found good; every other change of configuration comes down
    /// to it.
    Apply {
        /// The configuration, without keys.
        config: Box<Config>,
        /// Which neighbours have a key, and a number for each: the same key has the same number throughout.
        keys: BTreeMap<IpAddr, u32>,
    },
    /// [`Speaker::delete_neighbor`].
    DeleteNeighbor {
        /// The neighbour.
        peer: IpAddr,
    },
    /// [`Speaker::reset`].
    Reset {
        /// The neighbour.
        peer: IpAddr,
        /// The text for its operator.
        text: String,
    },
    /// [`Speaker::ask_refresh`].
    AskRefresh {
        /// The neighbour.
        peer: IpAddr,
    },
    /// [`Speaker::update_paths`].
    UpdatePaths {
        /// Originated.
        upserts: Vec<LocalPath>,
        /// Withdrawn.
        withdrawals: Vec<IpNet>,
    },
    /// [`Speaker::shutdown`].
    Shutdown {
        /// The text for the neighbours' operators.
        text: String,
    },
    /// [`Speaker::leave_for_restart`].
    LeaveForRestart,
    /// [`Speaker::set_fed`].
    SetFed {
        /// Whether somebody wants multipath sets.
        fed: bool,
    },
}

impl From<&SpeakerInput<'_>> for Step {
    fn from(input: &SpeakerInput<'_>) -> Self {
        match *input {
            SpeakerInput::Accepted { conn, peer, local } => Self::Accepted { conn, peer, local },
            SpeakerInput::Dialled { conn, peer, local } => Self::Dialled { conn, peer, local },
            SpeakerInput::DialFailed { peer, error } => Self::DialFailed { peer, error: error.to_owned() },
            SpeakerInput::Received { conn, bytes } => Self::Received { conn, bytes: bytes.to_vec() },
            SpeakerInput::Closed { conn, end } => Self::Closed { conn, end },
            SpeakerInput::Sent { conn, octets } => Self::Sent { conn, octets },
            SpeakerInput::TrackerUp => Self::TrackerUp,
            SpeakerInput::TrackerDown => Self::TrackerDown,
            SpeakerInput::NextHops { answers } => Self::NextHops { answers: answers.to_vec() },
            SpeakerInput::Tick => Self::Tick,
        }
    }
}

/// Takes the lines of a recording. Must not wait: it is called in the middle of routing.
pub trait Recorder: fmt::Debug + Send {
    /// Takes the next line. `false` if it takes no more, and is to be dropped.
    fn record(&mut self, record: Record) -> bool;
}

/// A recorder and what it has to remember.
#[derive(Debug)]
pub(super) struct Recording {
    recorder: Box<dyn Recorder>,
    /// `now` of the last input.
    at: u64,
    keys: Keys,
    digest: Digest,
    /// Outputs were taken since the last check.
    unchecked: bool,
}

impl Speaker {
    /// Like [`Speaker::new`]; `recorder` is given everything that happens from now on.
    #[must_use]
    pub fn recorded(seed: u64, mut recorder: Box<dyn Recorder>) -> Self {
        let begin =
            Record::Begin { version: RECORD_VERSION, sart: env!("CARGO_PKG_VERSION").to_owned(), seed };
        let mut speaker = Self::new(seed);
        if recorder.record(begin) {
            speaker.recording = Some(Recording::new(recorder));
        }
        speaker
    }

    /// For what happens at no time of its own.
    pub(super) fn note_fed(&mut self, fed: bool) {
        if let Some(at) = self.recording.as_ref().map(|recording| recording.at) {
            self.write(Record::Input { at, step: Step::SetFed { fed } });
        }
    }

    /// `step` is made only where somebody records.
    pub(super) fn note(&mut self, now: Duration, step: impl FnOnce() -> Step) {
        if let Some(recording) = &mut self.recording {
            let at = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            recording.at = at;
            self.write(Record::Input { at, step: step() });
        }
    }

    pub(super) fn note_config(&mut self, config: &Config, now: Duration) {
        let Some(recording) = &mut self.recording else { return };
        let keys = recording.keys.numbers(&config.neighbors);
        self.note(now, || Step::Apply { config: Box::new(without_keys(config)), keys });
    }

    /// An output was taken, or there was none left.
    pub(super) fn note_output(&mut self, output: Option<&super::SpeakerOutput>) {
        let Some(recording) = &mut self.recording else { return };
        if let Some(output) = output {
            recording.digest.add(output);
            recording.unchecked = true;
        } else if core::mem::take(&mut recording.unchecked) {
            let (outputs, digest) = (recording.digest.outputs(), recording.digest.to_string());
            self.write(Record::Check { outputs, digest });
        }
    }

    fn write(&mut self, record: Record) {
        let takes_more = self.recording.as_mut().is_some_and(|recording| recording.recorder.record(record));
        if !takes_more {
            self.recording = None;
        }
    }
}

impl Recording {
    fn new(recorder: Box<dyn Recorder>) -> Self {
        Self { recorder, at: 0, keys: Keys::default(), digest: Digest::default(), unchecked: false }
    }
}

/// A recorder that writes lines leaves keys out; one that keeps values must not get them either.
fn without_keys(config: &Config) -> Config {
    let bare = |neighbor: &NeighborConfig| {
        let mut neighbor = neighbor.clone();
        neighbor.transport.password = None;
        neighbor
    };
    Config { neighbors: config.neighbors.iter().map(bare).collect(), ..config.clone() }
}
