//! The sart command line: asks the daemons and prints what they say. Must never touch a daemon's state behind its API.

mod args;
mod bgp;
mod fib;
mod ipam;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Args, Command};
use self::output::Out;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// One sentence, causes included.
#[expect(clippy::print_stderr, reason = "a command line tells its user")]
fn say(error: &anyhow::Error) {
    eprintln!("sart: {error:#}");
}

async fn run(args: Args) -> anyhow::Result<()> {
    let mut out = Out;
    match args.command {
        Command::Bgp(bgp) => bgp::run(bgp, args.output, &mut out).await,
        Command::Fib(fib) => {
            let text = fib::run(fib, args.output).await?;
            out.put(&text).map(|_| ())
        }
        Command::Ipam(ipam) => {
            let text = ipam::run(ipam, args.output).await?;
            out.put(&text).map(|_| ())
        }
    }
}
