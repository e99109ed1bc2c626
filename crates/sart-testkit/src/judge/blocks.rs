//! AddressBlocks: one holds its prefix from its creation until its deletion, as a watch of them tells it.
//!
//! The audit log cannot say when one was deleted: the API server answers the deletion of a custom resource with a Status,
//! which names the UID and no version (its store sets no `ReturnDeletedObject`). A watch can: its DELETED carries the
//! object as it was at the version of the deletion, and every change of the kind comes, in the order of the versions
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>).

use std::io::BufRead;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Change, Deed, Verdict, field, of_records, version};
use crate::audit::values;

/// Judges the blocks. `watch` is the body of a watch, one event a line, that began before anybody made one; it has
/// told all up to [`Verdict::last`].
///
/// # Errors
/// If the API server ended the watch with an error, if it tells something that is no block, or no block at all.
pub fn verdict(watch: impl BufRead) -> Result<Verdict> {
    of_records(values(watch), |event| Some(change(event)?.map(|change| vec![change])))
}

fn change(event: &Value) -> Option<Result<Change>> {
    let object = &event["object"];
    let deed = match event["type"].as_str() {
        Some("BOOKMARK") => return None,
        Some("ADDED" | "MODIFIED") => prefix(object),
        Some("DELETED") => Ok(Deed::Gone),
        _ => failed(event),
    };
    Some(deed.and_then(|deed| Change::new(&format!("version {}", version(object)?), object, object, deed)))
}

fn prefix(block: &Value) -> Result<Deed> {
    let cidr = field(block, "/spec/cidr")?;
    Ok(Deed::Holds(vec![cidr.parse().with_context(|| format!("no prefix: {cidr}"))?]))
}

fn failed(event: &Value) -> Result<Deed> {
    bail!("the watch of blocks failed: {event}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, version: u64, name: &str, cidr: &str) -> String {
        let metadata =
            json!({"name": name, "uid": format!("u-{name}"), "resourceVersion": version.to_string()});
        let object = json!({"metadata": metadata, "spec": {"cidr": cidr}});
        format!("{}\n", json!({"type": kind, "object": object}))
    }

    fn doubles(events: &[String]) -> Vec<String> {
        verdict(events.concat().as_bytes()).unwrap().doubles
    }

    #[test]
    fn two_blocks_share_an_address_while_both_are_there_and_not_one_after_the_other() {
        let one = event("ADDED", 3, "a", "10.1.0.0/29");
        let two = |version| event("ADDED", version, "b", "10.1.0.0/28");
        let gone = event("DELETED", 5, "a", "10.1.0.0/29");
        let double =
            |version| [format!("version {version}: 10.1.0.0/28 given to b while a holds 10.1.0.0/29")];
        assert_eq!(doubles(&[one.clone(), two(4)]), double(4));
        assert_eq!(doubles(&[one.clone(), two(4), gone.clone()]), double(4));
        assert!(doubles(&[one.clone(), gone, two(6)]).is_empty());
        assert!(doubles(&[one.clone(), event("ADDED", 4, "b", "10.1.0.8/29")]).is_empty());
        assert!(doubles(&[one, event("MODIFIED", 4, "a", "10.1.0.0/29")]).is_empty());
    }

    #[test]
    fn all_up_to_the_last_version_is_told_and_a_half_told_event_is_not() {
        let told = event("ADDED", 3, "a", "10.1.0.0/29") + &event("BOOKMARK", 9, "", "") + "{\"type\":\"ADD";
        let found = verdict(told.as_bytes()).unwrap();
        assert_eq!((found.records, found.last), (1, 3));
    }

    #[test]
    fn a_watch_that_failed_or_told_of_no_block_is_an_error() {
        let block = event("ADDED", 3, "a", "10.1.0.0/29");
        let ended = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}});
        for told in [String::new(), format!("{block}{ended}\n"), event("ADDED", 3, "a", "ten")] {
            assert!(verdict(told.as_bytes()).is_err(), "{told}");
        }
    }
}
