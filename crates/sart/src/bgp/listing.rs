//! A table of paths as text, in pieces while the paths come. Must never hold more of them than it takes to choose the widths of
//! the columns: a full table has a million.

use std::fmt::Write as _;

use jiff::Timestamp;
use sart_rpc::v1;

use super::{json, plain};
use crate::args::Format;
use crate::output::json as to_json;

/// The first so many rows decide how wide the columns are. A later cell that is wider pushes the rest of its line aside.
const SAMPLE: usize = 256;
/// Octets that are written at a time.
const PIECE: usize = 64 << 10;

/// A listing under way.
#[derive(Debug)]
pub(super) struct Listing {
    format: Format,
    columns: Vec<&'static str>,
    /// Rows that wait for the widths, then empty.
    sample: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    /// Whether a row came at all.
    begun: bool,
    text: String,
}

impl Listing {
    pub(super) fn new(format: Format, table: v1::Table) -> Self {
        let columns = plain::path_columns(table);
        Self { format, columns, sample: Vec::new(), widths: None, begun: false, text: String::new() }
    }

    /// Adds a path; `now` turns its age into a time.
    pub(super) fn push(&mut self, path: &v1::Path, now: Timestamp) -> anyhow::Result<()> {
        match self.format {
            Format::Plain => self.push_row(plain::path_row(path, self.columns.len())),
            Format::Json => {
                let text = to_json(&json::Path::new(path, now))?;
                self.text.push_str(if self.begun { "," } else { "{\n  \"paths\": [" });
                for line in text.lines() {
                    self.text.push_str("\n    ");
                    self.text.push_str(line);
                }
            }
        }
        self.begun = true;
        Ok(())
    }

    /// A piece to write, if there is enough for one.
    pub(super) fn piece(&mut self) -> Option<String> {
        (self.text.len() >= PIECE).then(|| core::mem::take(&mut self.text))
    }

    /// All that is left.
    pub(super) fn finish(mut self) -> String {
        match self.format {
            Format::Plain => self.settle(),
            Format::Json if self.begun => self.text.push_str("\n  ]\n}\n"),
            Format::Json => self.text.push_str("{\n  \"paths\": []\n}\n"),
        }
        self.text
    }

    fn push_row(&mut self, row: Vec<String>) {
        match &self.widths {
            Some(widths) => line(&mut self.text, widths, row.iter().map(String::as_str)),
            None => {
                self.sample.push(row);
                if self.sample.len() == SAMPLE {
                    self.settle();
                }
            }
        }
    }

    /// Chooses the widths and writes what waited for them.
    fn settle(&mut self) {
        if self.widths.is_some() {
            return;
        }
        let mut widths: Vec<usize> = self.columns.iter().map(|name| name.len()).collect();
        for row in &self.sample {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        line(&mut self.text, &widths, self.columns.iter().copied());
        for row in core::mem::take(&mut self.sample) {
            line(&mut self.text, &widths, row.iter().map(String::as_str));
        }
        self.widths = Some(widths);
    }
}

fn line<'a>(text: &mut String, widths: &[usize], cells: impl Iterator<Item = &'a str>) {
    let begin = text.len();
    for (cell, width) in cells.zip(widths) {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{cell:<width$}  ");
    }
    text.truncate(begin + text[begin..].trim_end().len());
    text.push('\n');
}
