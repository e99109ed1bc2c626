//! One measured phase: from a trigger until the expected state holds and everything is quiet again. Decides when a phase is
//! over; what it means is the report's business.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sart_testkit::flood::Flood;

use crate::figures::Row;
use crate::stage::Stage;
use crate::usage::{self, Usage};

/// How long a phase may take before it counts as failed.
const LIMIT: Duration = Duration::from_secs(300);
/// No UPDATE for this long, and hardly any CPU, is the end; longer than the pauses some speakers make before they send.
const QUIET: Duration = Duration::from_millis(1500);
const LOOK: Duration = Duration::from_millis(10);

/// Counts at the start of a phase.
pub(crate) struct Phase<'a> {
    stage: &'a Stage<'a>,
    watched: Vec<usize>,
    began: Instant,
    usage: Usage,
    machine: Duration,
    own: Duration,
    updates: u64,
    prefixes: u64,
}

impl<'a> Phase<'a> {
    /// Notes where everything stands; the trigger comes next. `watched` are the peers whose UPDATEs count.
    pub(crate) fn begin(stage: &'a Stage<'a>, watched: Vec<usize>) -> anyhow::Result<Self> {
        let usage = Usage::of(stage.subject.pid())?;
        let (updates, prefixes) = counts(stage, &watched);
        Ok(Self {
            stage,
            watched,
            usage,
            machine: usage::machine()?,
            own: usage::cpu(std::process::id())?,
            updates,
            prefixes,
            began: Instant::now(),
        })
    }

    /// Waits until `done` holds for every watched peer.
    pub(crate) fn reach(&self, done: impl Fn(&Flood) -> bool) -> anyhow::Result<()> {
        self.wait("the expected routes", || self.peers().all(&done))
    }

    /// Waits until `done` holds for every watched peer and then for quiet, and says what it cost.
    pub(crate) fn end(&self, name: &str, done: impl Fn(&Flood) -> bool) -> anyhow::Result<Row> {
        self.reach(done)?;
        self.quiet()?;
        let after = Usage::of(self.stage.subject.pid())?;
        let last = self.peers().filter_map(|peer| peer.table().last_update).max();
        let (updates, prefixes) = counts(self.stage, &self.watched);
        let cpu = after.cpu.saturating_sub(self.usage.cpu);
        let foreign = usage::machine()?
            .saturating_sub(self.machine)
            .saturating_sub(cpu)
            .saturating_sub(usage::cpu(std::process::id())?.saturating_sub(self.own));
        Ok(Row {
            case: name.to_owned(),
            cpu_seconds: cpu.as_secs_f64(),
            wall_seconds: last.map_or(0.0, |last| last.saturating_duration_since(self.began).as_secs_f64()),
            resident_mb: after.resident as f64 / 1024.0,
            peak_mb: after.peak as f64 / 1024.0,
            updates: updates - self.updates,
            prefixes: prefixes - self.prefixes,
            foreign_cpu_seconds: foreign.as_secs_f64(),
            ..Row::default()
        })
    }

    fn peers(&self) -> impl Iterator<Item = &Flood> {
        self.watched.iter().map(|at| &self.stage.peers[*at])
    }

    fn quiet(&self) -> anyhow::Result<()> {
        let pid = self.stage.subject.pid();
        let (mut since, mut cpu, mut seen) =
            (Instant::now(), usage::cpu(pid)?, counts(self.stage, &self.watched));
        self.wait("quiet", || {
            let counted = counts(self.stage, &self.watched);
            // One hundredth of the time is what an idle garbage collector or timer wheel may cost.
            let busy = usage::cpu(pid).is_ok_and(|now| now.saturating_sub(cpu) > Duration::from_millis(30));
            if counted != seen || busy || !self.stage.peers.iter().all(Flood::has_sent) {
                (since, seen) = (Instant::now(), counted);
                cpu = usage::cpu(pid).unwrap_or(cpu);
            }
            since.elapsed() >= QUIET
        })
    }

    fn wait(&self, what: &str, mut done: impl FnMut() -> bool) -> anyhow::Result<()> {
        while !done() {
            let present: Vec<u32> = self.peers().map(|peer| peer.table().present).collect();
            let ended = self.peers().find(|peer| peer.has_ended());
            if let Some(peer) = ended {
                anyhow::bail!(
                    "a session ended ({:?}): {}",
                    peer.table().notification,
                    self.stage.subject.log()
                );
            }
            anyhow::ensure!(
                self.began.elapsed() < LIMIT,
                "waited {LIMIT:?} in vain for {what}; the peers have {present:?} routes: {}",
                self.stage.subject.log()
            );
            sleep(LOOK);
        }
        usage::cpu(self.stage.subject.pid()).context("the speaker is gone").map(drop)
    }
}

fn counts(stage: &Stage<'_>, watched: &[usize]) -> (u64, u64) {
    watched.iter().fold((0, 0), |(updates, prefixes), at| {
        let table = stage.peers[*at].table();
        (updates + table.updates, prefixes + table.announced + table.withdrawn)
    })
}
