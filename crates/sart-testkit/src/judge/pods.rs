//! Pods: one holds an address from the status that names it until it has ended or its node has deleted it.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::net::IpAddr;

use anyhow::Result;
use serde_json::Value;

use super::{Change, Deed, Verdict, addresses, answer, of_records};
use crate::audit::{Event, events};

/// Who deletes the pods of a node that has gone (kube-controller-manager).
const COLLECTOR: &str = "system:serviceaccount:kube-system:pod-garbage-collector";

/// Judges the pods, but for those on the address of their own node (`of_nodes`).
///
/// # Errors
/// If a line is no Event, an answer lacks what says who held what (see the log's policy), or none names an address.
pub fn verdict(log: impl BufRead, of_nodes: &BTreeSet<IpAddr>) -> Result<Verdict> {
    of_records(events(log), |event| {
        let deed = deed(event, of_nodes)?;
        Some(deed.and_then(|(pod, deed)| Ok(vec![Change::of(event, pod, pod, deed)?])))
    })
}

/// The user's deletion only asks; the kubelet's comes when the sandbox is gone, the collector's when the node is.
fn deed<'a>(event: &'a Event, of_nodes: &BTreeSet<IpAddr>) -> Option<Result<(&'a Value, Deed)>> {
    let pod = answer(event, "pods")?;
    match (event.text("/verb")?, event.text("/objectRef/subresource")) {
        ("delete", None) => {
            let user = event.text("/user/username")?;
            let is_final = user.starts_with("system:node:") || user == COLLECTOR;
            is_final.then(|| pod.map(|pod| (pod, Deed::Gone)))
        }
        ("patch" | "update", Some("status")) => Some(pod.and_then(|pod| Ok((pod, held(pod, of_nodes)?)))),
        _ => None,
    }
}

fn held(pod: &Value, of_nodes: &BTreeSet<IpAddr>) -> Result<Deed> {
    if matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed")) {
        return Ok(Deed::Holds(Vec::new()));
    }
    let mut addresses = addresses(pod.pointer("/status/podIPs"))?;
    addresses.retain(|address| !of_nodes.contains(&address.addr()));
    Ok(Deed::Holds(addresses))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{event, nets, object};
    use super::*;

    fn status(status: &Value) -> Deed {
        let nodes = BTreeSet::from(["172.18.0.3".parse().unwrap()]);
        let event = event("pods", "patch", Some("status"), &object("7", "p", status));
        deed(&event, &nodes).unwrap().unwrap().1
    }

    #[test]
    fn a_pod_holds_what_its_status_names_but_not_its_nodes_address() {
        let both = json!({"phase": "Running", "podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]});
        assert_eq!(status(&both), Deed::Holds(nets(&["10.1.0.1", "fd00::1"])));
        for none in [json!({"phase": "Pending"}), json!({"podIPs": [{"ip": "172.18.0.3"}]})] {
            assert_eq!(status(&none), Deed::Holds(Vec::new()), "{none}");
        }
    }

    #[test]
    fn a_pod_lets_go_when_it_has_ended_or_its_kubelet_deletes_it_but_not_when_somebody_asks() {
        let ended = json!({"phase": "Succeeded", "podIPs": [{"ip": "10.1.0.1"}]});
        assert_eq!(status(&ended), Deed::Holds(Vec::new()));
        let answer = object("8", "p", &json!({"podIPs": [{"ip": "10.1.0.1"}]}));
        let by = |user: &str| {
            let event = event("pods", "delete", None, &answer);
            let mut event = event.at("").unwrap().clone();
            event["user"]["username"] = json!(user);
            deed(&event.into(), &BTreeSet::new()).map(|found| found.unwrap().1)
        };
        assert_eq!(by("system:node:w"), Some(Deed::Gone));
        assert_eq!(by(COLLECTOR), Some(Deed::Gone));
        assert_eq!(by("admin"), None);
    }
}
