//! What the nodes hold because of pods, counted so that two counts can be compared. Only looks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::super::sart::nodes;
use crate::lab::machine::Machine;
use crate::lab::process;
use crate::{Lab, exec};

/// Routes to pods and blackhole routes of blocks carry these protocol ids.
const POD_ROUTES: &str = "188";
const BLOCK_ROUTES: &str = "189";
/// Pins of maps and of the pods' links.
const PINS: &str = "sys/fs/bpf/sart/v1";
/// The agent's folder.
const STATE: &str = "var/lib/sart/cni";
/// A connection of the agent to the API server: one per watch, and those that wait to be used again.
const CONNECTION: &str = "TCP connection";
/// Kinds that an agent of pods and Services watches.
const WATCHES: usize = 12;
/// How many connections may wait.
const SPARE_CONNECTIONS: usize = 4;
/// Every other socket. Those to the daemons come and go by themselves.
const SOCKET: &str = "socket";
const SPARE_SOCKETS: usize = 2;

/// Counts by what is counted.
type Counts = BTreeMap<String, usize>;

/// Counts of every node.
#[derive(Debug)]
pub(in crate::trials) struct Residue {
    nodes: BTreeMap<String, Held>,
}

#[derive(Debug)]
struct Held {
    /// Links, pins, map rows, journal entries: gone when the pods are.
    of_pods: Counts,
    /// Routes and rules: gone when the blocks are. Those of blocks that rested from before may be gone as well.
    of_blocks: Counts,
    /// Open descriptors of the agent by what they lead to.
    descriptors: Counts,
}

impl Residue {
    /// Counts.
    pub(in crate::trials) fn of(lab: &Lab) -> Result<Self> {
        let held = |name: String| {
            let held = Held::of(&lab.machine(&name)?).with_context(|| format!("look at {name}"))?;
            Ok((name, held))
        };
        Ok(Self { nodes: nodes(lab).into_iter().map(held).collect::<Result<_>>()? })
    }

    /// An error if anything that goes with the pods differs from before.
    pub(in crate::trials) fn exceeds_nothing_of_pods(&self, before: &Self) -> Result<()> {
        self.compare(before, |name, now, was| same(name, &now.of_pods, &was.of_pods))
    }

    /// An error if anything of pods differs from before, or there is more of anything else.
    pub(super) fn exceeds_nothing(&self, before: &Self) -> Result<()> {
        self.exceeds_nothing_of_pods(before)?;
        self.compare(before, |name, now, was| {
            no_more(&format!("node {name}"), &now.of_blocks, &was.of_blocks)?;
            no_more(&format!("the agent of {name}"), &now.descriptors, &was.descriptors)
        })?;
        self.connections_are_few()
    }

    /// The count of before is no measure: after an outage of the API server a watch waits for up to half a minute before it is
    /// tried again.
    fn connections_are_few(&self) -> Result<()> {
        for (name, held) in &self.nodes {
            let is = held.descriptors.get(CONNECTION).copied().unwrap_or_default();
            ensure!(
                is <= WATCHES + SPARE_CONNECTIONS,
                "the agent of {name} has {is} x {CONNECTION} for {WATCHES} watches"
            );
        }
        Ok(())
    }

    fn compare(&self, before: &Self, check: impl Fn(&str, &Held, &Held) -> Result<()>) -> Result<()> {
        for (name, now) in &self.nodes {
            let was = before.nodes.get(name).with_context(|| format!("{name} is new"))?;
            check(name, now, was)?;
        }
        Ok(())
    }

    /// Sums over all nodes, in words.
    pub(super) fn told(&self) -> String {
        let mut sums: Counts = BTreeMap::new();
        for held in self.nodes.values() {
            for (what, count) in held.of_pods.iter().chain(&held.of_blocks) {
                *sums.entry(what.clone()).or_default() += count;
            }
            *sums.entry("descriptors".to_owned()).or_default() += held.descriptors.values().sum::<usize>();
        }
        let words: Vec<String> = sums.iter().map(|(what, count)| format!("{count} {what}")).collect();
        format!("as before ({})", words.join(", "))
    }
}

