//! Who holds what when, and whose answers count.

use serde_json::{Value, json};

use super::{Change, Deed, Event, answer, judge};

pub(super) fn held(version: u64, uid: &str, addresses: &[&str]) -> Change {
    change(version, uid, Deed::Holds(addresses.iter().map(|address| (*address).to_owned()).collect()))
}

pub(super) fn change(version: u64, uid: &str, deed: Deed) -> Change {
    Change { version, at: "t".to_owned(), uid: uid.to_owned(), name: format!("n/{uid}"), deed }
}

pub(super) fn object(version: &str, uid: &str, status: &Value) -> Value {
    let metadata = json!({"name": uid, "namespace": "n", "uid": uid, "resourceVersion": version});
    json!({"metadata": metadata, "status": status})
}

/// A request of a node's kubelet that was through and succeeded.
pub(super) fn event(resource: &str, verb: &str, subresource: Option<&str>, answer: &Value) -> Event {
    Event::from(json!({
        "verb": verb, "stage": "ResponseComplete", "stageTimestamp": "t", "responseObject": answer,
        "objectRef": {"resource": resource, "namespace": "n", "subresource": subresource},
        "responseStatus": {"code": 200}, "user": {"username": "system:node:w"},
    }))
}

#[test]
fn an_address_given_away_before_it_was_given_back_is_found() {
    let changes = [held(1, "a", &["10.0.1.0"]), held(2, "b", &["10.0.1.0"])];
    assert_eq!(judge(&changes), ["t: 10.0.1.0 given to n/b while n/a holds it"]);
}

#[test]
fn an_address_given_back_may_be_given_again() {
    for back in [held(2, "a", &[]), change(2, "a", Deed::Gone)] {
        let changes = [held(1, "a", &["10.0.1.0"]), back, held(3, "b", &["10.0.1.0"])];
        assert!(judge(&changes).is_empty());
    }
    let changes = [held(1, "a", &["10.0.1.0"]), change(2, "x", Deed::Gone), held(3, "b", &["10.0.1.0"])];
    assert_eq!(judge(&changes).len(), 1, "what another one gave back is not this address");
}

#[test]
fn only_what_succeeded_and_is_through_has_an_answer() {
    let event = |stage: &str, resource: &str, code: u64| {
        let mut event = json!({"stage": stage, "objectRef": {"resource": resource}, "responseObject": {}});
        event["responseStatus"] = json!({"code": code});
        Event::from(event)
    };
    let through = event("ResponseComplete", "services", 200);
    assert_eq!(answer(&through, "services").unwrap().unwrap(), &json!({}));
    for other in [
        event("ResponseComplete", "services", 409),
        event("ResponseStarted", "services", 200),
        event("ResponseComplete", "pods", 200),
    ] {
        assert!(answer(&other, "services").is_none());
    }
    let unsaid = Event::from(json!({
        "stage": "ResponseComplete", "objectRef": {"resource": "services"}, "responseStatus": {"code": 200},
    }));
    assert!(
        answer(&unsaid, "services").unwrap().is_err(),
        "an answer that the policy leaves out is an error"
    );
}
