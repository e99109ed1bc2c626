//! Judges from the API server's audit log whether an address ever had two owners, and who wrote Services: a Service owns an address from the write of its status until a write without it, or its deletion.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::audit::{Event, Mark};

/// What one line of the log did to a Service's addresses.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    /// RFC 3339 with microseconds in UTC: sorts as text.
    at: String,
    /// `namespace/name`, or `namespace/` for all of a namespace.
    service: String,
    addresses: Vec<String>,
}

/// Two owners at once, each in a sentence; empty when there never were.
pub(super) fn double_owners(log: &Path) -> Result<Vec<String>> {
    let mut changes = Mark::beginning(log).gather(change)?;
    anyhow::ensure!(!changes.is_empty(), "the audit log shows no write of a Service's status");
    changes.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(judge(&changes))
}

/// Writes of Services and their statuses since then: who wrote which.
pub(super) fn service_writes(since: &Mark) -> Result<Vec<String>> {
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

fn judge(changes: &[Change]) -> Vec<String> {
    let mut held: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut found = Vec::new();
    for change in changes {
        if change.service.ends_with('/') {
            held.retain(|service, _| !service.starts_with(&change.service));
            continue;
        }
        for address in &change.addresses {
            let other =
                held.iter().find(|(service, has)| **service != change.service && has.contains(address));
            if let Some((other, _)) = other {
                found.push(format!(
                    "{}: {address} given to {} while {other} holds it",
                    change.at, change.service
                ));
            }
        }
        held.insert(&change.service, change.addresses.clone());
    }
    found
}

/// A deletion counts from when it was asked for, an assignment from when it was done: an overlap of the two is not
/// decided by which line was logged first.
fn change(event: &Event) -> Option<Change> {
    let text = |pointer: &str| event.text(pointer);
    let code = event.at("/responseStatus/code").and_then(Value::as_u64)?;
    if text("/objectRef/resource")? != "services" || !(200..300).contains(&code) {
        return None;
    }
    let name = text("/objectRef/name").unwrap_or_default();
    let service = format!("{}/{name}", text("/objectRef/namespace")?);
    match (text("/verb")?, text("/objectRef/subresource")) {
        ("delete" | "deletecollection", None) => {
            Some(Change { at: text("/requestReceivedTimestamp")?.to_owned(), service, addresses: Vec::new() })
        }
        ("patch" | "update", Some("status")) => {
            let ingress = event.at("/requestObject/status/loadBalancer/ingress").and_then(Value::as_array);
            let address = |entry: &Value| Some(entry.get("ip")?.as_str()?.to_owned());
            let addresses = ingress.into_iter().flatten().filter_map(address).collect();
            Some(Change { at: text("/stageTimestamp")?.to_owned(), service, addresses })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Change, Event, change, judge, service_write};

    fn write(at: &str, service: &str, addresses: &[&str]) -> Change {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        Change { at: at.to_owned(), service: service.to_owned(), addresses }
    }

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

    #[test]
    fn an_address_given_away_before_it_was_given_back_is_found() {
        let changes = [write("1", "a", &["10.0.1.0"]), write("2", "b", &["10.0.1.0"])];
        assert_eq!(judge(&changes), ["2: 10.0.1.0 given to b while a holds it"]);
    }

    #[test]
    fn a_namespace_that_goes_gives_all_its_addresses_back() {
        let changes =
            [write("1", "n/a", &["10.0.1.0"]), write("2", "n/", &[]), write("3", "m/b", &["10.0.1.0"])];
        assert!(judge(&changes).is_empty());
        let other =
            [write("1", "n/a", &["10.0.1.0"]), write("2", "o/", &[]), write("3", "m/b", &["10.0.1.0"])];
        assert_eq!(judge(&other).len(), 1);
    }

    #[test]
    fn an_address_given_back_may_be_given_again() {
        let changes = [write("1", "a", &["10.0.1.0"]), write("2", "a", &[]), write("3", "b", &["10.0.1.0"])];
        assert!(judge(&changes).is_empty());
    }

    #[test]
    fn a_refused_write_changes_nothing_and_a_status_write_names_its_addresses() {
        let mut event = json!({
            "verb": "patch", "stageTimestamp": "2", "requestReceivedTimestamp": "1",
            "objectRef": {"resource": "services", "namespace": "n", "name": "s", "subresource": "status"},
            "requestObject": {"status": {"loadBalancer": {"ingress": [{"ip": "10.0.1.0"}]}}},
            "responseStatus": {"code": 200},
        });
        assert_eq!(change(&Event::from(event.clone())), Some(write("2", "n/s", &["10.0.1.0"])));
        event["responseStatus"]["code"] = json!(409);
        assert_eq!(change(&Event::from(event)), None);
    }
}
