//! The table for people, the JSON for machines and the picture, from all rows. States the targets and whether they were met.

use std::io::Write as _;
use std::path::Path;

use e2e::figures::{all_met, publish};
use serde::Serialize;

use crate::figures::{Row, Spread};
use crate::subject::Kind;
use crate::svg;

/// One speaker in one phase, over all runs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) case: String,
    pub(crate) subject: String,
    pub(crate) runs: usize,
    pub(crate) failed: usize,
    pub(crate) cpu_seconds: Spread,
    pub(crate) wall_seconds: Spread,
    pub(crate) resident_mb: Spread,
    pub(crate) peak_mb: Spread,
    pub(crate) updates: Spread,
    pub(crate) updates_over_ideal: Spread,
    pub(crate) foreign_cpu_seconds: Spread,
}

/// What one figure of ours is held against.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) ours: f64,
    pub(crate) limit: f64,
    pub(crate) met: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    scale: u32,
    lines: &'a [Line],
    verdicts: &'a [Verdict],
    rows: &'a [Row],
}

/// How a figure of ours is judged.
enum Limit {
    /// At most this.
    Absolute(f64),
    /// At most this many times BIRD's figure of the same run.
    OfBird(f64),
}

type Figure = fn(&Line) -> f64;

/// The prefixes that the targets are set for. With fewer, what a process holds at its start outweighs what it holds of them,
/// so that such a run is told its figures and not judged.
pub(crate) const FULL_SCALE: u32 = 1_000_000;

/// (case, what, figure, limit): the targets of the speaker's speed.
const TARGETS: [(&str, &str, Figure, Limit); 11] = [
    ("load", "cpu", |line| line.cpu_seconds.median, Limit::OfBird(0.5)),
    ("load", "rss", |line| line.resident_mb.median, Limit::OfBird(1.0)),
    ("load", "updates over ideal", |line| line.updates_over_ideal.median, Limit::Absolute(1.05)),
    ("merge", "cpu", |line| line.cpu_seconds.median, Limit::OfBird(0.4)),
    ("merge", "rss", |line| line.resident_mb.median, Limit::OfBird(0.6)),
    ("failover", "wall", |line| line.wall_seconds.median, Limit::OfBird(0.2)),
    ("failover", "cpu", |line| line.cpu_seconds.median, Limit::OfBird(0.2)),
    ("failover", "updates over ideal", |line| line.updates_over_ideal.median, Limit::Absolute(1.05)),
    ("fan", "cpu", |line| line.cpu_seconds.median, Limit::OfBird(0.6)),
    ("idle", "rss MB", |line| line.resident_mb.median, Limit::Absolute(12.0)),
    ("mesh", "peak rss MB", |line| line.peak_mb.median, Limit::Absolute(30.0)),
];

/// Prints the table and writes `bgp.txt`, `bgp.json` and `bgp.svg` into the folder; an error if a run failed that a target
/// needs, or if a target is missed.
pub(crate) fn write(rows: &[Row], scale: u32, out: &Path) -> anyhow::Result<()> {
    let lines = lines(rows);
    let verdicts = verdicts(&lines);
    let text = table(&lines, &verdicts, scale);
    std::fs::write(out.join("bgp.txt"), &text)?;
    let report = Report { scale, lines: &lines, verdicts: &verdicts, rows };
    publish(out, "bgp", &report, (&text, &svg::draw(&lines, scale)))?;
    judge(rows, &verdicts, scale)
}

fn judge(rows: &[Row], verdicts: &[Verdict], scale: u32) -> anyhow::Result<()> {
    let counts = |row: &&Row| [Kind::Sart, Kind::Bird].iter().any(|kind| kind.name() == row.subject);
    let failed = rows.iter().filter(counts).filter(|row| row.error.is_some()).count();
    anyhow::ensure!(failed == 0, "{failed} runs failed of our speaker or of BIRD, its measure");
    let missed = verdicts.iter().filter(|verdict| scale >= FULL_SCALE && !verdict.met);
    all_met(&missed.map(|verdict| verdict.what.as_str()).collect::<Vec<_>>())
}

