//! Tables, JSON and errors as text, and the one place that writes to standard output.

use std::io::Write as _;

use anyhow::Context as _;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

/// Standard output. A reader that goes away ends the program without an error: `sart … | head`.
#[derive(Debug, Default)]
pub(crate) struct Out;

impl Out {
    /// Writes at once. Whether somebody still reads.
    pub(crate) fn put(&mut self, text: &str) -> anyhow::Result<bool> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
            written => written.context("cannot write the output").map(|()| true),
        }
    }
}

/// A table without borders, one row a line.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec()).add_rows(rows);
    let lines: Vec<String> = table
        .lines()
        // One space of padding leads every line.
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}

/// One value a line, for what never ends.
pub(crate) fn json_line<T: Serialize>(value: &T) -> anyhow::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

pub(crate) fn json<T: Serialize>(value: &T) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// The daemon's own sentence, without the transport's decoration.
pub(crate) fn refused(status: &tonic::Status) -> anyhow::Error {
    match status.code() {
        // The transport's own answer to a call that the daemon has never heard of; it has no words.
        tonic::Code::Unimplemented if status.message().is_empty() => {
            anyhow::anyhow!("the daemon is older than this command line and does not know the call")
        }
        code if status.message().is_empty() => anyhow::anyhow!("{code}"),
        _ => anyhow::anyhow!("{}", status.message()),
    }
}

/// Seconds as a person writes them: `42s`, `3m5s`, `2h0m`, `4d1h`.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_answer_without_words_gets_some() {
        let said = |status: &tonic::Status| super::refused(status).to_string();
        assert_eq!(said(&tonic::Status::not_found("no neighbor")), "no neighbor");
        assert!(said(&tonic::Status::unimplemented("")).contains("older than this command line"));
        assert!(!said(&tonic::Status::internal("")).is_empty());
    }

    #[test]
    fn durations_read_like_a_persons() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m0s"), (7_265, "2h1m"), (90_000, "1d1h")] {
            assert_eq!(super::duration(seconds), text);
        }
    }
}
