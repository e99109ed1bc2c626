//! Reads the API server's audit log: the one record of writes that no process under test can embellish.

use std::collections::BTreeMap;
use std::fmt::Display;

use ipnet::IpNet;
use serde_json::Value;

use crate::cluster::Cluster;

/// Successful writes of the controllers, oldest first, as (verb, resource with subresource, name, body of the answer).
pub fn writes(cluster: &Cluster) -> Vec<(String, String, String, Value)> {
    let log = std::fs::read_to_string(cluster.audit_log()).unwrap_or_default();
    let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries
        .filter(|e| e["userAgent"].as_str().is_none_or(|agent| !agent.starts_with("kube")))
        .filter(|e| e["responseStatus"]["code"].as_u64().is_some_and(|code| code < 300))
        .map(|e| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let object = &e["objectRef"];
            let sub = text(&object["subresource"]);
            let resource = text(&object["resource"]) + if sub.is_empty() { "" } else { "/" } + &sub;
            let name = [&object["name"], &e["responseObject"]["metadata"]["name"]].map(text);
            let name = name.into_iter().find(|n| !n.is_empty()).unwrap_or_default();
            (text(&e["verb"]), resource, name, e["responseObject"].clone())
        })
        .collect()
}

/// Number of writes by resource.
pub fn by_resource(cluster: &Cluster) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, resource, _, _) in writes(cluster) {
        *counts.entry(resource).or_default() += 1;
    }
    counts
}

/// What an object certainly said: from the answer to the write that said it until the first request came that may have
/// changed it. The log itself is in the order in which requests were over, and can have a write behind one that was only made
/// because of it.
struct Said<T> {
    name: String,
    value: T,
    from: String,
    until: Option<String>,
}

impl<T> Said<T> {
    fn ends_by(&self, time: &str) -> bool {
        self.until.as_deref().is_some_and(|until| until <= time)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.name != other.name && !self.ends_by(&other.from) && !other.ends_by(&self.from)
    }
}

/// A time of a request. Microseconds always have six digits (metav1.MicroTime): texts are in the order of time.
fn time(entry: &Value, field: &str) -> String {
    entry[field].as_str().unwrap_or_default().to_owned()
}

/// What the objects of a kind said at one time or another.
fn said<T>(log: &str, resource: &str, values: impl Fn(&Value) -> Vec<T>) -> Vec<Said<T>> {
    let mut objects: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for entry in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let done = entry["responseStatus"]["code"].as_u64().is_some_and(|code| code < 300);
        if done && entry["objectRef"]["resource"] == resource {
            let given = &entry["responseObject"]["metadata"]["name"];
            let name = entry["objectRef"]["name"].as_str().or(given.as_str()).unwrap_or_default();
            objects.entry(name.to_owned()).or_default().push(entry);
        }
    }
    let mut found = Vec::new();
    for (name, entries) in &objects {
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry["verb"] != "delete") {
            let (came, from) = (time(entry, "requestReceivedTimestamp"), time(entry, "stageTimestamp"));
            // All but those that were over before this one came.
            let others =
                entries.iter().enumerate().filter(|(n, e)| *n != at && time(e, "stageTimestamp") >= came);
            let until = others.map(|(_, other)| time(other, "requestReceivedTimestamp")).min();
            if until.as_ref().is_none_or(|until| *until > from) {
                let said =
                    |value| Said { name: name.clone(), value, from: from.clone(), until: until.clone() };
                found.extend(values(&entry["responseObject"]).into_iter().map(said));
            }
        }
    }
    found
}

/// Each two of them at the same time that are in each other's way.
fn clashes<T: Display>(all: &[Said<T>], clash: impl Fn(&T, &T) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (at, one) in all.iter().enumerate() {
        let others =
            all[at + 1..].iter().filter(|other| one.overlaps(other) && clash(&one.value, &other.value));
        let say = |other: &Said<T>| format!("{} {} and {} {}", one.name, one.value, other.name, other.value);
        found.extend(others.map(say));
    }
    found
}

fn read(cluster: &Cluster) -> String {
    std::fs::read_to_string(cluster.audit_log()).unwrap()
}

/// The pairs of Services that ever recorded one address at the same time.
pub fn double_owners(cluster: &Cluster) -> Vec<String> {
    owners_in(&read(cluster))
}

fn owners_in(log: &str) -> Vec<String> {
    let addresses = |service: &Value| -> Vec<String> {
        let ingress = service["status"]["loadBalancer"]["ingress"].as_array();
        ingress.into_iter().flatten().filter_map(|i| i["ip"].as_str()).map(str::to_owned).collect()
    };
    let all = said(log, "services", addresses);
    assert!(!all.is_empty(), "the audit log names no address");
    clashes(&all, |one, other| one == other)
}

/// The pairs of blocks that ever shared an address at the same time.
pub fn overlapping_blocks(cluster: &Cluster) -> Vec<String> {
    let net =
        |block: &Value| -> Vec<IpNet> { vec![block["spec"]["cidr"].as_str().unwrap().parse().unwrap()] };
    let all = said(&read(cluster), "addressblocks", net);
    assert!(!all.is_empty(), "the audit log names no block");
    clashes(&all, |one, other| one.contains(other) || other.contains(one))
}

#[test]
fn two_services_clash_that_have_an_address_at_once_and_not_one_after_the_other() {
    // From and until are seconds of one minute.
    let request = |verb: &str, name: &str, (from, until): (u8, u8), addresses: &[&str]| {
        let at = |second: u8| format!("2026-01-01T00:00:{second:02}.000000Z");
        let ingress: Vec<Value> = addresses.iter().map(|ip| serde_json::json!({ "ip": ip })).collect();
        let entry = serde_json::json!({
            "verb": verb, "objectRef": {"resource": "services", "name": name}, "responseStatus": {"code": 200},
            "requestReceivedTimestamp": at(from), "stageTimestamp": at(until),
            "responseObject": {"status": {"loadBalancer": {"ingress": ingress}}},
        });
        format!("{entry}\n")
    };
    let a = request("patch", "a", (1, 2), &["10.0.1.0"]);
    let b = |times| request("patch", "b", times, &["10.0.1.0"]);
    assert_eq!(owners_in(&(a.clone() + &b((3, 4)))), ["a 10.0.1.0 and b 10.0.1.0"]);
    for ended in [request("delete", "a", (3, 6), &["10.0.1.0"]), request("patch", "a", (3, 6), &[])] {
        // The log has the end of the first one behind the write that was made because of it.
        assert!(owners_in(&(a.clone() + &b((4, 5)) + &ended)).is_empty());
        let early = b((2, 3)) + &ended.replace(":03.", ":05.");
        assert_eq!(owners_in(&(a.clone() + &early)), ["a 10.0.1.0 and b 10.0.1.0"]);
    }
}
