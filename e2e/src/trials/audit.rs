//! Judges from the API server's audit log whether an address ever had two owners, and who wrote Services: a Service owns an address from the write of its status until a write without it, or its deletion.

pub(super) mod pods;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::audit::{Event, Mark};

/// What one line of the log did to a Service.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    /// The resource version it made: those of one kind are numbers in the order of the writes (KEP-5504). The times of the
    /// log are not in that order: of two requests under way at once either may end first.
    version: u64,
    /// When the request was through, for people.
    at: String,
    /// A Service is known by its UID: the next one of its name is another owner.
    uid: String,
    deed: Deed,
}

#[derive(Debug, PartialEq, Eq)]
enum Deed {
    /// Its status was written.
    Recorded {
        service: String,
        addresses: Vec<String>,
    },
    Deleted,
}

/// Two owners at once, each in a sentence; empty when there never were.
pub(super) fn double_owners(log: &Path) -> Result<Vec<String>> {
    let read: Result<Vec<Vec<Change>>> = Mark::beginning(log).gather(changes)?.into_iter().collect();
    let mut changes: Vec<Change> = read?.into_iter().flatten().collect();
    let writes = changes.iter().filter(|change| change.deed != Deed::Deleted).count();
    ensure!(writes > 0, "the audit log shows no write of a Service's status");
    changes.sort_by_key(|change| change.version);
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
    let mut held: BTreeMap<&str, (&str, &[String])> = BTreeMap::new();
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for Change { at, uid, deed, .. } in changes {
        let Deed::Recorded { service, addresses } = deed else {
            held.remove(uid.as_str());
            gone.insert(uid);
            continue;
        };
        for address in addresses {
            let owns =
                |(other, (_, has)): &(&&str, &(&str, &[String]))| **other != uid && has.contains(address);
            let owner = held.iter().find(owns);
            found.extend(
                owner.map(|(_, (owner, _))| {
                    format!("{at}: {address} given to {service} while {owner} holds it")
                }),
            );
        }
        // Written after the list of a deletion was read, and deleted since: nothing is written to what is gone.
        if !gone.contains(uid.as_str()) {
            held.insert(uid, (service, addresses));
        }
    }
    found
}

/// What a request that succeeded changed. A deletion of a whole namespace answers with the Services as they were when it
/// listed them: it deleted them after the list's version, which is not theirs.
fn changes(event: &Event) -> Option<Result<Vec<Change>>> {
    let text = |pointer: &str| event.text(pointer);
    let code = event.at("/responseStatus/code").and_then(Value::as_u64)?;
    if text("/objectRef/resource")? != "services" || !(200..300).contains(&code) || !event.is_complete() {
        return None;
    }
    let answer = || event.at("/responseObject").context(NO_ANSWER);
    match (text("/verb")?, text("/objectRef/subresource")) {
        ("delete", None) => {
            Some(answer().and_then(|gone| Ok(vec![change(event, gone, gone, Deed::Deleted)?])))
        }
        ("deletecollection", None) => Some(answer().and_then(|list| {
            let items = list["items"].as_array().context(NO_ANSWER)?;
            items.iter().map(|gone| change(event, list, gone, Deed::Deleted)).collect()
        })),
        ("patch" | "update", Some("status")) => {
            Some(answer().and_then(|now| Ok(vec![change(event, now, now, recorded(now))?])))
        }
        _ => None,
    }
}

const NO_ANSWER: &str = "the audit log leaves out the answer to a write of a Service; see its policy";

/// A change of this Service at the version of `versioned`.
fn change(event: &Event, versioned: &Value, service: &Value, deed: Deed) -> Result<Change> {
    let version = field(versioned, "/metadata/resourceVersion")?;
    Ok(Change {
        version: version.parse().context("a resource version that is no number")?,
        at: event.text("/stageTimestamp").unwrap_or_default().to_owned(),
        uid: field(service, "/metadata/uid")?.to_owned(),
        deed,
    })
}

fn field<'a>(answer: &'a Value, pointer: &str) -> Result<&'a str> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    text.with_context(|| format!("the answer to a write of a Service has no {pointer}: {answer}"))
}

