//! Node agent: reads the command line, runs, and turns an error into an exit code.

use std::process::ExitCode;

use clap::Parser;
use sart_agent::agent;
use sart_agent::cli::{Args, Command, UninstallArgs};
use sart_agent::cni::Installer;
use sart_agent::settings::Settings;
use tokio::runtime::Builder;
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
    if let Some(Command::UninstallCni(places)) = args.command {
        return uninstall(places);
    }
    let settings = Settings::resolve(args, |name| std::env::var(name).ok())?;
    info!(version = env!("CARGO_PKG_VERSION"), node = settings.node, "sart-agent starts");
    // From a watch event to the order at the speaker everything runs on one thread: handing it on wakes nobody up. What
    // that path does not need has a thread of its own, and cannot hold it up.
    let background = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(agent::run(settings, background.handle()));
    // The dataplane's thread may sit in a system call; what it holds is pinned in the kernel.
    runtime.shutdown_background();
    background.shutdown_background();
    Ok(result?)
}

/// Nothing is asked of a running agent or of the API server: what is left are files.
fn uninstall(places: UninstallArgs) -> anyhow::Result<()> {
    let UninstallArgs { binaries, configurations } = places;
    let removed = Installer { binaries, configurations, ..Installer::default() }.remove()?;
    for path in &removed {
        info!(path = %path.display(), "removed");
    }
    info!(files = removed.len(), "the runtime does not know the CNI plugin any more");
    Ok(())
}
