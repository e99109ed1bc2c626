//! Judges from what the API server recorded whether an address ever had two holders. What a record did to an object's
//! addresses the file of its kind says: Services and pods from the audit log, blocks from a watch, as an answer to their
//! deletion has no version. Nothing here goes by times, reads a file or asks anybody.
//!
//! Versions are comparable: those of one kind are decimal numbers in the order of the writes
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>, KEP-5504). The times of the log are
//! not in that order: of two requests under way at once either may end first.

pub mod blocks;
pub mod pods;
pub mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use serde_json::Value;

use crate::audit::Event;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Records that name an address: never 0, as a log without one shows nothing.
    pub records: usize,
    /// Two holders at once, each in a sentence; empty if there never were.
    pub doubles: Vec<String>,
    /// The highest version that was judged.
    pub last: u64,
}

/// What a write did to the addresses of one object.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    /// The resource version it made.
    version: u64,
    /// When, for people.
    at: String,
    /// The next object of the same name is another holder.
    uid: String,
    /// `namespace/name`, or the name of what is in no namespace.
    name: String,
    deed: Deed,
}

#[derive(Debug, PartialEq, Eq)]
enum Deed {
    /// It names these addresses and no others.
    Holds(Vec<IpNet>),
    /// It holds nothing any more and nothing is written to it.
    Gone,
}

impl Change {
    /// What a write did to `object`, at the version of `versioned`.
    fn new(at: &str, versioned: &Value, object: &Value, deed: Deed) -> Result<Self> {
        let name = field(object, "/metadata/name")?;
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
        Ok(Self {
            version: version(versioned)?,
            at: at.to_owned(),
            uid: field(object, "/metadata/uid")?.to_owned(),
            name: namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}")),
            deed,
        })
    }

    /// What a request did to `object`, at the version of `versioned`.
    fn of(event: &Event, versioned: &Value, object: &Value, deed: Deed) -> Result<Self> {
        Self::new(event.text("/stageTimestamp").unwrap_or_default(), versioned, object, deed)
    }
}

fn version(object: &Value) -> Result<u64> {
    field(object, "/metadata/resourceVersion")?.parse().context("a resource version that is no number")
}

fn field<'a>(object: &'a Value, pointer: &str) -> Result<&'a str> {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.with_context(|| format!("the answer to a write has no {pointer}: {object}"))
}

/// What a request that succeeded was answered with, if it was about this kind.
fn answer<'a>(event: &'a Event, resource: &str) -> Option<Result<&'a Value>> {
    if event.text("/objectRef/resource")? != resource || !event.has_succeeded() {
        return None;
    }
    let lacking = || format!("the audit log leaves out the answer to a write of {resource}; see its policy");
    Some(event.at("/responseObject").with_context(lacking))
}

/// The `ip` of each entry.
fn addresses(entries: Option<&Value>) -> Result<Vec<IpNet>> {
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    let texts = entries.filter_map(|entry| entry.get("ip")?.as_str());
    texts
        .map(|text| Ok(text.parse::<IpAddr>().with_context(|| format!("no address: {text}"))?.into()))
        .collect()
}

/// Judges what was recorded by what `changes` reads from each record.
fn of_records<Record>(
    records: impl Iterator<Item = Result<Record>>,
    mut changes: impl FnMut(&Record) -> Option<Result<Vec<Change>>>,
) -> Result<Verdict> {
    of_changes(records.filter_map(|record| match record {
        Ok(record) => changes(&record),
        Err(error) => Some(Err(error)),
    }))
}

fn of_changes(changes: impl Iterator<Item = Result<Vec<Change>>>) -> Result<Verdict> {
    let read: Vec<Vec<Change>> = changes.collect::<Result<_>>()?;
    let mut changes: Vec<Change> = read.into_iter().flatten().collect();
    // The items of a deleted collection went after its version, at which another may have been written.
    changes.sort_by_key(|change| (change.version, change.deed == Deed::Gone));
    let with_address = |change: &&Change| matches!(&change.deed, Deed::Holds(held) if !held.is_empty());
    let records = changes.iter().filter(with_address).count();
    ensure!(records > 0, "nothing that was recorded names an address");
    let last = changes.last().map_or(0, |change| change.version);
    Ok(Verdict { records, doubles: doubles(&changes), last })
}

/// Two holders at once, from changes in the order of their versions.
fn doubles(changes: &[Change]) -> Vec<String> {
    let mut held: BTreeMap<&str, (&str, &[IpNet])> = BTreeMap::new();
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for Change { at, uid, name, deed, .. } in changes {
        let Deed::Holds(nets) = deed else {
            held.remove(uid.as_str());
            gone.insert(uid);
            continue;
        };
        for net in nets {
            let others = held.iter().filter(|(other, _)| **other != uid);
            let mut others =
                others.flat_map(|(_, (holder, has))| has.iter().map(move |theirs| (holder, theirs)));
            found.extend(others.find(|(_, theirs)| share(net, theirs)).map(|(holder, theirs)| {
                format!("{at}: {} given to {name} while {holder} holds {}", short(net), short(theirs))
            }));
        }
        // Written after the list of a deletion was read, and deleted since: nothing is written to what is gone.
        if !gone.contains(uid.as_str()) {
            held.insert(uid, (name, nets));
        }
    }
    found
}

fn share(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// An address as people write it.
fn short(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

#[cfg(test)]
mod tests;
