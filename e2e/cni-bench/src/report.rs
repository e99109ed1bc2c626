//! Turns times into figures: a table for people, JSON for machines, an SVG. Judges by the targets of issue and brief.

use std::path::Path;
use std::time::Duration;

use e2e::figures::{Bar, all_met, bars, percentile, publish};
use serde::Serialize;

use crate::round::Times;

/// One figure of all contenders.
#[derive(Serialize)]
struct Figure {
    name: &'static str,
    rows: Vec<Row>,
    /// Ours over ptp's, at the median.
    p50_ratio_to_ptp: f64,
    target: Option<f64>,
    met: bool,
}

#[derive(Serialize)]
struct Row {
    contender: &'static str,
    samples: usize,
    p50_ms: f64,
    p99_ms: f64,
}

type Pick = fn(&Times) -> &[Duration];

/// Prints the table and writes `cni.json` and `cni.svg`; an error if a target is missed.
pub fn write(times: &[Times], out: &Path) -> anyhow::Result<()> {
    let kinds: [(&str, Pick, Option<f64>); 4] = [
        ("ADD", |times| &times.add, Some(0.5)),
        ("ADD, 8 at once", |times| &times.parallel_add, Some(0.4)),
        ("DEL", |times| &times.del, Some(0.85)),
        ("DEL, 8 at once", |times| &times.parallel_del, None),
    ];
    let figures: Vec<Figure> = kinds.into_iter().map(|kind| figure(times, kind)).collect();
    publish(out, "cni", &figures, (&table(&figures), &picture(&figures)))?;
    let missed: Vec<_> = figures.iter().filter(|figure| !figure.met).map(|figure| figure.name).collect();
    all_met(&missed)
}

fn figure(times: &[Times], (name, pick, target): (&'static str, Pick, Option<f64>)) -> Figure {
    let row = |times: &Times| Row {
        contender: times.name,
        samples: pick(times).len(),
        p50_ms: percentile(pick(times), 50),
        p99_ms: percentile(pick(times), 99),
    };
    let rows: Vec<Row> = times.iter().map(row).collect();
    let of = |name: &str| rows.iter().find(|row| row.contender == name).map_or(f64::NAN, |row| row.p50_ms);
    let p50_ratio_to_ptp = of("sart") / of("ptp");
    Figure {
        name,
        p50_ratio_to_ptp,
        target,
        met: target.is_none_or(|target| p50_ratio_to_ptp <= target),
        rows,
    }
}

fn table(figures: &[Figure]) -> String {
    let mut text = String::from("figure           contender      n    p50 ms   p99 ms\n");
    for figure in figures {
        for row in &figure.rows {
            text.push_str(&format!(
                "{:<16} {:<10} {:>5} {:>9.2} {:>8.2}\n",
                figure.name, row.contender, row.samples, row.p50_ms, row.p99_ms
            ));
        }
        let target =
            figure.target.map_or_else(|| "no target".to_owned(), |target| format!("target {target}"));
        let verdict = if figure.met { "met" } else { "MISSED" };
        text.push_str(&format!(
            "{:<16} sart / ptp at p50: {:.2} ({target}, {verdict})\n",
            figure.name, figure.p50_ratio_to_ptp
        ));
    }
    text
}

/// One row a contender.
fn picture(figures: &[Figure]) -> String {
    let row = |figure: &Figure, row: &Row| Bar {
        label: format!("{}: {}", figure.name, row.contender),
        p50: row.p50_ms,
        p99: row.p99_ms,
        ours: row.contender == "sart",
    };
    let rows: Vec<Bar> =
        figures.iter().flat_map(|figure| figure.rows.iter().map(move |of| row(figure, of))).collect();
    bars("ms from the plugin's start to its end: bar to p99, mark at p50", &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(name: &'static str, milliseconds: u64) -> Times {
        let of = vec![Duration::from_millis(milliseconds); 3];
        Times { name, add: of.clone(), del: of.clone(), parallel_add: of.clone(), parallel_del: of }
    }

    #[test]
    fn a_target_is_met_or_missed_by_the_ratio_of_the_medians() {
        let measured = [times("sart", 4), times("ptp", 10)];
        let pick: Pick = |times| &times.add;
        assert!(figure(&measured, ("ADD", pick, Some(0.4))).met);
        assert!(!figure(&measured, ("ADD", pick, Some(0.39))).met);
        assert!(!figure(&[], ("ADD", pick, Some(0.39))).met, "nothing measured is nothing met");
    }
}
