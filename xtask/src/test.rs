//! `cargo xtask test`: every gate in order, each timed, none skipped in silence. Ends non-zero if one failed and says
//! which; it never repairs anything.

use std::time::{Duration, Instant};

use crate::run::{checked, checked_within, command};
use crate::source::{root, say};
use crate::{build_ebpf, defects, demo, deps, fuzz, r#gen, image, lab, setup, shape};

/// What to run of the gates.
#[derive(clap::Args)]
pub struct Args {
    /// Only these gates (repeatable); without it all of them, in order.
    #[arg(long = "only", value_name = "GATE", value_parser = gate_names())]
    only: Vec<String>,
}

/// One gate: its name on the command line and what it runs.
struct Gate {
    name: &'static str,
    run: fn() -> anyhow::Result<()>,
}

/// Ten times what the tests take on a quiet machine of two cores, builds included.
const UNIT_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Cheap and telling ones first; what needs the lab last.
const GATES: &[Gate] = &[
    Gate { name: "setup", run: || setup::run(&setup::Args::default()) },
    Gate { name: "fmt", run: || checked(&mut command("cargo", &["fmt", "--all", "--check"])) },
    Gate { name: "shape", run: shape::run },
    Gate { name: "deps", run: deps::run },
    Gate { name: "defects", run: defects::check },
    Gate { name: "deny", run: deny },
    Gate { name: "build-ebpf", run: build_ebpf::run },
    Gate { name: "gen", run: || r#gen::run(true) },
    Gate { name: "clippy", run: clippy },
    Gate { name: "unit", run: unit },
    Gate { name: "fuzz", run: || fuzz::run(&fuzz::Args::default()) },
    Gate { name: "image", run: || image::run(&image::Args::default()) },
    Gate { name: "lab-clean", run: lab::check_clean },
    Gate { name: "lab", run: || on_a_lab(false, &[]) },
    Gate { name: "lab-pods", run: || on_a_lab(true, &e2e::trials::of_pods()) },
];

/// Runs the gates; the closing line counts them.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let chosen =
        GATES.iter().filter(|gate| args.only.is_empty() || args.only.iter().any(|only| only == gate.name));
    let mut results: Vec<(&str, Duration, Option<anyhow::Error>)> = Vec::new();
    for gate in chosen {
        say(&format!("== {} ==", gate.name));
        let started = Instant::now();
        let error = (gate.run)().err();
        if let Some(error) = &error {
            say(&format!("== {} failed: {error:#}", gate.name));
        }
        results.push((gate.name, started.elapsed(), error));
    }
    report(&results)
}

fn report(results: &[(&str, Duration, Option<anyhow::Error>)]) -> anyhow::Result<()> {
    say("gate          seconds  result");
    for (name, took, error) in results {
        let verdict =
            error.as_ref().map_or_else(|| "passed".to_owned(), |error| format!("FAILED: {error:#}"));
        say(&format!("{name:<12} {:>8.1}  {verdict}", took.as_secs_f64()));
    }
    let failed = results.iter().filter(|(_, _, error)| error.is_some()).count();
    say(&format!("{} passed, {failed} failed", results.len() - failed));
    anyhow::ensure!(failed == 0, "{failed} gate(s) failed");
    Ok(())
}

fn gate_names() -> clap::builder::PossibleValuesParser {
    GATES.iter().map(|gate| gate.name).collect::<Vec<_>>().into()
}

/// Advisories need a database that is fetched from outside the package registries, so they are checked where that is
/// reachable (`cargo deny check advisories`), not here.
fn deny() -> anyhow::Result<()> {
    let tool = setup::deny::path()?.to_string_lossy().into_owned();
    checked(&mut command(&tool, &["--log-level", "error", "check", "bans", "licenses", "sources"]))
}

fn clippy() -> anyhow::Result<()> {
    checked(&mut command(
        "cargo",
        &["clippy", "--workspace", "--exclude", "sart-ebpf", "--all-targets", "--", "-D", "warnings"],
    ))
}

/// Unit, property, packet, namespace and API-server tests. `SART_REQUIRE_ALL` turns the skip of a test that lacks a
/// prerequisite into a failure: here everything has been set up.
fn unit() -> anyhow::Result<()> {
    checked_within(
        command("cargo", &["test", "--workspace", "--exclude", "sart-ebpf", "--no-fail-fast"])
            .env("SART_REQUIRE_ALL", "1")
            .env("SART_KUBE", setup::kube::Kube::of(&root())?.ensure()?)
            .env("SART_CNITOOL", setup::cnitool::ensure()?),
        UNIT_LIMIT,
    )
}

/// The demo's checks, then trials on the same lab (all that it is made for if none is named). The lab goes whatever came
/// of them.
fn on_a_lab(dual: bool, trials: &[String]) -> anyhow::Result<()> {
    let shown = demo::run(&demo::Args::kept(dual)).and_then(|()| lab::trials(trials));
    lab::down()?;
    shown
}
