//! The sart-fibd daemon.

use std::process::ExitCode;

use clap::Parser;
use sart_bgpd::fibd::args::Args;
use sart_bgpd::fibd::daemon;
use sart_telemetry::logs::{self, LogOptions};

/// Wrong flags and wrong configuration end with 2, before anything is touched.
fn main() -> ExitCode {
    let args = Args::parse();
    let options = LogOptions { level: args.level.clone(), format: args.format, file: args.log_file.clone() };
    let config = match daemon::configuration(&args).and_then(|config| Ok((logs::init(&options)?, config))) {
        Ok(((), config)) => config,
        Err(error) => return fail(&error, 2),
    };
    // The work is one owner task and a few streams: one thread does it, and keeps the memory small.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(daemon::run(args, config)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

#[expect(clippy::print_stderr, reason = "logging may not be set up when this is needed")]
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("sart-fibd: {error:#}");
    ExitCode::from(code)
}
