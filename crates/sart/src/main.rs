//! The sart command line: asks the daemons and prints what they say. Must never touch a daemon's state behind its API.

mod args;
mod bgp;
mod cni;
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
        Ok(code) => code,
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

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut out = Out;
    let text = match args.command {
        Command::Bgp(bgp) => {
            return bgp::run(bgp, args.output, &mut out).await.map(|()| ExitCode::SUCCESS);
        }
        Command::Fib(fib) => fib::run(fib, args.output).await?,
        Command::Ipam(ipam) => ipam::run(ipam, args.output).await?,
        Command::Cni(cni) => {
            let (text, agrees) = cni::run(cni, args.output).await?;
            out.put(&text)?;
            return Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::from(cni::DIFFERS) });
        }
    };
    out.put(&text).map(|_| ExitCode::SUCCESS)
}
