//! Services: one holds an address from the write of its status until a write without it, or its deletion.

use std::io::BufRead;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Change, Deed, Verdict, addresses, answer, of_records};
use crate::audit::{Event, events};

/// Judges the Services.
///
/// # Errors
/// If a line is no Event, an answer lacks what says who held what (see the log's policy), or none names an address.
pub fn verdict(log: impl BufRead) -> Result<Verdict> {
    of_records(events(log), changes)
}

/// What a request that succeeded changed. The answer to a deletion is the object at the version of the deletion; that of
/// a whole namespace answers with the Services as they were when it listed them: it deleted them after the list's
/// version, which is not theirs.
fn changes(event: &Event) -> Option<Result<Vec<Change>>> {
    let answer = answer(event, "services")?;
    let read: fn(&Event, &Value) -> Result<Vec<Change>> =
        match (event.text("/verb")?, event.text("/objectRef/subresource")) {
            ("delete", None) => |event, gone| Ok(vec![end(event, gone, gone)?]),
            ("deletecollection", None) => of_namespace,
            ("patch" | "update", Some("status")) => |event, now| {
                let ingress = addresses(now.pointer("/status/loadBalancer/ingress"))?;
                Ok(vec![Change::of(event, now, now, Deed::Holds(ingress))?])
            },
            _ => return None,
        };
    Some(answer.and_then(|answer| read(event, answer)))
}

fn of_namespace(event: &Event, list: &Value) -> Result<Vec<Change>> {
    let items = list["items"].as_array().context("the answer to a deletion of Services is no list")?;
    items.iter().map(|gone| end(event, list, gone)).collect()
}

/// What has a finalizer outlives its deletion, by a time that this does not follow.
fn end(event: &Event, versioned: &Value, gone: &Value) -> Result<Change> {
    let finalizers = gone.pointer("/metadata/finalizers").and_then(Value::as_array);
    ensure!(finalizers.is_none_or(Vec::is_empty), "cannot judge a Service with finalizers: {gone}");
    Change::of(event, versioned, gone, Deed::Gone)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Deed;
    use super::super::tests::{change, doubles, event, held, object};
    use super::*;

    fn service(version: &str, uid: &str) -> Value {
        object(version, uid, &json!({"loadBalancer": {"ingress": [{"ip": "10.0.1.0"}]}}))
    }

    /// As the API server answers a deletion of a namespace's Services: its items are as they were before.
    fn list(version: &str) -> Value {
        json!({"metadata": {"resourceVersion": version}, "items": [service("8", "a"), service("9", "b")]})
    }

    fn said(verb: &str, subresource: Option<&str>, answer: &Value) -> Result<Vec<Change>> {
        changes(&event("services", verb, subresource, answer)).unwrap()
    }

    #[test]
    fn a_status_write_names_its_addresses() {
        let written = said("patch", Some("status"), &service("7", "a")).unwrap();
        assert_eq!(written, [held(7, "a", &["10.0.1.0"])]);
    }

    #[test]
    fn a_deletion_names_each_service_it_deleted() {
        assert_eq!(said("delete", None, &service("7", "a")).unwrap(), [change(7, "a", Deed::Gone)]);
        let all = said("deletecollection", None, &list("12")).unwrap();
        assert_eq!(all, [change(12, "a", Deed::Gone), change(12, "b", Deed::Gone)]);
    }

    #[test]
    fn an_address_is_held_until_its_namespace_is_deleted_and_no_longer() {
        let with = |mut others: Vec<Change>| {
            others.extend(said("deletecollection", None, &list("12")).unwrap());
            doubles(others)
        };
        let others = |version| with(vec![held(8, "a", &["10.0.1.0"]), held(version, "c", &["10.0.1.0"])]);
        let double = ["t: 10.0.1.0 given to n/c while n/a holds 10.0.1.0"];
        assert_eq!(others(10), double);
        assert_eq!(others(12), double, "the list was read at its version and the deletions came after it");
        assert!(others(13).is_empty());
        let late = vec![held(13, "a", &["10.0.1.0"]), held(14, "c", &["10.0.1.0"])];
        assert!(with(late).is_empty(), "a write between the list and the deletion keeps nothing for ever");
    }

    #[test]
    fn a_service_that_outlives_its_deletion_is_an_error() {
        let mut kept = service("7", "a");
        kept["metadata"]["finalizers"] = json!(["example.com/wait"]);
        assert!(said("delete", None, &kept).is_err());
    }

    #[test]
    fn an_answer_that_does_not_say_what_was_written_is_an_error() {
        for (verb, subresource) in [("delete", None), ("deletecollection", None), ("patch", Some("status"))] {
            assert!(said(verb, subresource, &json!({})).is_err(), "{verb}");
        }
    }
}
