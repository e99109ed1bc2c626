//! The CNI plugin: reads what the runtime says, hands it to the node agent, and prints one document. Standard output
//! carries that document or nothing; the pod network itself is made by the agent.

mod agent;
mod forwarding;
mod front;
mod input;
mod sandbox;

use std::io::Write as _;
use std::process::ExitCode;

use sart_cni::environment::{self, Asked};
use sart_cni::{Failure, Version, failure::code, version};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let failure = Failure::detailed(code::UNTYPED, "sart-cni panicked", panic.to_string());
        print(&failure.document(Version::NEWEST.text()));
        std::process::exit(1);
    }));
    match environment::read(&|name| std::env::var(name).ok()) {
        Ok(Asked::About) => {
            about();
            ExitCode::SUCCESS
        }
        // Standard input is not read: a runtime may leave it open.
        Ok(Asked::Version) => print(&version::document()),
        Ok(Asked::Work(environment)) => {
            let (version, outcome) = front::run(&environment);
            match outcome {
                Ok(None) => ExitCode::SUCCESS,
                Ok(Some(document)) => print(&document),
                Err(failure) => fail(&failure, version),
            }
        }
        Err(failure) => fail(&failure, Version::NEWEST.text()),
    }
}

fn fail(failure: &Failure, version: &str) -> ExitCode {
    print(&failure.document(version));
    ExitCode::FAILURE
}

fn print(document: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{document}").and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn about() {
    let versions = Version::ALL.map(Version::text).join(", ");
    let text = format!("sart-cni {}: CNI plugin of sart, for CNI {versions}\n", env!("CARGO_PKG_VERSION"));
    // Whoever closed standard error does not want to know.
    drop(std::io::stderr().write_all(text.as_bytes()));
}
