//! The sart-bgpd daemon.

use std::process::ExitCode;

use clap::Parser as _;
use sart_bgpd::bgpd::{allocator, args::Args, daemon};

// One thread: a single task owns the speaker, and the others only move bytes.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    // Nothing is open yet, not even a thread: the process may be replaced.
    let allocator = allocator::settle();
    daemon::run(args, allocator).await
}
