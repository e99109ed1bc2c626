//! Feeds mutated messages to the targets, from a seed, and measures what each allocates. Ends non-zero at the first
//! message that breaks a property or the bound, and prints it so that it can be fed again.

use std::alloc::System;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use sart_bgp::wire::update::Scratch;
use sart_bgp_fuzz::mutate::Mutator;
use sart_bgp_fuzz::targets::MAX_ALLOCATED;
use sart_bgp_fuzz::{Target, seeds};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Longest message fed.
const MAX_LEN: usize = 4608;

/// Feeds mutated messages to the BGP codec and speaker.
#[derive(Parser)]
struct Args {
    /// How many messages, over all targets.
    #[arg(long, default_value_t = 100_000)]
    runs: u64,
    /// Only this target (repeatable): open, update, notification, refresh, stream, session.
    #[arg(long = "target")]
    targets: Vec<Target>,
    /// Where the stream of mutations begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the seeds into folders below this one, for the guided fuzzer, and feed nothing.
    #[arg(long, value_name = "FOLDER")]
    write_seeds: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let targets = if args.targets.is_empty() { Target::ALL.to_vec() } else { args.targets };
    if let Some(folder) = args.write_seeds {
        return targets.into_iter().try_for_each(|target| write_seeds(target, &folder.join(target.name())));
    }
    let weights: u64 = targets.iter().map(|target| weight(*target)).sum();
    for target in &targets {
        feed(*target, args.runs * weight(*target) / weights, args.seed)?;
    }
    Ok(())
}

/// Where the bugs would be, and what a run costs.
const fn weight(target: Target) -> u64 {
    match target {
        Target::Update => 60,
        Target::Open => 16,
        Target::Stream => 10,
        Target::Notification => 8,
        Target::Refresh => 5,
        Target::Session => 1,
    }
}

fn write_seeds(target: Target, folder: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    for (index, seed) in seeds::seeds(target).iter().enumerate() {
        let file = folder.join(format!("seed-{index:03}"));
        std::fs::write(&file, seed).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

thread_local! {
    /// The message being fed, for whoever reports that it broke something.
    static CURRENT: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn feed(target: Target, runs: u64, seed: u64) -> anyhow::Result<()> {
    let seeds = seeds::seeds(target);
    let mut mutator = Mutator::new(seed);
    let started = Instant::now();
    report_panics(target);
    let mut most = 0;
    let mut scratch = Scratch::default();
    for run in 0..runs {
        let (from, other) = (mutator.below(seeds.len()), mutator.below(seeds.len()));
        let (from, other) = (seeds.get(from), seeds.get(other));
        CURRENT.with_borrow_mut(|message| {
            mutator.mutate(from.map_or(&[], Vec::as_slice), other.map_or(&[], Vec::as_slice), message);
            message.truncate(MAX_LEN);
        });
        let allocated = CURRENT.with_borrow(|message| {
            let region = Region::new(ALLOCATOR);
            target.read(message, &mut scratch);
            let allocated = region.change().bytes_allocated;
            target.run(message);
            allocated
        });
        most = most.max(allocated);
        anyhow::ensure!(
            allocated <= MAX_ALLOCATED,
            "{} allocates {allocated} octets in run {run} of seed {seed} for {}",
            target.name(),
            CURRENT.with_borrow(|message| hex(message))
        );
    }
    let seconds = started.elapsed().as_secs_f64();
    let line = format!(
        "{:<12} {runs:>11} messages {seconds:>8.1} s {:>9.0} per second, at most {most} octets allocated",
        target.name(),
        runs as f64 / seconds.max(0.001),
    );
    writeln!(std::io::stdout().lock(), "{line}").context("print the result")
}

/// A broken property is a panic, and the message that broke it must not be lost with it.
fn report_panics(target: Target) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        let message = CURRENT.try_with(|message| message.try_borrow().map(|bytes| hex(&bytes)));
        let message = message.ok().and_then(Result::ok).unwrap_or_default();
        // Nothing is left to do if even this cannot be printed.
        let _ = writeln!(std::io::stderr().lock(), "{} broke by {message}", target.name());
    }));
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
