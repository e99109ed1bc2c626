//! Node agent: reads the command line, runs, and turns an error into an exit code.

use std::process::ExitCode;

use clap::Parser;
use sart_agent::agent;
use sart_agent::cli::Args;
use sart_agent::settings::Settings;
use tracing::{error, info};

fn main() -> ExitCode {
    let args = Args::parse();
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may be what failed, so the error goes to standard error as well as to the log.
            error!(%error, "sart-agent ends");
            drop(std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("sart-agent: {error:#}\n").as_bytes(),
            ));
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> anyhow::Result<()> {
    sart_telemetry::logs::init(&args.log_options())?;
    let settings = Settings::resolve(args, |name| std::env::var(name).ok())?;
    info!(version = env!("CARGO_PKG_VERSION"), node = settings.node, "sart-agent starts");
    // Two threads: the engine and its executors never wait for the many watches, whatever the number of processors.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(agent::run(settings));
    // The dataplane's thread may sit in a system call; what it holds is pinned in the kernel.
    runtime.shutdown_background();
    Ok(result?)
}