/// A line for who watches, which is not part of the report.
pub(crate) fn progress(line: &str) {
    // A closed pipe is the reader's choice.
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn lines(rows: &[Row]) -> Vec<Line> {
    let mut keys: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        let key = (row.case.as_str(), row.subject.as_str());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    // Speakers of one phase stand together, phases in the order they were run.
    let cases: Vec<&str> = keys.iter().map(|(case, _)| *case).collect();
    keys.sort_by_key(|(case, _)| cases.iter().position(|known| known == case));
    keys.into_iter().map(|(case, subject)| line(rows, case, subject)).collect()
}

fn line(rows: &[Row], case: &str, subject: &str) -> Line {
    let all: Vec<&Row> = rows.iter().filter(|row| row.case == case && row.subject == subject).collect();
    let good: Vec<&Row> = all.iter().copied().filter(|row| row.error.is_none()).collect();
    let of = |figure: fn(&Row) -> f64| Spread::of(good.iter().map(|row| figure(row)));
    Line {
        case: case.to_owned(),
        subject: subject.to_owned(),
        runs: good.len(),
        failed: all.len() - good.len(),
        cpu_seconds: of(|row| row.cpu_seconds),
        wall_seconds: of(|row| row.wall_seconds),
        resident_mb: of(|row| row.resident_mb),
        peak_mb: of(|row| row.peak_mb),
        updates: of(|row| row.updates as f64),
        updates_over_ideal: of(|row| row.updates as f64 / row.ideal_updates.max(1) as f64),
        foreign_cpu_seconds: of(|row| row.foreign_cpu_seconds),
    }
}

fn verdicts(lines: &[Line]) -> Vec<Verdict> {
    let find = |case: &str, kind: Kind| {
        lines.iter().find(|line| line.case == case && line.subject == kind.name() && line.runs > 0)
    };
    let judge = |(case, what, figure, limit): &(&str, &str, Figure, Limit)| {
        let ours = figure(find(case, Kind::Sart)?);
        let (limit, of) = match limit {
            Limit::Absolute(limit) => (*limit, String::new()),
            Limit::OfBird(times) => (times * figure(find(case, Kind::Bird)?), format!(" ({times} x BIRD)")),
        };
        Some(Verdict { what: format!("{case}: {what}{of}"), ours, limit, met: ours <= limit })
    };
    TARGETS.iter().filter_map(judge).collect()
}

fn table(lines: &[Line], verdicts: &[Verdict], scale: u32) -> String {
    let mut text = format!(
        "{scale} prefixes; median (lowest to highest) of the runs; foreign cpu is what others used meanwhile\n\
         case       speaker  runs  cpu s                wall s               rss MB   peak MB  updates    /ideal  foreign cpu s\n"
    );
    for line in lines {
        let spread = |s: Spread| format!("{:.2} ({:.2} to {:.2})", s.median, s.low, s.high);
        text.push_str(&format!(
            "{:<10} {:<7} {:>5}  {:<20} {:<20} {:>7.1} {:>8.1} {:>9.0} {:>8.3} {:>10.1}{}\n",
            line.case,
            line.subject,
            line.runs,
            spread(line.cpu_seconds),
            spread(line.wall_seconds),
            line.resident_mb.median,
            line.peak_mb.median,
            line.updates.median,
            line.updates_over_ideal.median,
            line.foreign_cpu_seconds.median,
            if line.failed > 0 { format!("  {} FAILED", line.failed) } else { String::new() },
        ));
    }
    if !verdicts.is_empty() {
        let title = format!("target (of {FULL_SCALE} prefixes)");
        text.push_str(&format!("\n{title:<32} {:>8} {:>10}  met\n", "ours", "limit"));
    }
    for verdict in verdicts {
        let met = if verdict.met { "yes" } else { "NO" };
        text.push_str(&format!(
            "{:<32} {:>8.2} {:>10.2}  {met}\n",
            verdict.what, verdict.ours, verdict.limit
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{FULL_SCALE, judge, lines, verdicts};
    use crate::figures::Row;

    fn row(case: &str, subject: &str, cpu_seconds: f64) -> Row {
        Row { case: case.into(), subject: subject.into(), cpu_seconds, ..Row::default() }
    }

    #[test]
    fn ours_is_held_against_birds_figure_of_the_same_run() {
        let rows = [
            row("load", "sart", 0.6),
            row("load", "bird", 1.0),
            row("fan", "sart", 1.0),
            row("fan", "bird", 2.0),
        ];
        let judged = verdicts(&lines(&rows));
        let cpu: Vec<_> =
            judged.iter().filter(|v| v.what.contains("cpu")).map(|v| (v.limit, v.met)).collect();
        assert_eq!(cpu, [(0.5, false), (1.2, true)]);
    }

    #[test]
    fn a_missed_target_ends_a_run_at_full_scale_and_only_there() {
        let judged = |rows: &[Row], scale| judge(rows, &verdicts(&lines(rows)), scale);
        let fast = [row("load", "sart", 0.5), row("load", "bird", 1.0)];
        let slow = [row("load", "sart", 0.6), row("load", "bird", 1.0)];
        judged(&fast, FULL_SCALE).unwrap();
        judged(&slow, FULL_SCALE / 10).unwrap();
        let error = judged(&slow, FULL_SCALE).unwrap_err();
        assert_eq!(error.to_string(), "above target: load: cpu (0.5 x BIRD)");
    }

    #[test]
    fn a_failed_run_ends_it_if_a_target_needs_it() {
        let with_failed = |subject: &str| {
            let failed = Row { error: Some("lost".into()), ..row("load", subject, 0.0) };
            judge(&[row("load", "sart", 1.0), failed], &[], 1)
        };
        assert!(with_failed("sart").is_err() && with_failed("bird").is_err());
        with_failed("frr").unwrap();
    }

    #[test]
    fn a_failed_run_counts_as_failed_and_spoils_no_figure() {
        let failed = Row { error: Some("lost".into()), ..row("load", "sart", 0.0) };
        let lines = lines(&[row("load", "sart", 2.0), failed]);
        assert_eq!((lines[0].runs, lines[0].failed), (1, 1));
        assert!((lines[0].cpu_seconds.low - 2.0).abs() < 1e-9);
    }
}
