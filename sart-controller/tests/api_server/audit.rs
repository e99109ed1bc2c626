//! Reads the API server's audit log: the one record of writes that no process under test can embellish.

use std::collections::BTreeMap;

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

/// Replays every status write and Service deletion: the pairs of Services that ever recorded one address at the same time.
pub fn double_owners(cluster: &Cluster) -> Vec<String> {
    let log = std::fs::read_to_string(cluster.audit_log()).unwrap_or_default();
    let mut holders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut doubles = Vec::new();
    for entry in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let service = entry["objectRef"]["resource"] == "services";
        let done = entry["responseStatus"]["code"].as_u64().is_some_and(|code| code < 300);
        if !(service && done) {
            continue;
        }
        let name = entry["objectRef"]["name"].as_str().unwrap_or_default().to_owned();
        let ingress = entry["responseObject"]["status"]["loadBalancer"]["ingress"].as_array();
        let gone = entry["verb"] == "delete";
        let addresses = ingress.into_iter().flatten().filter(|_| !gone).filter_map(|i| i["ip"].as_str());
        holders.insert(name, addresses.map(str::to_owned).collect());
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (holder, address) in holders.iter().flat_map(|(h, list)| list.iter().map(move |a| (h, a))) {
            if let Some(other) = seen.insert(address, holder) {
                doubles.push(format!("{address}: {other} and {holder}"));
            }
        }
    }
    doubles
}

/// Replays every create and deletion of a block: the pairs of blocks that ever shared an address at the same time.
pub fn overlapping_blocks(cluster: &Cluster) -> Vec<String> {
    let log = std::fs::read_to_string(cluster.audit_log()).unwrap_or_default();
    let mut live: BTreeMap<String, IpNet> = BTreeMap::new();
    let mut overlaps = Vec::new();
    for entry in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let block = entry["objectRef"]["resource"] == "addressblocks";
        let done = entry["responseStatus"]["code"].as_u64().is_some_and(|code| code < 300);
        let object = &entry["responseObject"];
        if !(block && done) {
            continue;
        }
        if entry["verb"] == "delete" {
            live.remove(entry["objectRef"]["name"].as_str().unwrap());
            continue;
        }
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let net: IpNet = object["spec"]["cidr"].as_str().unwrap().parse().unwrap();
        for (other, taken) in live.iter().filter(|(other, _)| **other != name) {
            if taken.contains(&net) || net.contains(taken) {
                overlaps.push(format!("{name} {net} and {other} {taken}"));
            }
        }
        live.insert(name, net);
    }
    overlaps
}
