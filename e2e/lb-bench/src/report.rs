//! Turns samples into figures: a table for people, JSON for machines, an SVG of the distributions. Holds each against its
//! target.

use std::path::Path;
use std::time::Duration;

use e2e::figures::{Bar, all_met, bars, percentile, publish};
use serde::Serialize;

use crate::scenario::{Creates, Flips, OneWay};

/// Writes to the API server for one Service, however many nodes there are.
const MOST_WRITES: f64 = 4.0;

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

/// Prints the table and writes `lb.json` and `lb.svg` into the folder; an error if a target is missed.
pub(crate) fn write(measured: &Measured, out: &Path) -> anyhow::Result<()> {
    let report = report(measured);
    publish(out, "lb", &report, (&table(&report), &picture(&report.figures)))?;
    all_met(&missed(&report))
}

fn report(measured: &Measured) -> Report {
    Report {
        figures: figures(measured),
        writes_per_service: measured.writes,
        target_writes_per_service: MOST_WRITES,
    }
}

fn missed(report: &Report) -> Vec<&'static str> {
    let figures = report.figures.iter().filter(|figure| !figure.met).map(|figure| figure.name);
    let few_writes = report.writes_per_service <= report.target_writes_per_service;
    figures.chain((!few_writes).then_some("API writes per Service")).collect()
}

fn figures(measured: &Measured) -> Vec<Figure> {
    let (flips, creates) = (&measured.flips, &measured.creates);
    let mut figures = vec![
        flip("flip to withdraw", &flips.withdraw, (Some(1.1), Some(1.5))),
        flip("flip to announce", &flips.announce, (Some(1.3), Some(2.0))),
        figure("create to EXTERNAL-IP", &creates.external_ip, &creates.floor, (Some(3.0), None)),
        figure("create to UPDATE", &creates.announce, &creates.floor, (Some(4.0), None)),
    ];
    if let Some(loaded) = &measured.loaded {
        figures.push(flip("loaded flip to withdraw", &loaded.withdraw, (None, Some(2.0))));
        figures.push(flip("loaded flip to announce", &loaded.announce, (None, Some(2.0))));
    }
    figures
}

fn flip(name: &'static str, way: &OneWay, targets: (Option<f64>, Option<f64>)) -> Figure {
    figure(name, &way.update, &way.floor, targets)
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

/// One row a figure, its floor in grey below it.
fn picture(figures: &[Figure]) -> String {
    let both = |f: &Figure| {
        let ours = Bar { label: f.name.to_owned(), p50: f.p50_ms, p99: f.p99_ms, ours: true };
        [ours, Bar { label: String::new(), p50: f.floor_p50_ms, p99: f.floor_p99_ms, ours: false }]
    };
    let rows: Vec<Bar> = figures.iter().flat_map(both).collect();
    bars("ms from the API request: bar to p99, mark at p50; grey is the floor of the same run", &rows)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Measured, figure, missed, report};
    use crate::scenario::{Creates, Flips, OneWay};

    #[test]
    fn a_figure_is_met_if_both_ratios_to_the_floor_are_within_their_targets() {
        let [ours, floor] = [20, 10].map(|time| [Duration::from_millis(time); 3]);
        assert!(figure("x", &ours, &floor, (Some(2.0), None)).met);
        assert!(!figure("x", &ours, &floor, (Some(1.9), Some(3.0))).met);
        assert!(!figure("x", &ours, &floor, (Some(3.0), Some(1.9))).met);
        assert!(!figure("x", &[], &[], (Some(3.0), None)).met, "nothing measured is nothing met");
    }

    /// A run on a floor of 10 ms.
    fn measured(withdraw: u64, loaded_announce: u64, writes: f64) -> Measured {
        let of = |time| vec![Duration::from_millis(time); 3];
        let way = |update| OneWay { update: of(update), floor: of(10) };
        let flips = |withdraw, announce| Flips { withdraw: way(withdraw), announce: way(announce) };
        let creates = Creates { external_ip: of(30), announce: of(40), floor: of(10) };
        Measured { flips: flips(withdraw, 13), creates, loaded: Some(flips(20, loaded_announce)), writes }
    }

    #[test]
    fn every_missed_target_is_named_that_of_the_writes_among_them() {
        let missed = |run| missed(&report(&run));
        assert!(missed(measured(11, 20, 4.0)).is_empty());
        assert_eq!(missed(measured(12, 20, 4.0)), ["flip to withdraw"]);
        assert_eq!(missed(measured(11, 21, 4.01)), ["loaded flip to announce", "API writes per Service"]);
    }
}
