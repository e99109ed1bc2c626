//! `cargo xtask demo`: the guided tour of the main job on the lab. Builds what it needs, runs the checks, prints the table.

use crate::image::{self, Name, Profile};
use crate::{lab, setup};
use anyhow::{Context as _, Result, bail};
use e2e::demo::{Options, run as run_demo};
use e2e::lab::topology::PodNetwork;
use std::io::Write as _;

/// Bring a cluster up, install sart, apply the samples, and check every step from the API server to the client.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave the lab up afterwards.
    #[arg(long)]
    keep: bool,
    /// Kubernetes nodes, the control plane among them.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=50))]
    nodes: u8,
    /// sart gives pods their network too; otherwise the lab does, and sart serves virtual addresses only.
    #[arg(long)]
    dual: bool,
    /// Images that are quicker to build and slower to run.
    #[arg(long)]
    debug: bool,
    /// Only the checks whose name contains this (repeatable), on the lab as it is: nothing is built or loaded.
    #[arg(long)]
    only: Vec<String>,
}

impl Args {
    /// The whole demo on a lab of the usual size, which stays up.
    pub fn kept(dual: bool) -> Self {
        Self { keep: true, nodes: 4, dual, debug: false, only: Vec::new() }
    }
}

/// Who gives pods their network.
pub fn pods(dual: bool) -> PodNetwork {
    if dual { PodNetwork::Sart } else { PodNetwork::Lab }
}

/// Runs the task.
pub fn run(args: &Args) -> Result<()> {
    setup::run(&setup::Args::default())?;
    let profile = if args.debug { Profile::Debug } else { Profile::Release };
    let images = if args.only.is_empty() { image::build(&Name::ALL, profile)? } else { Vec::new() };
    let options = Options {
        layout: lab::layout(),
        lab: e2e::lab::Options { pods: pods(args.dual), ..lab::options(args.nodes, profile)? },
        images,
        workspace: crate::source::root(),
        keep: args.keep,
        only: args.only.clone(),
    };
    let report = run_demo(&options)?;
    writeln!(std::io::stdout().lock(), "\n{report}").context("cannot print")?;
    if report.passed() { Ok(()) } else { bail!("the demo failed; see the table") }
}
