//! The loads. Each brings its own stage up, drives it through its phases and returns a row for each.

mod hold;

use std::time::{Duration, Instant};

use crate::figures::Row;
use crate::phase::Phase;
use crate::stage::{Ground, Stage};
use crate::subject::{Kind, Programs};
use crate::usage::Usage;

const HOLD_TIME: u16 = 90;
const MESH_PREFIXES: u32 = 10_000;

/// Which load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Case {
    /// Two idle sessions.
    Idle,
    /// One sender, one receiver; then everything is withdrawn.
    One,
    /// Four senders of the same prefixes, one receiver; then the one with the shortest paths dies.
    Four,
    /// One sender, eight receivers.
    Fan,
    /// Eight peers that all send the same 10,000 prefixes and receive the best.
    Mesh,
    /// Ours only: hold times of 3 s under the full load and listings of the whole table.
    Hold,
}

impl Case {
    pub(crate) const ALL: [Self; 6] = [Self::Idle, Self::One, Self::Four, Self::Fan, Self::Mesh, Self::Hold];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::One => "one",
            Self::Four => "four",
            Self::Fan => "fan",
            Self::Mesh => "mesh",
            Self::Hold => "hold",
        }
    }

    pub(crate) fn prefixes(self, scale: u32) -> u32 {
        match self {
            Self::Idle => 0,
            Self::Mesh => MESH_PREFIXES.min(scale),
            _ => scale,
        }
    }

    pub(crate) fn takes(self, kind: Kind) -> bool {
        self != Self::Hold || kind == Kind::Sart
    }

    pub(crate) fn run(self, kind: Kind, programs: &Programs, scale: u32) -> anyhow::Result<Vec<Row>> {
        let prefixes = self.prefixes(scale);
        match self {
            Self::Idle => idle(kind, programs),
            Self::One => one(kind, programs, prefixes),
            Self::Four => four(kind, programs, prefixes),
            Self::Fan => fan(kind, programs, prefixes),
            Self::Mesh => mesh(kind, programs, prefixes),
            Self::Hold => hold::run(kind, programs, prefixes),
        }
    }
}

fn idle(kind: Kind, programs: &Programs) -> anyhow::Result<Vec<Row>> {
    let ground = Ground::new(2, HOLD_TIME)?;
    let stage = ground.stage(kind, programs, 0)?;
    let phase = Phase::begin(&stage, vec![])?;
    // Long enough for what a start leaves behind to be given back.
    let until = Instant::now() + Duration::from_secs(5);
    sart_testkit::wait_for("five seconds of idling", Duration::from_secs(10), || {
        Ok((Instant::now() >= until).then_some(()))
    })?;
    Ok(vec![phase.end("idle", |_| true)?])
}

fn one(kind: Kind, programs: &Programs, prefixes: u32) -> anyhow::Result<Vec<Row>> {
    let ground = Ground::new(2, HOLD_TIME)?;
    let load = ground.load(0, prefixes, 2..=6)?;
    let stage = ground.stage(kind, programs, prefixes)?;
    let phase = Phase::begin(&stage, vec![1])?;
    stage.send(0, load.announce)?;
    let mut loaded = phase.end("load", |peer| peer.table().present == prefixes)?;
    loaded.ideal_updates = stage.peers[1].table().sets() as u64;
    let phase = Phase::begin(&stage, vec![1])?;
    stage.send(0, load.withdraw)?;
    let mut withdrawn = phase.end("withdraw", |peer| peer.table().present == 0)?;
    withdrawn.ideal_updates = u64::from(sart_testkit::load::fewest_withdrawals(prefixes));
    Ok(vec![loaded, withdrawn])
}

fn four(kind: Kind, programs: &Programs, prefixes: u32) -> anyhow::Result<Vec<Row>> {
    let ground = Ground::new(5, HOLD_TIME)?;
    // The first sender's paths are the shortest for about half of the prefixes.
    let hops = |link| if link == 0 { 2..=4 } else { 2..=6 };
    let loads =
        (0..4).map(|link| ground.load(link, prefixes, hops(link))).collect::<anyhow::Result<Vec<_>>>()?;
    let shortest: u64 = (0..prefixes as usize)
        .filter(|at| loads[1..].iter().all(|load| load.hops[*at] > loads[0].hops[*at]))
        .count() as u64;
    let mut stage = ground.stage(kind, programs, prefixes)?;
    let phase = Phase::begin(&stage, vec![4])?;
    for (peer, load) in loads.into_iter().enumerate() {
        stage.send(peer, load.announce)?;
    }
    // Ties may go either way; where the first sender is alone at the front they cannot.
    let mut merged = phase.end("merge", |peer| {
        let table = peer.table();
        table.present == prefixes
            && u64::from(table.owned[0]) >= shortest
            && stage.peers.iter().all(|p| p.has_sent())
    })?;
    let before = stage.peers[4].table().clone();
    merged.ideal_updates = before.sets() as u64;
    let mut failed = failover(&mut stage, prefixes)?;
    let (moved, ideal) = stage.peers[4].table().changed_since(&before);
    failed.ideal_updates = ideal as u64;
    failed.note = format!("{moved} prefixes moved");
    Ok(vec![merged, failed])
}

fn failover(stage: &mut Stage<'_>, prefixes: u32) -> anyhow::Result<Row> {
    let mut dying = stage.peers.remove(0);
    let phase = Phase::begin(stage, vec![3])?;
    dying.close();
    let row = phase.end("failover", |peer| {
        let table = peer.table();
        table.present == prefixes && table.owned[0] == 0
    });
    stage.peers.insert(0, dying);
    row
}

fn fan(kind: Kind, programs: &Programs, prefixes: u32) -> anyhow::Result<Vec<Row>> {
    let ground = Ground::new(9, HOLD_TIME)?;
    let load = ground.load(0, prefixes, 2..=6)?;
    let stage = ground.stage(kind, programs, prefixes)?;
    let phase = Phase::begin(&stage, (1..9).collect())?;
    stage.send(0, load.announce)?;
    let mut row = phase.end("fan", |peer| peer.table().present == prefixes)?;
    row.ideal_updates = stage.peers[1..].iter().map(|peer| peer.table().sets() as u64).sum();
    Ok(vec![row])
}

fn mesh(kind: Kind, programs: &Programs, prefixes: u32) -> anyhow::Result<Vec<Row>> {
    let ground = Ground::new(8, HOLD_TIME)?;
    let loads = (0..8).map(|link| ground.load(link, prefixes, 2..=6)).collect::<anyhow::Result<Vec<_>>>()?;
    let stage = ground.stage(kind, programs, prefixes)?;
    let idle = Usage::of(stage.subject.pid())?;
    let phase = Phase::begin(&stage, (0..8).collect())?;
    for (peer, load) in loads.into_iter().enumerate() {
        stage.send(peer, load.announce)?;
    }
    // A peer does not get back what is best from itself, so each may lack its own share.
    let mut row = phase.end("mesh", |peer| {
        peer.table().present > 0
            && stage.peers.iter().map(|p| u64::from(p.table().present)).sum::<u64>()
                >= 7 * u64::from(prefixes)
    })?;
    row.ideal_updates = stage.peers.iter().map(|peer| peer.table().sets() as u64).sum();
    row.note = format!("rss before {:.1} MB", idle.resident as f64 / 1024.0);
    Ok(vec![row])
}
