//! Judges from the API server's audit log whether an address ever had two holders. What a request did to an object's
//! addresses the file of its kind says; nothing here goes by the times of the log.

pub(super) mod pods;
pub(super) mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::audit::{Event, Mark};

/// What a request did to the addresses of one object.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    /// The resource version it made: those of one kind are numbers in the order of the writes (KEP-5504). The times of the
    /// log are not in that order: of two requests under way at once either may end first.
    version: u64,
    /// When the request was through, for people.
    at: String,
    /// The next object of the same name is another holder.
    uid: String,
    /// `namespace/name`.
    name: String,
    deed: Deed,
}

#[derive(Debug, PartialEq, Eq)]
enum Deed {
    /// Its status names these addresses and no others.
    Holds(Vec<String>),
    /// It holds nothing any more and nothing is written to it.
    Gone,
}

impl Change {
    /// What an event did to `object`, at the version of `versioned`.
    fn new(event: &Event, versioned: &Value, object: &Value, deed: Deed) -> Result<Self> {
        let version = field(versioned, "/metadata/resourceVersion")?;
        let name = format!("{}/{}", field(object, "/metadata/namespace")?, field(object, "/metadata/name")?);
        Ok(Self {
            version: version.parse().context("a resource version that is no number")?,
            at: event.text("/stageTimestamp").unwrap_or_default().to_owned(),
            uid: field(object, "/metadata/uid")?.to_owned(),
            name,
            deed,
        })
    }
}

fn field<'a>(answer: &'a Value, pointer: &str) -> Result<&'a str> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    text.with_context(|| format!("the answer to a write has no {pointer}: {answer}"))
}

/// What a request that succeeded was answered with, if it was about this kind.
fn answer<'a>(event: &'a Event, resource: &str) -> Option<Result<&'a Value>> {
    let code = event.at("/responseStatus/code").and_then(Value::as_u64)?;
    if event.text("/objectRef/resource")? != resource || !(200..300).contains(&code) || !event.is_complete() {
        return None;
    }
    let lacking = || format!("the audit log leaves out the answer to a write of {resource}; see its policy");
    Some(event.at("/responseObject").with_context(lacking))
}

/// The `ip` of each entry.
fn addresses(entries: Option<&Value>) -> Vec<String> {
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.get("ip")?.as_str()?.to_owned())).collect()
}

/// Statuses with an address, and two holders at once, each in a sentence.
fn judged(
    log: &Path,
    changes: impl FnMut(&Event) -> Option<Result<Vec<Change>>>,
) -> Result<(usize, Vec<String>)> {
    let read: Result<Vec<Vec<Change>>> = Mark::beginning(log).gather(changes)?.into_iter().collect();
    let mut changes: Vec<Change> = read?.into_iter().flatten().collect();
    let with_address = |change: &&Change| matches!(&change.deed, Deed::Holds(held) if !held.is_empty());
    let statuses = changes.iter().filter(with_address).count();
    ensure!(statuses > 0, "the audit log shows no status with an address");
    changes.sort_by_key(|change| change.version);
    Ok((statuses, judge(&changes)))
}

fn judge(changes: &[Change]) -> Vec<String> {
    let mut held: BTreeMap<&str, (&str, &[String])> = BTreeMap::new();
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for Change { at, uid, name, deed, .. } in changes {
        let Deed::Holds(addresses) = deed else {
            held.remove(uid.as_str());
            gone.insert(uid);
            continue;
        };
        for address in addresses {
            let holds =
                |(other, (_, has)): &(&&str, &(&str, &[String]))| **other != uid && has.contains(address);
            let holder = held.iter().find(holds);
            found.extend(
                holder.map(|(_, (holder, _))| {
                    format!("{at}: {address} given to {name} while {holder} holds it")
                }),
            );
        }
        // Written after the list of a deletion was read, and deleted since: nothing is written to what is gone.
        if !gone.contains(uid.as_str()) {
            held.insert(uid, (name, addresses));
        }
    }
    found
}

#[cfg(test)]
mod tests;
