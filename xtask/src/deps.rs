//! Checks that arrows between crates point down the layers of ARCHITECTURE.md, that pure crates pull in no runtime, and
//! that no modules of a crate form a circle. Reads cargo's own metadata and the sources; changes nothing.

mod crates;
mod modules;

use crate::source::say;

/// Prints what was checked and fails with every breach named.
pub fn run() -> anyhow::Result<()> {
    let mut breaches = crates::breaches()?;
    breaches.extend(modules::breaches()?);
    for breach in &breaches {
        say(&format!("breach: {breach}"));
    }
    anyhow::ensure!(breaches.is_empty(), "{} breach(es) of the layers", breaches.len());
    say("deps: layers hold, pure crates are pure, no circle between modules");
    Ok(())
}
