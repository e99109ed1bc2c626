//! The configuration file of a standalone speaker: upstream's keys and ours. Turns text into a configuration or names file,
//! line and field of the first fault; must never start from a file that it does not understand in full.

mod convert;
mod policy;
mod raw;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use sart_bgp::config::{Config, ConfigError};

/// A file that was understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// How much to log.
    pub log_level: Option<String>,
    /// One sentence for each key that is accepted and does nothing.
    pub warnings: Vec<String>,
}

/// What the command line says in place of the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides {
    /// AS number.
    pub asn: Option<u32>,
    /// Router id.
    pub router_id: Option<Ipv4Addr>,
}

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A field is unknown, missing or wrong.
    #[error("{path}:{line}: {field}: {problem}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The field, with the object it belongs to.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl FileError {
    /// Label for metrics and conditions.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } => "Unreadable",
            Self::Field { .. } => "InvalidField",
        }
    }
}

/// A fault before it is known which file it is in.
#[derive(Debug)]
struct Fault {
    line: u64,
    field: String,
    problem: String,
}

/// Where each value of the file stands, so that a fault found later can still name its line.
#[derive(Debug, Default)]
struct Marks(Vec<(String, String, u64)>);

/// Reads `path`.
///
/// # Errors
/// If it cannot be read or has any fault.
pub fn load(path: &Path, overrides: Overrides) -> Result<Loaded, FileError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    parse(&text, overrides).map_err(|fault| FileError::Field {
        path: path.to_owned(),
        line: fault.line,
        field: fault.field,
        problem: fault.problem,
    })
}

fn parse(text: &str, overrides: Overrides) -> Result<Loaded, Fault> {
    let raw = raw::parse(text)?;
    let (loaded, marks) = convert::convert(raw, overrides)?;
    match loaded.config.check() {
        Ok(()) => Ok(loaded),
        Err(error) => Err(marks.fault(error)),
    }
}

impl Marks {
    fn add(&mut self, field: impl Into<String>, value: impl ToString, line: u64) {
        self.0.push((field.into(), value.to_string(), line));
    }

    /// The last place that has field and value: of two equal keys the second is the fault.
    fn fault(&self, error: ConfigError) -> Fault {
        let (field, value, problem) = match error {
            ConfigError::Invalid { field, value, rule } => {
                let problem = format!("`{value}` {rule}");
                (field, value, problem)
            }
            ConfigError::Duplicate { field, value } => {
                let problem = format!("`{value}` is given twice; remove one");
                (field, value, problem)
            }
            other => (String::from("file"), String::new(), other.to_string()),
        };
        let exact = self.0.iter().rev().find(|(at, found, _)| *at == field && *found == value);
        let found = exact.or_else(|| self.0.iter().rev().find(|(at, ..)| *at == field));
        let line = found.map_or(1, |(_, _, line)| *line);
        let field = field.strip_prefix("global.").map(str::to_owned).unwrap_or(field);
        Fault { line, field, problem }
    }
}