impl Held {
    fn of(machine: &Machine) -> Result<Self> {
        let ip = |args: &[&str]| -> Result<usize> {
            Ok(exec::stdout(machine.command("ip").args(args))?.lines().count())
        };
        let root = root(machine);
        let routes = |family: &'static str, protocol: &'static str| {
            ip(&[family, "route", "show", "table", "main", "proto", protocol])
        };
        let of_pods = [
            ("links", ip(&["-o", "link"])?),
            ("pod routes", routes("-4", POD_ROUTES)? + routes("-6", POD_ROUTES)?),
            ("map rows", rows(machine)?),
            ("pins", entries(&root.join(PINS).join("pods"))? + entries(&root.join(PINS).join("links"))?),
            ("journal entries", journal(&root.join(STATE).join("journal"))?),
            ("waiting removals", waiting_removals(machine)?),
        ];
        let of_blocks = [
            ("block routes", routes("-4", BLOCK_ROUTES)? + routes("-6", BLOCK_ROUTES)?),
            ("rules", ip(&["-4", "rule"])? + ip(&["-6", "rule"])?),
        ];
        let named = |counts: &[(&str, usize)]| {
            counts.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect::<Counts>()
        };
        Ok(Self {
            of_pods: named(&of_pods),
            of_blocks: named(&of_blocks),
            descriptors: descriptors(machine)?,
        })
    }
}

fn same(name: &str, now: &Counts, was: &Counts) -> Result<()> {
    ensure!(now == was, "{name} holds {now:?}, held {was:?}");
    Ok(())
}

fn no_more(name: &str, now: &Counts, was: &Counts) -> Result<()> {
    let kinds: BTreeSet<&String> = now.keys().chain(was.keys()).collect();
    for kind in kinds {
        let (is, had) =
            (now.get(kind).copied().unwrap_or_default(), was.get(kind).copied().unwrap_or_default());
        let spare = if kind == SOCKET { SPARE_SOCKETS } else { 0 };
        ensure!(kind == CONNECTION || is <= had + spare, "{name} has {is} x {kind}, had {had}");
    }
    Ok(())
}

/// Rows of the map of pods.
fn rows(machine: &Machine) -> Result<usize> {
    let map = format!("/{PINS}/maps/PODS");
    let text = exec::stdout(machine.command("bpftool").args(["-j", "map", "dump", "pinned", &map]))?;
    let rows: Vec<Value> = serde_json::from_str(&text).context("bpftool printed no JSON")?;
    Ok(rows.len())
}

/// The machine's file system.
fn root(machine: &Machine) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root", machine.init.pid))
}

/// How many removals wait for the machine's agent.
pub(in crate::trials) fn waiting_removals(machine: &Machine) -> Result<usize> {
    entries(&root(machine).join(STATE).join("intents"))
}

/// Names in a folder; none if there is no such folder.
fn entries(folder: &Path) -> Result<usize> {
    match std::fs::read_dir(folder) {
        Ok(names) => Ok(names.count()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| format!("list {}", folder.display())),
    }
}

/// Attachments that the journal holds. What was let go stays in it for an hour, as the memory of resting addresses.
fn journal(path: &Path) -> Result<usize> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(attached(&text))
}

fn attached(journal: &str) -> usize {
    let mut live = BTreeSet::new();
    for line in journal.lines() {
        let record = line.split_once(' ').and_then(|(_, text)| serde_json::from_str::<Value>(text).ok());
        for (word, body) in record.iter().filter_map(Value::as_object).flatten() {
            let key = body["key"].to_string();
            if word == "gone" {
                live.remove(&key);
            } else {
                live.insert(key);
            }
        }
    }
    live.len()
}

/// What the agent has open.
fn descriptors(machine: &Machine) -> Result<Counts> {
    let network = machine.init.namespace("net");
    let is_agent = |process: &process::Process| {
        process.namespace("net") == network
            && process.command().split(' ').next().is_some_and(|path| path.ends_with("sart-agent"))
    };
    let agent = process::all().into_iter().find(is_agent).context("no agent runs")?;
    let connections = connections(agent.pid)?;
    let folder = format!("/proc/{}/fd", agent.pid);
    let mut counts = Counts::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("list {folder}"))? {
        // One that was closed meanwhile is not open.
        let Ok(target) = std::fs::read_link(entry?.path()) else { continue };
        *counts.entry(kind(&target.to_string_lossy(), &connections)).or_default() += 1;
    }
    Ok(counts)
}

