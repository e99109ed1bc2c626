//! cargo-deny, built once into the user's cache and reused from there.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use e2e::exec;
use e2e::progress::{Step, say};

use crate::cache::cache;

const VERSION: &str = "0.20.2";

/// Where the program is, built or not.
pub fn path() -> Result<PathBuf> {
    Ok(cache()?.join("tools/bin/cargo-deny"))
}

/// Builds it if need be.
pub fn ensure() -> Result<()> {
    let path = path()?;
    if exec::stdout(Command::new(&path).arg("--version")).is_ok_and(|said| said.contains(VERSION)) {
        say(&format!("cargo-deny: {}", path.display()));
        return Ok(());
    }
    say("building cargo-deny (3 minutes)");
    let step = Step::start("cargo-deny");
    let mut install = Command::new("cargo");
    install.args(["install", "--quiet", "--locked", "--no-default-features", "--version", VERSION, "--root"]);
    install.arg(cache()?.join("tools")).arg("cargo-deny");
    exec::run(&mut install).context("cargo-deny does not build")?;
    step.done("installed");
    Ok(())
}
