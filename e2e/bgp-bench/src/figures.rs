//! One measured row, and what several of them come to. Data and arithmetic only.

use serde::Serialize;

/// What one phase of one run cost one speaker.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) subject: String,
    pub(crate) repetition: u32,
    /// User and system time of the speaker, all threads.
    pub(crate) cpu_seconds: f64,
    /// From the trigger to the last UPDATE at a receiver.
    pub(crate) wall_seconds: f64,
    /// Resident after the phase.
    pub(crate) resident_mb: f64,
    /// Resident at most since the speaker's start.
    pub(crate) peak_mb: f64,
    /// UPDATEs that the receivers got.
    pub(crate) updates: u64,
    /// The fewest UPDATEs that could have said the same, over all receivers.
    pub(crate) ideal_updates: u64,
    /// Prefixes in them.
    pub(crate) prefixes: u64,
    /// CPU that neither the speaker nor this program used meanwhile: how quiet the machine was.
    pub(crate) foreign_cpu_seconds: f64,
    /// More to say about this row.
    pub(crate) note: String,
    /// Why there is no figure.
    pub(crate) error: Option<String>,
}

/// The middle and the ends of some figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Row {
    pub(crate) fn failed(case: &str, error: &anyhow::Error) -> Self {
        Self { case: case.to_owned(), error: Some(format!("{error:#}")), ..Self::default() }
    }

    /// In one line, for who watches.
    pub(crate) fn line(&self) -> String {
        if let Some(error) = &self.error {
            return format!("  {:<10} FAILED: {error}", self.case);
        }
        format!(
            "  {:<10} cpu {:>6.2} s  wall {:>6.2} s  rss {:>6.1} MB (peak {:>6.1})  updates {} (ideal {})  foreign cpu {:.1} s  {}",
            self.case,
            self.cpu_seconds,
            self.wall_seconds,
            self.resident_mb,
            self.peak_mb,
            self.updates,
            self.ideal_updates,
            self.foreign_cpu_seconds,
            self.note
        )
    }
}

impl Spread {
    /// Of these figures; zeroes for none.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else { return Self::default() };
        let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self { low: *low, median: f64::midpoint(lower, upper), high: *high }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0, 10.0]), Spread { low: 1.0, median: 2.5, high: 10.0 });
        assert_eq!(Spread::of([]), Spread::default());
    }
}
