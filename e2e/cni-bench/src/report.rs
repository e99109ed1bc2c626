//! Turns times into figures: a table for people, JSON for machines, an SVG. Judges by the targets of issue and brief.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
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
    std::fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    std::fs::write(out.join("cni.json"), serde_json::to_string_pretty(&figures)?)?;
    std::fs::write(out.join("cni.svg"), svg(&figures))?;
    std::io::stdout().write_all(table(&figures).as_bytes())?;
    let missed: Vec<_> = figures.iter().filter(|figure| !figure.met).map(|figure| figure.name).collect();
    anyhow::ensure!(missed.is_empty(), "above target: {}", missed.join(", "));
    Ok(())
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

/// Nearest rank, in milliseconds; NaN for no samples.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
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

/// Bars from 0 to p99 with a mark at p50, one row a contender.
fn svg(figures: &[Figure]) -> String {
    let rows = || figures.iter().flat_map(|figure| figure.rows.iter().map(move |row| (figure.name, row)));
    let largest = rows().fold(1.0_f64, |largest, (_, row)| largest.max(row.p99_ms));
    let height = 40 + rows().count() * 22;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"880\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <text x=\"10\" y=\"20\">ms from the plugin's start to its end: bar to p99, mark at p50</text>\n"
    );
    for (number, (name, row)) in rows().enumerate() {
        let y = 40 + number * 22;
        let (middle, end) = (row.p50_ms * 560.0 / largest, row.p99_ms * 560.0 / largest);
        let colour = if row.contender == "sart" { "#2a6fb0" } else { "#9a9a9a" };
        text.push_str(&format!(
            "<text x=\"10\" y=\"{base}\">{name}: {}</text>\
             <rect x=\"180\" y=\"{y}\" width=\"{end:.1}\" height=\"14\" fill=\"{colour}\" opacity=\"0.5\"/>\
             <rect x=\"{:.1}\" y=\"{y}\" width=\"2\" height=\"14\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{base}\">{:.1} / {:.1}</text>\n",
            row.contender,
            180.0 + middle,
            186.0 + end,
            row.p50_ms,
            row.p99_ms,
            base = y + 12,
        ));
    }
    text.push_str("</svg>\n");
    text
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
