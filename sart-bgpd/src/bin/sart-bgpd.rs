//! The sart-bgpd daemon.

use std::process::ExitCode;

use clap::Parser as _;
use sart_bgpd::bgpd::{args::Args, daemon};

// One thread: a single task owns the speaker, and the others only move bytes.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    daemon::run(Args::parse()).await
}
