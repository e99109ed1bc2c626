//! Reads the API server's audit log, one `audit.k8s.io/v1` Event a line: the record of requests that no program under
//! test can embellish (<https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/>). Judges nothing and writes
//! nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// A moment, as a place in the log.
#[derive(Clone, Debug)]
pub struct Mark {
    log: PathBuf,
    offset: u64,
}

/// One request at one stage.
#[derive(Clone, Debug)]
pub struct Event(Value);

/// The Events of a log, in its order: that in which requests were through, not that of the writes.
pub fn events(log: impl BufRead) -> impl Iterator<Item = Result<Event>> {
    values(log).map(|value| value.map(Event))
}

/// The JSON value of each line. The last line may be half written; it belongs to whatever comes after.
pub(crate) fn values(mut log: impl BufRead) -> impl Iterator<Item = Result<Value>> {
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match log.read_until(b'\n', &mut line) {
            Ok(_) if line.last() == Some(&b'\n') => Some(parsed(&line)),
            Ok(_) => None,
            Err(error) => Some(Err(error).context("read a line")),
        }
    })
}

fn parsed(line: &[u8]) -> Result<Value> {
    serde_json::from_slice(line).with_context(|| format!("no JSON: {}", String::from_utf8_lossy(line)))
}

impl Mark {
    /// The beginning of the log.
    #[must_use]
    pub fn beginning(log: &Path) -> Self {
        Self { log: log.to_path_buf(), offset: 0 }
    }

    /// The end of the log as it is.
    ///
    /// # Errors
    /// If there is no log.
    pub fn now(log: &Path) -> Result<Self> {
        let found = std::fs::metadata(log).with_context(|| format!("find {}", log.display()))?;
        Ok(Self { log: log.to_path_buf(), offset: found.len() })
    }

    /// The log since then, from the next line that begins: a line is written while its length already shows.
    ///
    /// # Errors
    /// If the log cannot be read, or is shorter than it was.
    pub fn open(&self) -> Result<impl BufRead + use<>> {
        let read = || format!("read {}", self.log.display());
        let mut log = File::open(&self.log).with_context(read)?;
        ensure!(log.metadata()?.len() >= self.offset, "the audit log was replaced meanwhile");
        if self.offset == 0 {
            return Ok(BufReader::new(log));
        }
        log.seek(SeekFrom::Start(self.offset - 1)).with_context(read)?;
        let mut log = BufReader::new(log);
        log.read_until(b'\n', &mut Vec::new()).with_context(read)?;
        Ok(log)
    }

    /// What `pick` takes from the Events since then, in the order of the log.
    ///
    /// # Errors
    /// As [`Self::open`], and if a line is no JSON.
    pub fn gather<T>(&self, mut pick: impl FnMut(&Event) -> Option<T>) -> Result<Vec<T>> {
        let picked = events(self.open()?).filter_map(|event| event.map(|event| pick(&event)).transpose());
        picked.collect()
    }
}

impl Event {
    /// What stands at this JSON pointer.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// The text at this JSON pointer.
    #[must_use]
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// Whether the request is through (each is logged at several stages).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.text("/stage") == Some("ResponseComplete")
    }

    /// Whether the request did what it asked for.
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        let code = self.at("/responseStatus/code").and_then(Value::as_u64);
        self.is_complete() && code.is_some_and(|code| (200..300).contains(&code))
    }
}

impl From<Value> for Event {
    fn from(event: Value) -> Self {
        Self(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verbs(mark: &Mark) -> Vec<String> {
        mark.gather(|event| event.text("/verb").map(str::to_owned)).unwrap()
    }

    #[test]
    fn a_mark_sees_what_was_logged_after_it_and_passes_over_a_half_written_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        let before = "{\"verb\":\"create\"}\n";
        std::fs::write(&log, before).unwrap();
        let mark = Mark::now(&log).unwrap();
        std::fs::write(&log, format!("{before}{{\"verb\":\"patch\"}}\n{{\"verb\":\"del")).unwrap();
        assert_eq!(verbs(&mark), ["patch"]);
        assert_eq!(verbs(&Mark::beginning(&log)), ["create", "patch"]);
        let amid = Mark::now(&log).unwrap();
        std::fs::write(&log, format!("{before}{before}{{\"verb\":\"delete\"}}\n{{\"verb\":\"get\"}}\n"))
            .unwrap();
        assert_eq!(verbs(&amid), ["get"], "the line that was being written belongs to before");
        std::fs::write(&log, "").unwrap();
        assert!(mark.gather(|_| Some(())).is_err(), "a log that was replaced is an error");
    }

    #[test]
    fn a_whole_line_that_is_no_event_is_an_error() {
        assert!(events(&b"{\"verb\":\n{}\n"[..]).next().unwrap().is_err());
    }

    #[test]
    fn only_the_last_stage_is_complete() {
        let event = |stage: &str| Event::from(serde_json::json!({"stage": stage}));
        assert!(event("ResponseComplete").is_complete());
        assert!(!event("RequestReceived").is_complete());
    }

    #[test]
    fn only_an_answer_in_the_two_hundreds_is_a_success() {
        let event = |stage: &str, code: u64| {
            Event::from(serde_json::json!({"stage": stage, "responseStatus": {"code": code}}))
        };
        assert!(event("ResponseComplete", 201).has_succeeded());
        assert!(!event("ResponseComplete", 409).has_succeeded());
        assert!(!event("ResponseStarted", 200).has_succeeded());
    }
}
