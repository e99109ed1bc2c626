//! Who holds what when, and whose answers count.

use serde_json::{Value, json};

use super::{Change, Deed, Event, answer, of_changes, services};

pub(super) fn nets(addresses: &[&str]) -> Vec<ipnet::IpNet> {
    addresses.iter().map(|address| address.parse::<std::net::IpAddr>().unwrap().into()).collect()
}

pub(super) fn held(version: u64, uid: &str, addresses: &[&str]) -> Change {
    change(version, uid, Deed::Holds(nets(addresses)))
}

pub(super) fn change(version: u64, uid: &str, deed: Deed) -> Change {
    Change { version, at: "t".to_owned(), uid: uid.to_owned(), name: format!("n/{uid}"), deed }
}

/// The doubles of these changes, in whatever order they are given.
pub(super) fn doubles(changes: Vec<Change>) -> Vec<String> {
    of_changes(std::iter::once(Ok(changes))).unwrap().doubles
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
    let all = vec![held(1, "a", &["10.0.1.0"]), held(2, "b", &["10.0.1.0"]), held(3, "a", &[])];
    assert_eq!(doubles(all), ["t: 10.0.1.0 given to n/b while n/a holds 10.0.1.0"]);
}

#[test]
fn an_address_given_back_may_be_given_again() {
    for back in [held(2, "a", &[]), change(2, "a", Deed::Gone)] {
        let all = vec![held(1, "a", &["10.0.1.0"]), back, held(3, "b", &["10.0.1.0"])];
        assert!(doubles(all).is_empty());
    }
    let all = vec![held(1, "a", &["10.0.1.0"]), change(2, "x", Deed::Gone), held(3, "b", &["10.0.1.0"])];
    assert_eq!(doubles(all).len(), 1, "what another one gave back is not this address");
}

#[test]
fn the_next_object_of_a_name_is_another_holder() {
    let mut again = held(2, "b", &["10.0.1.0"]);
    again.name = "n/a".to_owned();
    let found = doubles(vec![held(1, "a", &["10.0.1.0"]), again]);
    assert_eq!(found, ["t: 10.0.1.0 given to n/a while n/a holds 10.0.1.0"]);
}

/// The log is in the order in which requests were through.
#[test]
fn a_log_is_judged_in_the_order_of_the_versions() {
    let write = |version: &str, uid: &str, ingress: &Value| {
        let answer = object(version, uid, &json!({"loadBalancer": {"ingress": ingress}}));
        format!("{}\n", event("services", "patch", Some("status"), &answer).at("").unwrap())
    };
    let one = json!([{"ip": "10.0.1.0"}]);
    let (taken, back) = (write("7", "a", &one), write("8", "a", &json!([])));
    let judged = |log: String| services::verdict(log.as_bytes()).unwrap();
    let innocent = judged(format!("{taken}{}{back}", write("9", "b", &one)));
    assert_eq!((innocent.records, innocent.doubles, innocent.last), (2, Vec::new(), 9));
    let late = write("10", "a", &json!([]));
    let guilty = judged(format!("{late}{}{taken}", write("9", "b", &one)));
    assert_eq!(guilty.doubles, ["t: 10.0.1.0 given to n/b while n/a holds 10.0.1.0"]);
}

#[test]
fn a_log_without_an_address_or_with_a_line_that_is_no_event_shows_nothing() {
    let status = object("7", "a", &json!({}));
    let empty = format!("{}\n", event("services", "patch", Some("status"), &status).at("").unwrap());
    for log in [String::new(), empty, "{\n".to_owned()] {
        assert!(services::verdict(log.as_bytes()).is_err(), "{log}");
    }
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
