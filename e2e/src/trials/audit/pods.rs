//! The same judgement for pods: a pod holds an address from the status that names it until the pod has ended or its node has
//! deleted it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::audit::{Event, Mark};

/// Who deletes the pods of a node that has gone (kube-controller-manager).
const COLLECTOR: &str = "system:serviceaccount:kube-system:pod-garbage-collector";

/// What one line of the log did to a pod's addresses.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    /// RFC 3339 with microseconds in UTC: sorts as text. A deletion counts from when it was asked for, an address from when
    /// it was written: the order of requests under way at once is not taken from the log.
    at: String,
    /// `namespace/name`.
    pod: String,
    addresses: Vec<String>,
}

/// Statuses with an address, and two holders at once, each in a sentence. Pods on their node's own address are left out.
pub(in super::super) fn double_holders(
    log: &Path,
    of_nodes: &BTreeSet<String>,
) -> Result<(usize, Vec<String>)> {
    let mut changes = Mark::beginning(log).gather(|event| change(event, of_nodes))?;
    let writes = changes.iter().filter(|change| !change.addresses.is_empty()).count();
    ensure!(writes > 0, "the audit log shows no address of a pod");
    changes.sort_by(|a, b| a.at.cmp(&b.at));
    Ok((writes, judge(&changes)))
}

fn judge(changes: &[Change]) -> Vec<String> {
    let mut held: BTreeMap<&str, &[String]> = BTreeMap::new();
    let mut found = Vec::new();
    for Change { at, pod, addresses } in changes {
        for address in addresses {
            let other = held.iter().find(|(other, has)| **other != pod && has.contains(address));
            found.extend(
                other.map(|(other, _)| format!("{at}: {address} given to {pod} while {other} holds it")),
            );
        }
        held.insert(pod, addresses);
    }
    found
}

/// The user's deletion only asks; the kubelet's comes when the sandbox is gone, the collector's when the node is.
fn change(event: &Event, of_nodes: &BTreeSet<String>) -> Option<Change> {
    let text = |pointer: &str| event.text(pointer);
    let code = event.at("/responseStatus/code").and_then(Value::as_u64)?;
    if text("/objectRef/resource")? != "pods" || !(200..300).contains(&code) {
        return None;
    }
    let pod = format!("{}/{}", text("/objectRef/namespace")?, text("/objectRef/name")?);
    let gone = |at: &str| Some(Change { at: at.to_owned(), pod: pod.clone(), addresses: Vec::new() });
    match (text("/verb")?, text("/objectRef/subresource")) {
        ("delete", None) => {
            let user = text("/user/username")?;
            let final_one = user.starts_with("system:node:") || user == COLLECTOR;
            final_one.then(|| gone(text("/requestReceivedTimestamp")?)).flatten()
        }
        ("patch" | "update", Some("status")) => {
            let status = event.at("/requestObject/status")?;
            if matches!(status["phase"].as_str(), Some("Succeeded" | "Failed")) {
                return gone(text("/requestReceivedTimestamp")?);
            }
            // A patch without addresses changes none.
            let listed = status["podIPs"].as_array()?;
            let addresses = listed.iter().filter_map(|entry| entry["ip"].as_str());
            let addresses: Vec<String> =
                addresses.filter(|address| !of_nodes.contains(*address)).map(str::to_owned).collect();
            Some(Change { at: text("/stageTimestamp")?.to_owned(), pod, addresses })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(status: &Value) -> Value {
        json!({
            "verb": "patch", "stageTimestamp": "2", "requestReceivedTimestamp": "1",
            "user": {"username": "system:node:w"}, "responseStatus": {"code": 200},
            "objectRef": {"resource": "pods", "namespace": "n", "name": "p", "subresource": "status"},
            "requestObject": {"status": status},
        })
    }

    fn changed(at: &str, addresses: &[&str]) -> Change {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        Change { at: at.to_owned(), pod: "n/p".to_owned(), addresses }
    }

    #[test]
    fn a_status_with_an_address_holds_it_and_one_without_says_nothing() {
        let nodes = BTreeSet::from(["172.18.0.3".to_owned()]);
        let held = status(&json!({"podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]}));
        assert_eq!(change(&held.into(), &nodes), Some(changed("2", &["10.1.0.1", "fd00::1"])));
        assert_eq!(change(&status(&json!({"conditions": []})).into(), &nodes), None);
        let own = status(&json!({"podIPs": [{"ip": "172.18.0.3"}]}));
        assert_eq!(change(&own.into(), &nodes), Some(changed("2", &[])));
    }

    #[test]
    fn an_address_of_a_pod_that_has_not_let_go_is_found_with_another() {
        let given = |at: &str, pod: &str, addresses: &[&str]| Change {
            pod: pod.to_owned(),
            ..changed(at, addresses)
        };
        let double = [given("1", "n/a", &["10.1.0.1"]), given("2", "n/b", &["10.1.0.1"])];
        assert_eq!(judge(&double), ["2: 10.1.0.1 given to n/b while n/a holds it"]);
        let after =
            [given("1", "n/a", &["10.1.0.1"]), given("2", "n/a", &[]), given("3", "n/b", &["10.1.0.1"])];
        assert!(judge(&after).is_empty());
    }

    #[test]
    fn a_pod_lets_go_when_it_has_ended_or_its_kubelet_deletes_it_but_not_when_somebody_asks() {
        let ended = status(&json!({"phase": "Succeeded", "podIPs": [{"ip": "10.1.0.1"}]}));
        assert_eq!(change(&ended.into(), &BTreeSet::new()), Some(changed("1", &[])));
        let mut deletion = status(&json!({}));
        deletion["verb"] = json!("delete");
        deletion["objectRef"] = json!({"resource": "pods", "namespace": "n", "name": "p"});
        assert_eq!(change(&deletion.clone().into(), &BTreeSet::new()), Some(changed("1", &[])));
        deletion["user"]["username"] = json!("admin");
        assert_eq!(change(&deletion.clone().into(), &BTreeSet::new()), None);
    }
}
