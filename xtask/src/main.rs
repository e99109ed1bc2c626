//! `cargo xtask`: every task of the house behind one command. Parses the command line and dispatches; decides nothing.

mod bench;
mod build_ebpf;
mod cache;
mod defects;
mod demo;
mod deps;
mod fuzz;
mod r#gen;
mod image;
mod lab;
mod run;
mod setup;
mod shape;
mod source;
mod test;

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
    /// Install what is missing: Debian packages, the BPF linker, the lab's Kubernetes.
    Setup(setup::Args),
    /// Write CRDs, RBAC and workload manifests from code; `--check` fails if they differ from what is committed.
    Gen {
        /// Compare only; exit non-zero when a committed file differs.
        #[arg(long)]
        check: bool,
    },
    /// Build the kernel programs: `target/bpf/sart-ebpf.o`, which the agent carries.
    BuildEbpf,
    /// Build the OCI archives `target/images/*.tar` from our own static binaries.
    Image(image::Args),
    /// A whole cluster, its routers and a client, in namespaces of this machine.
    Lab(lab::Args),
    /// Everything that must pass before a change lands.
    Test(test::Args),
    /// Measure on the real thing, beside the floor of the same run.
    Bench(bench::Args),
    /// Bring a cluster up, install sart, apply the samples, and check every step from the API server to the client.
    Demo(demo::Args),
    /// Feed mutated messages to the BGP codec and speaker; ends non-zero at the first that breaks a property.
    Fuzz(fuzz::Args),
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
        Task::Setup(args) => setup::run(&args),
        Task::Gen { check } => r#gen::run(check),
        Task::BuildEbpf => build_ebpf::run(),
        Task::Image(args) => image::run(&args),
        Task::Lab(args) => lab::run(args),
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Shape => shape::run(),
        Task::Defects(args) => defects::run(&args),
        Task::Deps => deps::run(),
    }
}
