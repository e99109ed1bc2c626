//! Services: one holds an address from the write of its status until a write without it, or its deletion. And who wrote
//! Services.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Change, Deed, addresses, answer, judged};
use crate::audit::{Event, Mark};

/// Two owners at once, each in a sentence; empty when there never were.
pub(in super::super) fn double_owners(log: &Path) -> Result<Vec<String>> {
    Ok(judged(log, changes)?.1)
}

/// Writes of Services and their statuses since then: who wrote which.
pub(in super::super) fn service_writes(since: &Mark) -> Result<Vec<String>> {
    since.gather(service_write)
}

fn service_write(event: &Event) -> Option<String> {
    let text = |pointer: &str| event.text(pointer);
    let verb = text("/verb").filter(|verb| ["create", "update", "patch", "delete"].contains(verb))?;
    if text("/objectRef/resource")? != "services" || !event.is_complete() {
        return None;
    }
    let name = text("/objectRef/name").unwrap_or_default();
    Some(format!("{} by {}: {verb} of {name}", text("/stageTimestamp")?, text("/user/username")?))
}

/// What a request that succeeded changed. A deletion of a whole namespace answers with the Services as they were when it
/// listed them: it deleted them after the list's version, which is not theirs.
fn changes(event: &Event) -> Option<Result<Vec<Change>>> {
    let answer = answer(event, "services")?;
    let read: fn(&Event, &Value) -> Result<Vec<Change>> =
        match (event.text("/verb")?, event.text("/objectRef/subresource")) {
            ("delete", None) => |event, gone| Ok(vec![Change::new(event, gone, gone, Deed::Gone)?]),
            ("deletecollection", None) => of_namespace,
            ("patch" | "update", Some("status")) => |event, now| {
                let ingress = addresses(now.pointer("/status/loadBalancer/ingress"));
                Ok(vec![Change::new(event, now, now, Deed::Holds(ingress))?])
            },
            _ => return None,
        };
    Some(answer.and_then(|answer| read(event, answer)))
}

fn of_namespace(event: &Event, list: &Value) -> Result<Vec<Change>> {
    let items = list["items"].as_array().context("the answer to a deletion of Services is no list")?;
    items.iter().map(|gone| Change::new(event, list, gone, Deed::Gone)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{change, event, held, object};
    use super::super::{Deed, judge};
    use super::*;

    #[test]
    fn only_completed_writes_of_services_count() {
        let event = |verb: &str, resource: &str, stage: &str| {
            Event::from(
                json!({"verb": verb, "stage": stage, "stageTimestamp": "t", "user": {"username": "u"},
                       "objectRef": {"resource": resource, "name": "web"}}),
            )
        };
        let write = service_write(&event("patch", "services", "ResponseComplete"));
        assert_eq!(write.as_deref(), Some("t by u: patch of web"));
        for other in [
            event("watch", "services", "ResponseComplete"),
            event("patch", "pods", "ResponseComplete"),
            event("patch", "services", "RequestReceived"),
        ] {
            assert_eq!(service_write(&other), None);
        }
    }

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
        let deletion = || said("deletecollection", None, &list("12")).unwrap();
        let others = |version, given| {
            let mut all = deletion();
            all.extend([held(8, "a", &["10.0.1.0"]), held(version, given, &["10.0.1.0"])]);
            all.sort_by_key(|change| change.version);
            judge(&all)
        };
        assert_eq!(others(10, "c"), ["t: 10.0.1.0 given to n/c while n/a holds it"]);
        assert!(others(13, "c").is_empty());
        let mut late = deletion();
        late.extend([held(13, "a", &["10.0.1.0"]), held(14, "c", &["10.0.1.0"])]);
        assert!(judge(&late).is_empty(), "a write between the list and the deletion keeps nothing for ever");
    }

    #[test]
    fn an_answer_that_does_not_say_what_was_written_is_an_error() {
        for (verb, subresource) in [("delete", None), ("deletecollection", None), ("patch", Some("status"))] {
            assert!(said(verb, subresource, &json!({})).is_err(), "{verb}");
        }
    }
}
