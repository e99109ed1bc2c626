//! What the benches share once they have measured: the percentile, the picture, the files, and how a missed target ends a
//! run. Which targets there are is each bench's own.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

/// Where bars begin, and how long the longest is, in pixels.
const BARS: (f64, f64) = (200.0, 600.0);
const ROW: usize = 22;

/// One row of a picture: a bar from 0 to p99 with a mark at p50, both in the picture's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it says at the left.
    pub label: String,
    /// The mark.
    pub p50: f64,
    /// The end.
    pub p99: f64,
    /// In colour; grey otherwise.
    pub ours: bool,
}

/// Nearest rank, in milliseconds; NaN for no samples.
pub fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// Prints the table and writes `<name>.json` and `<name>.svg` into the folder, which is made if need be.
///
/// # Errors
/// If the folder or a file cannot be written, or stdout is closed.
pub fn publish(out: &Path, name: &str, report: &impl Serialize, (table, svg): (&str, &str)) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    let write = |ending: &str, text: &str| {
        let file = out.join(format!("{name}.{ending}"));
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))
    };
    write("json", &serde_json::to_string_pretty(report)?)?;
    write("svg", svg)?;
    std::io::stdout().write_all(table.as_bytes()).context("print the table")
}

/// Ends a run whose figures are published.
///
/// # Errors
/// If a target was missed: names each.
pub fn all_met(missed: &[&str]) -> Result<()> {
    ensure!(missed.is_empty(), "above target: {}", missed.join(", "));
    Ok(())
}

/// An SVG document of this size in pixels.
pub fn document(width: f64, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n{body}</svg>\n"
    )
}

/// A picture of bars on one scale, one a row.
pub fn bars(title: &str, rows: &[Bar]) -> String {
    let largest = rows.iter().fold(1.0_f64, |largest, row| largest.max(row.p99).max(row.p50));
    let mut body = format!("<text x=\"10\" y=\"20\">{title}</text>\n");
    for (number, row) in rows.iter().enumerate() {
        body.push_str(&bar(row, 40 + number * ROW, BARS.1 / largest));
    }
    document(880.0, (40 + rows.len() * ROW) as f64, &body)
}

fn bar(row: &Bar, y: usize, scale: f64) -> String {
    let (left, Bar { label, p50, p99, .. }) = (BARS.0, row);
    let colour = if row.ours { "#2a6fb0" } else { "#9a9a9a" };
    format!(
        "<text x=\"10\" y=\"{base}\">{label}</text>\
         <rect x=\"{left}\" y=\"{y}\" width=\"{end:.1}\" height=\"14\" fill=\"{colour}\" opacity=\"0.5\"/>\
         <rect x=\"{:.1}\" y=\"{y}\" width=\"2\" height=\"14\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{base}\">{p50:.1} / {p99:.1}</text>\n",
        left + p50 * scale,
        left + 6.0 + p99 * scale,
        end = p99 * scale,
        base = y + 12,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_the_nearest_rank_in_milliseconds() {
        let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert!((percentile(&times, 50) - 50.0).abs() < 1e-9);
        assert!((percentile(&times, 99) - 99.0).abs() < 1e-9);
        assert!((percentile(&times[..1], 99) - 100.0).abs() < 1e-9, "of one sample it is that sample");
        assert!(percentile(&[], 50).is_nan());
    }

    #[test]
    fn a_missed_target_ends_a_run_with_its_name() {
        all_met(&[]).unwrap();
        let error = all_met(&["ADD", "DEL"]).unwrap_err();
        assert_eq!(error.to_string(), "above target: ADD, DEL");
    }

    #[test]
    fn the_longest_bar_fills_the_width_and_only_ours_is_coloured() {
        let row = |label: &str, p50, p99, ours| Bar { label: label.to_owned(), p50, p99, ours };
        let picture = bars("ms", &[row("sart", 5.0, 10.0, true), row("floor", 2.5, 5.0, false)]);
        let lines: Vec<&str> = picture.lines().collect();
        assert!(lines[0].starts_with("<svg ") && lines[0].contains("width=\"880\" height=\"84\""));
        assert!(lines[2].contains("width=\"600.0\"") && lines[2].contains("x=\"500.0\""), "{}", lines[2]);
        assert!(lines[2].contains("#2a6fb0") && lines[2].ends_with(">5.0 / 10.0</text>"), "{}", lines[2]);
        assert!(lines[3].contains("width=\"300.0\"") && lines[3].contains("#9a9a9a"), "{}", lines[3]);
        assert_eq!(lines[4], "</svg>");
    }

    #[test]
    fn what_is_published_stands_in_the_folder() {
        let folder = std::env::temp_dir().join(format!("sart-figures-{}", std::process::id()));
        publish(&folder, "x", &[1, 2], ("", "<svg/>")).unwrap();
        let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!((read("x.json").as_str(), read("x.svg").as_str()), ("[\n  1,\n  2\n]", "<svg/>"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
