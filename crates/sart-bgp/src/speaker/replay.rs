//! Does again what a recording says, with a speaker of its own. Must never go on after the outputs differed.

use core::fmt::{self, Write as _};
use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::record::{Digest, RECORD_VERSION, Record, RecordEnd, Step, stand_in};
use super::{Speaker, SpeakerInput, SpeakerOutput};
use crate::config::{Config, ConfigError};

/// A speaker that is fed by a recording.
#[derive(Debug)]
pub struct Replay {
    speaker: Speaker,
    now: Duration,
    digest: Digest,
    checks: u64,
    end: Option<RecordEnd>,
}

/// Why a recording cannot be replayed, or what it came to.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The first line is another one.
    #[error("the first line must be \"begin\"; this is no recording of a speaker, or a part of one")]
    NoBegin,
    /// Another version wrote it.
    #[error(
        "the recording has version {version}, this program reads {RECORD_VERSION}; replay it with sart {sart}"
    )]
    Version {
        /// The recording's.
        version: u32,
        /// The program that wrote it.
        sart: String,
    },
    /// A line is where it cannot be.
    #[error("a second \"begin\", or a line after \"end\"; give one recording at a time")]
    Misplaced,
    /// A recorded change is refused now.
    #[error("a recorded change is refused: {0}")]
    Refused(#[from] ConfigError),
    /// The outputs are others than those recorded.
    #[error("output {outputs} or one shortly before differs: digest {found}, recorded {recorded}")]
    Differs {
        /// How many outputs were made so far.
        outputs: u64,
        /// What they came to here.
        found: String,
        /// What they came to when recorded, with their number.
        recorded: String,
    },
}

impl ReplayError {
    /// The label for metrics and conditions.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoBegin => "NoBegin",
            Self::Version { .. } => "Version",
            Self::Misplaced => "Misplaced",
            Self::Refused(_) => "Refused",
            Self::Differs { .. } => "Differs",
        }
    }
}

impl Replay {
    /// Begins with the first line of a recording.
    ///
    /// # Errors
    /// If it is another line, or another version wrote it.
    pub fn begin(first: Record) -> Result<Self, ReplayError> {
        let Record::Begin { version, sart, seed } = first else { return Err(ReplayError::NoBegin) };
        if version != RECORD_VERSION {
            return Err(ReplayError::Version { version, sart });
        }
        let speaker = Speaker::new(seed);
        Ok(Self { speaker, now: Duration::ZERO, digest: Digest::default(), checks: 0, end: None })
    }

    /// Does what a line says. What it gives is to be done or shown in that order.
    ///
    /// # Errors
    /// If the line cannot be where it is, is refused, or says that there were other outputs.
    pub fn step(&mut self, record: Record) -> Result<Vec<SpeakerOutput>, ReplayError> {
        if self.end.is_some() {
            return Err(ReplayError::Misplaced);
        }
        match record {
            Record::Begin { .. } => return Err(ReplayError::Misplaced),
            Record::Input { at, step } => {
                self.now = Duration::from_nanos(at);
                self.take(step)?;
            }
            Record::Check { outputs, digest } => self.check(outputs, &digest)?,
            Record::End { reason } => self.end = Some(reason),
        }
        let outputs: Vec<_> = core::iter::from_fn(|| self.speaker.poll_output()).collect();
        for output in &outputs {
            self.digest.add(output);
        }
        Ok(outputs)
    }

    /// The speaker as it is after the last line.
    #[must_use]
    pub const fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// `now` of the last line.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// How many outputs there were, and how often they were compared.
    #[must_use]
    pub const fn compared(&self) -> (u64, u64) {
        (self.digest.outputs(), self.checks)
    }

    /// Why the recording ended; none if it was cut off.
    #[must_use]
    pub const fn end(&self) -> Option<RecordEnd> {
        self.end
    }

    fn check(&mut self, outputs: u64, digest: &str) -> Result<(), ReplayError> {
        let found = self.digest.to_string();
        if (self.digest.outputs(), found.as_str()) != (outputs, digest) {
            let recorded = format!("{digest} after {outputs}");
            return Err(ReplayError::Differs { outputs: self.digest.outputs(), found, recorded });
        }
        self.checks += 1;
        Ok(())
    }

