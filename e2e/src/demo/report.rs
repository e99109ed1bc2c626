//! What the demo found, row by row, as a person reads it. Judges nothing.

use std::fmt;
use std::time::Duration;

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It held; what was seen.
    Held(String),
    /// It did not; what was missing.
    Failed(String),
    /// It was not tried, because the named check had failed.
    NotRun(&'static str),
}

/// One check of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The claim.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took to find out.
    pub took: Duration,
}

/// The whole demo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which they ran.
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether there was a check at all and every one of them held.
    pub fn passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| matches!(row.outcome, Outcome::Held(_)))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, detail) = match &self.outcome {
            Outcome::Held(detail) => ("ok  ", detail.clone()),
            Outcome::Failed(reason) => ("FAIL", reason.clone()),
            Outcome::NotRun(name) => ("-   ", format!("not run: \"{name}\" failed")),
        };
        write!(out, "{mark} {:<48} {:>5.1} s  {detail}", self.name, self.took.as_secs_f64())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(out, "{row}")?;
        }
        let held = self.rows.iter().filter(|row| matches!(row.outcome, Outcome::Held(_))).count();
        write!(out, "{held} of {} checks hold", self.rows.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(outcome: Outcome) -> Row {
        Row { name: "it works", outcome, took: Duration::from_millis(1500) }
    }

    #[test]
    fn an_empty_report_and_one_with_a_check_that_was_not_run_have_not_passed() {
        assert!(!Report::default().passed());
        let rows = vec![row(Outcome::Held("x".to_owned())), row(Outcome::NotRun("the first"))];
        assert!(!Report { rows }.passed());
    }

    #[test]
    fn the_table_ends_with_how_many_held() {
        let rows = vec![row(Outcome::Held("x".to_owned())), row(Outcome::Failed("y".to_owned()))];
        assert!(Report { rows }.to_string().ends_with("\n1 of 2 checks hold"));
    }
}
