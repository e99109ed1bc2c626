//! Puts the same loads on our speaker and on whichever of BIRD, FRR and GoBGP are here, in network namespaces of its own, and
//! reports what each cost. It judges only against the targets that the report names; it never leaves a process behind.

mod case;
mod figures;
mod listing;
mod phase;
mod report;
mod stage;
mod subject;
mod svg;
mod usage;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

use case::Case;
use figures::Row;
use subject::{Kind, Programs};

/// Prefixes at which GoBGP takes minutes a phase and is left out unless asked for by name.
const TOO_MANY_FOR_GOBGP: u32 = 200_000;

/// Measure the speaker beside others.
#[derive(Parser)]
struct Args {
    /// Our daemon, built for release.
    #[arg(long)]
    sart: PathBuf,
    /// Prefixes of the big loads.
    #[arg(long, default_value_t = report::FULL_SCALE)]
    scale: u32,
    /// Only these cases (repeatable).
    #[arg(long = "only", value_enum, value_name = "CASE")]
    only: Vec<Case>,
    /// Only these speakers, comma separated; without it all that are installed, GoBGP at small scales only.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Kind>,
    /// Runs of each case; the report shows the median and the spread.
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    /// Folder for bgp.json, bgp.txt and bgp.svg.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(reason) = sart_testkit::missing() {
        anyhow::bail!("cannot measure: {reason}");
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("make {}", args.out.display()))?;
    let programs = Programs { sart: args.sart.clone() };
    let mut rows = Vec::new();
    for case in cases(&args.only) {
        for repetition in 1..=args.repeat {
            for kind in subjects(&args, case) {
                rows.extend(once(case, kind, &programs, args.scale, repetition));
            }
        }
    }
    report::write(&rows, args.scale, &args.out)
}

fn cases(only: &[Case]) -> Vec<Case> {
    Case::ALL.into_iter().filter(|case| only.is_empty() || only.contains(case)).collect()
}

fn subjects(args: &Args, case: Case) -> Vec<Kind> {
    let chosen = |kind: &Kind| {
        if args.peers.is_empty() {
            kind.is_installed() && (*kind != Kind::Gobgp || case.prefixes(args.scale) <= TOO_MANY_FOR_GOBGP)
        } else {
            args.peers.contains(kind)
        }
    };
    Kind::ALL.into_iter().filter(chosen).filter(|kind| case.takes(*kind)).collect()
}

/// One run; a failure is a row too, so that the other figures still get out.
fn once(case: Case, kind: Kind, programs: &Programs, scale: u32, repetition: u32) -> Vec<Row> {
    report::progress(&format!("{} {}, run {repetition}", case.name(), kind.name()));
    let rows = case.run(kind, programs, scale).unwrap_or_else(|error| vec![Row::failed(case.name(), &error)]);
    let rows: Vec<Row> =
        rows.into_iter().map(|row| Row { subject: kind.name().into(), repetition, ..row }).collect();
    rows.iter().for_each(|row| report::progress(&row.line()));
    rows
}
