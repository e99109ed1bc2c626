//! `cargo xtask setup`: installs what is missing on a Debian machine and says what and how long. A second run does nothing.

pub mod cnitool;
pub mod deny;
pub mod kube;
mod packages;

use crate::source::root;
use anyhow::{Result, bail};
use e2e::progress::{Step, say};

/// Install what is missing: Debian packages, the BPF linker, the lab's Kubernetes.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Only say what is missing; non-zero if something is.
    #[arg(long)]
    check: bool,
}

/// Runs the task.
pub fn run(args: &Args) -> Result<()> {
    let missing = packages::missing()?;
    let kube = kube::Kube::of(&root())?;
    if args.check {
        return check(&missing, &kube);
    }
    if missing.is_empty() {
        say("Debian packages: all there");
    } else {
        say(&format!("installing {} Debian packages (1 to 5 minutes): {}", missing.len(), missing.join(" ")));
        let step = Step::start("Debian packages");
        packages::install(&missing)?;
        step.done("installed");
    }
    crate::build_ebpf::ensure_linker()?;
    deny::ensure()?;
    cnitool::ensure()?;
    kube.ensure().map(drop)
}

fn check(missing: &[&str], kube: &kube::Kube) -> Result<()> {
    if missing.is_empty() && kube.is_built() {
        say("nothing is missing");
        return Ok(());
    }
    let kubernetes = if kube.is_built() { "" } else { " the lab's Kubernetes" };
    bail!("missing: {}{kubernetes}; run `cargo xtask setup`", missing.join(" "));
}
