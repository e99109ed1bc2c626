//! `cargo xtask fuzz`: builds the fuzzers of the BGP codec and speaker and runs them. Decides how long and on what;
//! what must hold is in `crates/sart-bgp/fuzz`.

use std::time::Duration;

use crate::run::{checked, checked_within, command, output};
use crate::source::{root, say};

/// How much of what to feed.
#[derive(clap::Args)]
pub struct Args {
    /// How many mutated messages, over all targets.
    #[arg(long, default_value_t = RUNS)]
    runs: u64,
    /// Only this target (repeatable): open, update, notification, refresh, stream, session.
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// Where the stream of mutations begins; the same number gives the same messages.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Let coverage guide the mutations (libFuzzer) for this many seconds per target, instead of counting runs. Findings
    /// and the grown corpus stay in `target/fuzz`.
    #[arg(long, value_name = "SECONDS")]
    guided: Option<u64>,
}

/// What every change is tested with.
const RUNS: u64 = 10_000_000;
/// Many times what [`RUNS`] take on a busy machine: a message that makes the codec spin must fail.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// Ten million runs get [`LIMIT`], more runs get more.
const RUNS_PER_LIMIT: u64 = RUNS;
/// Every target, for the guided fuzzer, which has one at a time.
const TARGETS: [&str; 6] = ["open", "update", "notification", "refresh", "stream", "session"];
/// What libFuzzer needs of the compiler: counters of edges, and comparisons traced.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

impl Default for Args {
    fn default() -> Self {
        Self { runs: RUNS, targets: Vec::new(), seed: 1, guided: None }
    }
}

/// Runs the fuzzer that is asked for.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let unknown = args.targets.iter().find(|target| !TARGETS.contains(&target.as_str()));
    anyhow::ensure!(unknown.is_none(), "no target {unknown:?}; there are {}", TARGETS.join(", "));
    match args.guided {
        Some(seconds) => guided(args, seconds),
        None => mutate(args),
    }
}

fn mutate(args: &Args) -> anyhow::Result<()> {
    build_mutator()?;
    let mut command = mutator();
    command.args(["--runs", &args.runs.to_string(), "--seed", &args.seed.to_string()]);
    for target in &args.targets {
        command.args(["--target", target]);
    }
    let limits = u32::try_from(args.runs.div_ceil(RUNS_PER_LIMIT)).unwrap_or(u32::MAX);
    checked_within(&mut command, LIMIT.saturating_mul(limits))
}

fn build_mutator() -> anyhow::Result<()> {
    checked(&mut command(
        "cargo",
        &["build", "--quiet", "--profile", "fuzz", "--package", "sart-bgp-fuzz", "--bin", "mutate"],
    ))
}

fn mutator() -> std::process::Command {
    command(
        "cargo",
        &["run", "--quiet", "--profile", "fuzz", "--package", "sart-bgp-fuzz", "--bin", "mutate", "--"],
    )
}

/// The flags would instrument build scripts as well, which have no fuzzer to report to; naming the target keeps them
/// apart. `RUSTC_BOOTSTRAP` lets a stable compiler take what cargo-fuzz hands to a nightly one.
fn guided(args: &Args, seconds: u64) -> anyhow::Result<()> {
    let host = output(&mut command("rustc", &["--print", "host-tuple"]))?;
    let host = host.trim();
    let folder = root().join("target/fuzz");
    checked(mutator().args(["--write-seeds", &folder.join("seeds").to_string_lossy()]))?;
    let build = ["build", "--quiet", "--profile", "fuzz", "--package", "sart-bgp-fuzz", "--bin", "guided"];
    let chosen: Vec<&str> = if args.targets.is_empty() {
        TARGETS.to_vec()
    } else {
        args.targets.iter().map(String::as_str).collect()
    };
    let binaries = folder.join("build");
    checked(
        command("cargo", &build)
            .args(["--features", "guided", "--target", host, "--target-dir", &binaries.to_string_lossy()])
            .env("RUSTFLAGS", COVERAGE)
            .env("RUSTC_BOOTSTRAP", "1"),
    )?;
    let program = binaries.join(host).join("fuzz/guided").to_string_lossy().into_owned();
    for target in chosen {
        say(&format!("== {target}, {seconds} s =="));
        let corpus = folder.join("corpus").join(target);
        let findings = folder.join("findings");
        std::fs::create_dir_all(&corpus)?;
        std::fs::create_dir_all(&findings)?;
        let mut fuzzer = command(&program, &[]);
        fuzzer
            .arg(&corpus)
            .arg(folder.join("seeds").join(target))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/{target}-", findings.display()))
            .args([
                "-max_len=8192",
                "-timeout=5",
                "-rss_limit_mb=1024",
                "-print_final_stats=1",
                "-verbosity=0",
            ])
            .env("SART_FUZZ_TARGET", target);
        checked_within(&mut fuzzer, Duration::from_secs(seconds) + LIMIT)?;
    }
    Ok(())
}