    fn take(&mut self, step: Step) -> Result<(), ReplayError> {
        let (speaker, now) = (&mut self.speaker, self.now);
        let input = match &step {
            Step::Accepted { conn, peer, local } => {
                SpeakerInput::Accepted { conn: *conn, peer: *peer, local: *local }
            }
            Step::Dialled { conn, peer, local } => {
                SpeakerInput::Dialled { conn: *conn, peer: *peer, local: *local }
            }
            Step::DialFailed { peer, error } => SpeakerInput::DialFailed { peer: *peer, error },
            Step::Received { conn, bytes } => SpeakerInput::Received { conn: *conn, bytes },
            Step::Closed { conn, end } => SpeakerInput::Closed { conn: *conn, end: *end },
            Step::Sent { conn, octets } => SpeakerInput::Sent { conn: *conn, octets: *octets },
            Step::TrackerUp => SpeakerInput::TrackerUp,
            Step::TrackerDown => SpeakerInput::TrackerDown,
            Step::NextHops { answers } => SpeakerInput::NextHops { answers },
            Step::Tick => SpeakerInput::Tick,
            _ => return change(speaker, step, now),
        };
        speaker.take_in(input, now);
        Ok(())
    }
}

/// What is not an input of a socket or the clock.
fn change(speaker: &mut Speaker, step: Step, now: Duration) -> Result<(), ReplayError> {
    match step {
        Step::Apply { config, keys } => {
            speaker.apply_config(with_keys(*config, &keys), now)?;
        }
        Step::DeleteNeighbor { peer } => speaker.delete_neighbor(peer, now)?,
        Step::Reset { peer, text } => speaker.reset(peer, &text, now)?,
        Step::AskRefresh { peer } => speaker.ask_refresh(peer, now)?,
        Step::UpdatePaths { upserts, withdrawals } => {
            speaker.update_paths(upserts, &withdrawals, now)?;
        }
        Step::Shutdown { text } => speaker.shutdown(&text, now),
        Step::LeaveForRestart => speaker.leave_for_restart(now),
        Step::SetFed { fed } => speaker.set_fed(fed),
        // What is left is Flush; inputs were taken before.
        _ => speaker.flush(now),
    }
    Ok(())
}

fn with_keys(mut config: Config, keys: &BTreeMap<IpAddr, u32>) -> Config {
    for neighbor in &mut config.neighbors {
        neighbor.transport.password = keys.get(&neighbor.address).copied().map(stand_in);
    }
    config
}

/// One line without line break, the same for the same output, and without keys.
impl fmt::Display for SpeakerOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial { peer, port, transport } => {
                let keyed = if transport.password.is_some() { " with a key" } else { "" };
                write!(f, "dial {peer} port {port}{keyed}")
            }
            Self::Send { conn, bytes } => {
                write!(f, "send {} ", conn.0)?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Close { conn } => write!(f, "close {}", conn.0),
            Self::NeighborChanged { peer } => write!(f, "changed {peer}"),
            Self::NeighborDeleted { peer } => write!(f, "deleted {peer}"),
            Self::Session { peer, event } => {
                write!(f, "session {peer} {} {}", event.reason(), OneLine(&event.to_string()))
            }
            Self::BestPath(path) => {
                write!(f, "best {} internal={} via", path.prefix, path.internal)?;
                path.next_hops.iter().try_for_each(|next_hop| write!(f, " {next_hop}"))
            }
            Self::EndOfRib { peer, family } => write!(f, "end-of-rib {peer} {family}"),
            Self::NextHops(changes) => {
                f.write_str("next-hops begin")?;
                changes.begin.iter().try_for_each(|address| write!(f, " {address}"))?;
                f.write_str(" end")?;
                changes.end.iter().try_for_each(|address| write!(f, " {address}"))
            }
            Self::Settled => f.write_str("settled"),
        }
    }
}

/// A neighbour chooses some of the text.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_control() { ' ' } else { c }))
    }
}
