//! Reads the API server's audit log, one `audit.k8s.io/v1` Event a line: the record of requests that no program under
//! test can embellish. Judges nothing and writes nothing.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
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

impl Mark {
    /// The beginning of the log.
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

    /// What `pick` takes from the Events since then, in the order of the log.
    ///
    /// # Errors
    /// If the log cannot be read, or is shorter than it was.
    pub fn gather<T>(&self, mut pick: impl FnMut(&Event) -> Option<T>) -> Result<Vec<T>> {
        let read = || format!("read {}", self.log.display());
        let mut log = File::open(&self.log).with_context(read)?;
        ensure!(log.metadata()?.len() >= self.offset, "the audit log was replaced meanwhile");
        log.seek(SeekFrom::Start(self.offset))?;
        let mut picked = Vec::new();
        for line in BufReader::new(log).split(b'\n') {
            // The last line may be half written; it belongs to whatever comes after.
            if let Ok(event) = serde_json::from_slice(&line.with_context(read)?) {
                picked.extend(pick(&Event(event)));
            }
        }
        Ok(picked)
    }
}

impl Event {
    /// What stands at this JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// The text at this JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// Whether the request is through (each is logged at several stages).
    pub fn is_complete(&self) -> bool {
        self.text("/stage") == Some("ResponseComplete")
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
        let log = std::env::temp_dir().join(format!("sart-audit-{}.log", std::process::id()));
        let before = "{\"verb\":\"create\"}\n";
        std::fs::write(&log, before).unwrap();
        let mark = Mark::now(&log).unwrap();
        std::fs::write(&log, format!("{before}{{\"verb\":\"patch\"}}\n{{\"verb\":\"del")).unwrap();
        assert_eq!(verbs(&mark), ["patch"]);
        assert_eq!(verbs(&Mark::beginning(&log)), ["create", "patch"]);
        std::fs::write(&log, "").unwrap();
        assert!(mark.gather(|_| Some(())).is_err(), "a log that was replaced is an error");
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn only_the_last_stage_is_complete() {
        let event = |stage: &str| Event::from(serde_json::json!({"stage": stage}));
        assert!(event("ResponseComplete").is_complete());
        assert!(!event("RequestReceived").is_complete());
    }
}
