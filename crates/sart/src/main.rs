//! The sart command line: asks the daemons and prints what they say. Must never touch a daemon's state behind its API.

mod args;
mod bgp;
mod fib;
mod output;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use self::args::{Args, Command};

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
    let text = match args.command {
        Command::Bgp(bgp) => bgp::run(bgp, args.output).await?,
        Command::Fib(fib) => fib::run(fib, args.output).await?,
    };
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // `sart … | head` is no error.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the output"),
    }
}
