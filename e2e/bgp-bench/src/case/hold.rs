//! Hold times of 3 s on every session while the full load arrives and the whole table is listed over and over. It fails if
//! a session ends, or if a peer waits longer for a word than its hold time.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::figures::Row;
use crate::listing::{self, Lister};
use crate::phase::Phase;
use crate::stage::Ground;
use crate::subject::{Kind, Programs};

const HOLD_TIME: u16 = 3;

pub(super) fn run(kind: Kind, programs: &Programs, prefixes: u32) -> anyhow::Result<Vec<Row>> {
    let ground = Ground::new(3, HOLD_TIME)?;
    let load = ground.load(0, prefixes, 2..=6)?;
    let stage = ground.stage(kind, programs, prefixes)?;
    let socket = stage.subject.socket().context("only our own speaker has this API")?;
    let lister = Lister::start(socket.clone())?;
    let phase = Phase::begin(&stage, vec![1, 2])?;
    stage.send(0, load.announce)?;
    // The phase ends with its routes, not with quiet: the listings go on.
    let loaded = phase.reach(|peer| peer.table().present == prefixes);
    let listed = lister.stop()?;
    loaded?;
    let lister = Lister::start(socket.clone())?;
    let last = lister.stop()?;
    let mut row = phase.end("hold", |peer| peer.table().present == prefixes)?;
    ensure!(last.rows >= u64::from(prefixes), "the last listing had {} rows", last.rows);
    let silence = stage.peers.iter().map(|peer| peer.table().longest_silence).max().unwrap_or_default();
    ensure!(silence < Duration::from_secs(u64::from(HOLD_TIME)), "a peer heard nothing for {silence:?}");
    let flaps = listing::flaps(&socket)?;
    ensure!(flaps == 0 && stage.peers.iter().all(|peer| !peer.has_ended()), "{flaps} sessions were lost");
    row.ideal_updates = stage.peers[1..].iter().map(|peer| peer.table().sets() as u64).sum();
    row.note = format!(
        "{} listings meanwhile, longest silence {:.2} s",
        listed.times + last.times,
        silence.as_secs_f64()
    );
    Ok(vec![row])
}
