//! Proves that a lab leaves nothing behind: after `down`, after an `up` killed half-way, the machine holds what it held before.

use crate::Lab;
use crate::inventory::{difference, take};
use crate::lab::layout::Layout;
use crate::lab::{self, Options};
use crate::progress::say;
use crate::wait::{Patience, until};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many times an `up` is killed, each at a random moment of another stretch of its course.
const KILLS: u32 = 3;

/// Brings a lab up and down, then kills three half-way with SIGKILL, and compares the machine each time.
///
/// # Errors
/// If something is left behind, or a lab that is up already would be lost.
pub fn check(layout: &Layout, options: &Options) -> Result<()> {
    if Lab::find(layout).is_ok() {
        bail!("a lab is up; `lab down` first: this check removes it");
    }
    lab::down(layout)?;
    let before = take(layout.target());
    let started = Instant::now();
    Lab::up(layout, options)?;
    let course = started.elapsed();
    lab::down(layout)?;
    compare("up and down", layout, &before)?;
    for stretch in 0..KILLS {
        let moment = (course * stretch + course.mul_f64(chance())) / KILLS;
        kill_half_way(layout, moment)?;
        lab::down(layout)?;
        compare(&format!("up killed after {} ms, and down", moment.as_millis()), layout, &before)?;
    }
    Ok(())
}

/// A number from 0 to 1 that differs from run to run.
fn chance() -> f64 {
    use std::hash::BuildHasher as _;
    let hash = std::hash::RandomState::new().hash_one(0);
    f64::from(u32::try_from(hash % 1000).unwrap_or_default()) / 1000.0
}

fn compare(what: &str, layout: &Layout, before: &BTreeSet<String>) -> Result<()> {
    // The kernel frees namespaces and BPF objects a moment after their last user has gone.
    until(
        what,
        Patience { limit: Duration::from_secs(10), pause: Duration::from_millis(500), in_a_row: 1 },
        || {
            let lines = difference(before, &take(layout.target()));
            if lines.is_empty() {
                Ok(())
            } else {
                bail!("the machine is not what it was:\n{}", lines.join("\n"))
            }
        },
    )?;
    say(&format!("clean after {what}: {} things, none more, none less", before.len()));
    Ok(())
}

/// Runs this program's own `lab up` and kills it, and only it, without a chance to clean up.
fn kill_half_way(layout: &Layout, moment: Duration) -> Result<()> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program)
        .args(["lab", "up", "--nodes", "2"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start `lab up`")?;
    // Counted from its first file, not from the build of what it needs.
    until(
        "start of `lab up`",
        Patience { limit: Duration::from_secs(120), pause: Duration::from_millis(10), in_a_row: 1 },
        || {
            if layout.root().exists() { Ok(()) } else { bail!("it has not begun") }
        },
    )?;
    std::thread::sleep(moment);
    child.kill().context("cannot kill `lab up`")?;
    child.wait().context("lost `lab up`")?;
    Ok(())
}
