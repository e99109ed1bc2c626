//! `cargo xtask`: every task of the house behind one command. Parses the command line and dispatches; decides nothing.

mod defects;
mod deps;
mod run;
mod shape;
mod source;

use clap::{Parser, Subcommand};

/// Tasks of the sart tree: install what is missing, build, generate, prove.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Print the function and file budgets; fail on a breach without a recorded reason.
    Shape,
    /// Put each known defect back as a patch and demand that its regression test turns red.
    Defects(defects::Args),
    /// Check the direction of dependencies between crates and modules.
    Deps,
}

fn main() -> std::process::ExitCode {
    match dispatch(Cli::parse().task) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            source::complain(&format!("error: {error:#}"));
            std::process::ExitCode::FAILURE
        }
    }
}

fn dispatch(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Shape => shape::run(),
        Task::Defects(args) => defects::run(&args),
        Task::Deps => deps::run(),
    }
}