fn recorded(service: &Value) -> Deed {
    let text = |pointer: &str| service.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let ingress = service.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    let address = |entry: &Value| Some(entry.get("ip")?.as_str()?.to_owned());
    Deed::Recorded {
        service: format!("{}/{}", text("/metadata/namespace"), text("/metadata/name")),
        addresses: ingress.into_iter().flatten().filter_map(address).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Change, Deed, Event, changes, judge, service_write};

    fn recorded(version: u64, uid: &str, addresses: &[&str]) -> Change {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        change(version, uid, Deed::Recorded { service: format!("n/{uid}"), addresses })
    }

    fn change(version: u64, uid: &str, deed: Deed) -> Change {
        Change { version, at: "t".to_owned(), uid: uid.to_owned(), deed }
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
        let changes = [recorded(1, "a", &["10.0.1.0"]), recorded(2, "b", &["10.0.1.0"])];
        assert_eq!(judge(&changes), ["t: 10.0.1.0 given to n/b while n/a holds it"]);
    }

    #[test]
    fn an_address_given_back_may_be_given_again() {
        for back in [recorded(2, "a", &[]), change(2, "a", Deed::Deleted)] {
            let changes = [recorded(1, "a", &["10.0.1.0"]), back, recorded(3, "b", &["10.0.1.0"])];
            assert!(judge(&changes).is_empty());
        }
        let changes =
            [recorded(1, "a", &["10.0.1.0"]), change(2, "x", Deed::Deleted), recorded(3, "b", &["10.0.1.0"])];
        assert_eq!(judge(&changes).len(), 1, "what another one gave back is not this address");
    }

    fn service(version: &str, uid: &str) -> Value {
        json!({"metadata": {"name": uid, "namespace": "n", "uid": uid, "resourceVersion": version},
               "status": {"loadBalancer": {"ingress": [{"ip": "10.0.1.0"}]}}})
    }

    fn event(verb: &str, subresource: Option<&str>, code: u64, answer: &Value) -> Event {
        Event::from(json!({
            "verb": verb, "stage": "ResponseComplete", "stageTimestamp": "t", "responseObject": answer,
            "objectRef": {"resource": "services", "namespace": "n", "subresource": subresource},
            "responseStatus": {"code": code},
        }))
    }

    #[test]
    fn a_refused_write_changes_nothing_and_a_status_write_names_its_addresses() {
        let written = changes(&event("patch", Some("status"), 200, &service("7", "a"))).unwrap().unwrap();
        assert_eq!(written, [recorded(7, "a", &["10.0.1.0"])]);
        assert!(changes(&event("patch", Some("status"), 409, &json!({}))).is_none());
    }

    #[test]
    fn a_deletion_names_each_service_it_deleted() {
        let one = changes(&event("delete", None, 200, &service("7", "a"))).unwrap().unwrap();
        assert_eq!(one, [change(7, "a", Deed::Deleted)]);
        let all = changes(&event("deletecollection", None, 200, &list("12"))).unwrap().unwrap();
        assert_eq!(all, [change(12, "a", Deed::Deleted), change(12, "b", Deed::Deleted)]);
    }

    /// As the API server answers a deletion of a namespace's Services: its items are as they were before.
    fn list(version: &str) -> Value {
        json!({"metadata": {"resourceVersion": version}, "items": [service("8", "a"), service("9", "b")]})
    }

    #[test]
    fn an_address_is_held_until_its_namespace_is_deleted_and_no_longer() {
        let deletion = || changes(&event("deletecollection", None, 200, &list("12"))).unwrap().unwrap();
        let others = |version, given| {
            let mut all = deletion();
            all.extend([recorded(8, "a", &["10.0.1.0"]), recorded(version, given, &["10.0.1.0"])]);
            all.sort_by_key(|change| change.version);
            judge(&all)
        };
        assert_eq!(others(10, "c"), ["t: 10.0.1.0 given to n/c while n/a holds it"]);
        assert!(others(13, "c").is_empty());
        let mut late = deletion();
        late.extend([recorded(13, "a", &["10.0.1.0"]), recorded(14, "c", &["10.0.1.0"])]);
        assert!(judge(&late).is_empty(), "a write between the list and the deletion keeps nothing for ever");
    }

    #[test]
    fn an_answer_that_does_not_say_what_was_written_is_an_error() {
        for (verb, subresource) in [("delete", None), ("deletecollection", None), ("patch", Some("status"))] {
            assert!(changes(&event(verb, subresource, 200, &json!({}))).unwrap().is_err(), "{verb}");
        }
    }
}