/// Inodes of the connections in the network namespace of a process.
fn connections(pid: i32) -> Result<BTreeSet<u64>> {
    let mut found = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        let path = format!("/proc/{pid}/net/{table}");
        let table = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        found.extend(table.lines().filter_map(connection));
    }
    Ok(found)
}

/// The inode of a line of proc_pid_net(5)'s table of TCP, unless it listens.
fn connection(line: &str) -> Option<u64> {
    const LISTEN: &str = "0A";
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (state, inode) = (columns.get(3)?, columns.get(9)?.parse().ok()?);
    (*state != LISTEN).then_some(inode)
}

/// `socket:[1]` is a socket whichever its number.
fn kind(target: &str, connections: &BTreeSet<u64>) -> String {
    let (kind, number) = target.split_once(":[").unwrap_or((target, ""));
    match number.trim_end_matches(']').parse() {
        Ok(inode) if connections.contains(&inode) => CONNECTION.to_owned(),
        Ok(_) => kind.to_owned(),
        Err(_) => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn what_was_let_go_is_not_attached_and_what_was_attached_again_is_once() {
        let line = |word: &str, container: &str| {
            format!("0123456789abcdef {{\"{word}\":{{\"key\":{{\"container\":\"{container}\"}}}}}}\n")
        };
        let lines =
            [("begun", "a"), ("made", "a"), ("begun", "b"), ("gone", "a"), ("made", "b"), ("made", "c")];
        let text: String = lines.iter().map(|(word, container)| line(word, container)).collect();
        assert_eq!(attached(&text), 2);
        assert_eq!(attached(&(text + "0123 {\"go")), 2);
    }

    #[test]
    fn an_agent_may_have_a_few_more_sockets_but_not_one_more_map() {
        let counts = |socket: usize, map: usize| {
            Counts::from([(SOCKET.to_owned(), socket), ("anon_inode:bpf-map".to_owned(), map)])
        };
        assert!(no_more("n", &counts(11, 9), &counts(9, 9)).is_ok());
        assert!(no_more("n", &counts(12, 9), &counts(9, 9)).is_err());
        assert!(no_more("n", &counts(9, 10), &counts(9, 9)).is_err());
    }

    #[test]
    fn an_agent_has_few_connections_beside_its_watches_however_many_it_had() {
        let held = |connections: usize| Held {
            of_pods: Counts::new(),
            of_blocks: Counts::new(),
            descriptors: Counts::from([(CONNECTION.to_owned(), connections)]),
        };
        let residue = |connections| Residue { nodes: BTreeMap::from([("n".to_owned(), held(connections))]) };
        let spared = WATCHES + SPARE_CONNECTIONS;
        assert!(residue(spared).exceeds_nothing(&residue(8)).is_ok());
        assert!(residue(spared + 1).exceeds_nothing(&residue(8)).is_err());
        assert!(residue(spared + 1).exceeds_nothing(&residue(spared + 1)).is_err());
    }

    #[test]
    fn both_ends_of_a_connection_are_connections_and_what_listens_is_not() {
        let inode = |socket: &dyn AsRawFd| {
            std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino()
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        let found = connections(std::process::id().try_into().unwrap()).unwrap();
        assert!(found.contains(&inode(&ours)) && found.contains(&inode(&theirs)), "{found:?}");
        assert!(!found.contains(&inode(&listener)), "{found:?}");
    }

    #[test]
    fn numbers_of_sockets_do_not_tell_descriptors_apart_and_names_do() {
        let kind = |target: &str| kind(target, &BTreeSet::from([4712]));
        assert_eq!(kind("socket:[4711]"), SOCKET);
        assert_eq!(kind("socket:[4712]"), CONNECTION);
        assert_eq!(kind("anon_inode:[eventpoll]"), "anon_inode:[eventpoll]");
        assert_eq!(kind("/var/lib/sart/cni/journal"), "/var/lib/sart/cni/journal");
    }
}
