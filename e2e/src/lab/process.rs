//! Finds the processes of a lab in /proc, whoever started them and however their parents died, and ends them.
//! Never signals a process that does not carry the lab's mark or live in one of its namespaces.

use super::layout::{Layout, MARK};
use anyhow::{Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A process, told apart from a later one with the same number by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Number in the host's pid namespace.
    pub pid: i32,
    /// Start time, clock ticks since boot: field 22 of proc_pid_stat(5).
    pub start: u64,
}

/// The fields of /proc/PID/stat that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    state: char,
    parent: i32,
    start: u64,
}

impl Process {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|stat| Self { pid, start: stat.start })
    }

    /// Whether it still runs (a zombie does not).
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start && stat.state != 'Z')
    }

    /// Whether a signal has made it stand still: state T of proc_pid_stat(5).
    pub fn stands_still(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start && stat.state == 'T')
    }

    /// Its command line.
    pub fn command(self) -> String {
        let bytes = std::fs::read(proc(self.pid).join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
    }

    /// The inode of one of its namespaces: `net`, `pid`, `mnt`, …
    pub fn namespace(self, kind: &str) -> Option<String> {
        let link = std::fs::read_link(proc(self.pid).join("ns").join(kind)).ok()?;
        Some(link.to_string_lossy().into_owned())
    }

    /// The number of its parent.
    pub fn parent(self) -> Option<i32> {
        stat(self.pid).map(|stat| stat.parent)
    }

    /// The first child of this process.
    pub fn child(self) -> Option<Self> {
        all().into_iter().find(|process| stat(process.pid).is_some_and(|stat| stat.parent == self.pid))
    }
}

/// Every process of the machine this runs on, without zombies.
pub fn all() -> Vec<Process> {
    numbers().into_iter().filter_map(Process::of).filter(|process| process.is_alive()).collect()
}

/// Numbers of every process and zombie, for who looks too often to ask more of each.
pub fn numbers() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// This process and its parents, which a clean-up must not end.
pub fn ourselves() -> BTreeSet<i32> {
    let mut line = BTreeSet::new();
    let mut pid = std::process::id().cast_signed();
    while pid > 0 && line.insert(pid) {
        pid = stat(pid).map_or(0, |stat| stat.parent);
    }
    line
}

/// The processes of the lab: those that carry its mark, and those in a network or pid namespace of one that does.
pub fn of_lab(layout: &Layout) -> Vec<Process> {
    let processes = all();
    let mark = format!("{MARK}={}", layout.root().display());
    let marked: BTreeSet<_> =
        processes.iter().copied().filter(|process| carries(process.pid, &mark)).collect();
    let host: Vec<_> = ["net", "pid"]
        .iter()
        .map(|kind| Process::of(std::process::id().cast_signed())?.namespace(kind))
        .collect();
    let mut inside = BTreeSet::new();
    for process in &marked {
        inside.extend(["net", "pid"].iter().filter_map(|kind| process.namespace(kind)));
    }
    inside.retain(|namespace| !host.contains(&Some(namespace.clone())));
    processes
        .into_iter()
        .filter(|process| {
            marked.contains(process)
                || ["net", "pid"]
                    .iter()
                    .any(|kind| process.namespace(kind).is_some_and(|name| inside.contains(&name)))
        })
        .collect()
}

/// Ends every process of the lab and returns how many that were.
///
/// # Errors
/// If some are still there after `limit`, which names them.
pub fn end_all(layout: &Layout, limit: Duration) -> Result<usize> {
    let spared = ourselves();
    let started = Instant::now();
    let mut ended = BTreeSet::new();
    let mut quiet = 0;
    // A process that was being started while we looked shows up in the next look.
    while quiet < 2 {
        let found: Vec<_> =
            of_lab(layout).into_iter().filter(|process| !spared.contains(&process.pid)).collect();
        quiet = if found.is_empty() { quiet + 1 } else { 0 };
        for process in &found {
            if process.is_alive() && kill(Pid::from_raw(process.pid), Signal::SIGKILL).is_ok() {
                ended.insert(*process);
            }
        }
        if started.elapsed() > limit {
            let names: Vec<_> =
                found.iter().map(|process| format!("{} {}", process.pid, process.command())).collect();
            bail!("these processes of the lab do not end: {}", names.join("; "));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(ended.len())
}

fn proc(pid: i32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn carries(pid: i32, mark: &str) -> bool {
    let environment = std::fs::read(proc(pid).join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(proc(pid).join("stat")).ok()?)
}

/// The name in the second field may hold spaces and parentheses; the last `)` ends it.
fn parse_stat(line: &str) -> Option<Stat> {
    let fields: Vec<_> = line.get(line.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line = "7 (a) (b c) S 3 7 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        assert_eq!(parse_stat(line), Some(Stat { state: 'S', parent: 3, start: 4711 }));
    }

    #[test]
    fn this_process_is_alive_and_a_later_one_with_its_number_would_not_be_taken_for_it() {
        let me = Process::of(std::process::id().cast_signed());
        assert!(me.is_some_and(Process::is_alive));
        let other = me.map(|me| Process { start: me.start + 1, ..me });
        assert!(!other.is_some_and(Process::is_alive));
    }
}
