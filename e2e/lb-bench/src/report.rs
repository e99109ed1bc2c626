//! Turns samples into figures: a table for people, JSON for machines, an SVG of the distributions.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::scenario::{Creates, Flips};

/// Everything one run measured.
pub(crate) struct Measured {
    pub(crate) flips: Flips,
    pub(crate) creates: Creates,
    pub(crate) loaded: Option<Flips>,
    pub(crate) writes: f64,
}

/// One figure beside its floor and what we aim for.
#[derive(Serialize)]
struct Figure {
    name: &'static str,
    samples: usize,
    p50_ms: f64,
    p99_ms: f64,
    floor_p50_ms: f64,
    floor_p99_ms: f64,
    p50_ratio: f64,
    p99_ratio: f64,
    target_p50_ratio: Option<f64>,
    target_p99_ratio: Option<f64>,
    met: bool,
}

#[derive(Serialize)]
struct Report {
    figures: Vec<Figure>,
    writes_per_service: f64,
    target_writes_per_service: f64,
}

/// Prints the table and writes `lb.json` and `lb.svg` into the folder.
pub(crate) fn write(measured: &Measured, out: &Path) -> anyhow::Result<()> {
    let report = Report {
        figures: figures(measured),
        writes_per_service: measured.writes,
        target_writes_per_service: 4.0,
    };
    std::fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    std::fs::write(out.join("lb.json"), serde_json::to_string_pretty(&report)?)?;
    std::fs::write(out.join("lb.svg"), svg(&report.figures))?;
    std::io::stdout().write_all(table(&report).as_bytes())?;
    Ok(())
}

fn figures(measured: &Measured) -> Vec<Figure> {
    let (flips, creates) = (&measured.flips, &measured.creates);
    let mut figures = vec![
        figure("flip to withdraw", &flips.withdraw, &flips.floor, (Some(1.1), Some(1.5))),
        figure("flip to announce", &flips.announce, &flips.floor, (Some(1.3), Some(2.0))),
        figure("create to EXTERNAL-IP", &creates.external_ip, &creates.floor, (Some(3.0), None)),
        figure("create to UPDATE", &creates.announce, &creates.floor, (Some(4.0), None)),
    ];
    if let Some(loaded) = &measured.loaded {
        figures.push(figure("loaded flip to withdraw", &loaded.withdraw, &loaded.floor, (None, Some(2.0))));
        figures.push(figure("loaded flip to announce", &loaded.announce, &loaded.floor, (None, Some(2.0))));
    }
    figures
}

fn figure(
    name: &'static str,
    times: &[Duration],
    floor: &[Duration],
    (target_p50_ratio, target_p99_ratio): (Option<f64>, Option<f64>),
) -> Figure {
    let (p50_ms, p99_ms) = (percentile(times, 50), percentile(times, 99));
    let (floor_p50_ms, floor_p99_ms) = (percentile(floor, 50), percentile(floor, 99));
    let (p50_ratio, p99_ratio) = (p50_ms / floor_p50_ms, p99_ms / floor_p99_ms);
    let within = |ratio: f64, target: Option<f64>| target.is_none_or(|target| ratio <= target);
    let met = within(p50_ratio, target_p50_ratio) && within(p99_ratio, target_p99_ratio);
    Figure {
        name,
        samples: times.len(),
        p50_ms,
        p99_ms,
        floor_p50_ms,
        floor_p99_ms,
        p50_ratio,
        p99_ratio,
        target_p50_ratio,
        target_p99_ratio,
        met,
    }
}

/// Nearest rank, in milliseconds; NaN for no samples.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

fn table(report: &Report) -> String {
    let mut text = String::from(
        "figure                    n    p50 ms   p99 ms  floor p50  floor p99  p50 ratio (target)  p99 ratio (target)  met\n",
    );
    let target = |target: Option<f64>| target.map_or_else(|| "-".to_owned(), |target| target.to_string());
    for figure in &report.figures {
        text.push_str(&format!(
            "{:<24} {:>4} {:>8.2} {:>8.2} {:>10.2} {:>10.2} {:>9.2} ({:>4}) {:>12.2} ({:>4}) {:>8}\n",
            figure.name,
            figure.samples,
            figure.p50_ms,
            figure.p99_ms,
            figure.floor_p50_ms,
            figure.floor_p99_ms,
            figure.p50_ratio,
            target(figure.target_p50_ratio),
            figure.p99_ratio,
            target(figure.target_p99_ratio),
            if figure.met { "yes" } else { "NO" },
        ));
    }
    let writes = (report.writes_per_service, report.target_writes_per_service);
    text.push_str(&format!("API writes per Service: {:.2} (target {})\n", writes.0, writes.1));
    text
}

/// Bars from 0 to p99 with a mark at p50, one row a figure, the floor in grey below it.
fn svg(figures: &[Figure]) -> String {
    let largest = figures.iter().fold(1.0_f64, |largest, f| largest.max(f.p99_ms).max(f.floor_p99_ms));
    let scale = 600.0 / largest;
    let height = 40 + figures.len() * 44;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"880\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <text x=\"10\" y=\"20\">ms from the API request: bar to p99, mark at p50; grey is the floor of the same run</text>\n"
    );
    for (row, figure) in figures.iter().enumerate() {
        let y = 40 + row * 44;
        text.push_str(&format!("<text x=\"10\" y=\"{}\">{}</text>\n", y + 14, figure.name));
        bar(&mut text, y, scale, (figure.p50_ms, figure.p99_ms, "#2a6fb0"));
        bar(&mut text, y + 18, scale, (figure.floor_p50_ms, figure.floor_p99_ms, "#9a9a9a"));
    }
    text.push_str("</svg>\n");
    text
}

fn bar(text: &mut String, y: usize, scale: f64, (p50, p99, colour): (f64, f64, &str)) {
    let (middle, end) = (p50 * scale, p99 * scale);
    text.push_str(&format!(
        "<rect x=\"200\" y=\"{y}\" width=\"{end:.1}\" height=\"14\" fill=\"{colour}\" opacity=\"0.5\"/>\
         <rect x=\"{:.1}\" y=\"{y}\" width=\"2\" height=\"14\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{}\">{p50:.1} / {p99:.1}</text>\n",
        200.0 + middle,
        206.0 + end,
        y + 11,
    ));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::percentile;

    #[test]
    fn the_percentile_is_the_nearest_rank_in_milliseconds() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert!((percentile(&times, 50) - 50.0).abs() < 1e-9);
        assert!((percentile(&times, 99) - 99.0).abs() < 1e-9);
    }
}
