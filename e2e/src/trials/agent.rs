//! The agent dies, is replaced, or may not load programs, while clients talk to VIPs.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::load::{Ends, Load, request};
use super::sart::{SYSTEM, agents_run, kill_everywhere, node_conditions, nodes, rolled_out, vip};
use crate::Lab;
use crate::demo::context::NAMESPACE;
use crate::lab::topology::{CLIENT_NAME, SPINES};
use crate::wait::{Patience, until};

const REQUESTS: usize = 2000;
const LOCAL: &str = "app-svc-local";
const AGENT: &str = "daemonset/sartd-agent";

/// Kills every agent with -9 a quarter into the requests.
pub(super) fn kill(lab: &Lab) -> Result<String> {
    let load = load(lab)?;
    load.reach(25)?;
    let killed = kill_everywhere(lab, &nodes(lab), "sart-agent")?;
    ensure!(killed > 0, "no agent was running");
    agents_run(lab)?;
    rolled_out(lab, AGENT)?;
    let outcome = load.finish()?;
    Ok(format!("{outcome}; {killed} agents killed"))
}

/// Rolls every agent to the same content under a second name, so that each pod is replaced by another image reference.
pub(super) fn roll(lab: &Lab) -> Result<String> {
    let kubectl = lab.kubectl()?;
    let workload = kubectl.json(&["-n", SYSTEM, "get", AGENT])?;
    let first = workload.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
    let first = first.context("the agent has no image")?.to_owned();
    let second = format!("{first}-second");
    for node in &lab.topology.nodes {
        let mut tag = lab.machine(&node.name)?.command("ctr");
        crate::exec::run(tag.args(["-n", "k8s.io", "images", "tag", "--force", &first, &second]))?;
    }
    let load = load(lab)?;
    load.reach(10)?;
    kubectl.run(&["-n", SYSTEM, "set", "image", AGENT, &format!("agent={second}")])?;
    rolled_out(lab, AGENT)?;
    let outcome = load.finish()?;
    kubectl.run(&["-n", SYSTEM, "set", "image", AGENT, &format!("agent={first}")])?;
    rolled_out(lab, AGENT)?;
    Ok(format!("{outcome}; every agent replaced by {second}"))
}

/// Requests of the client to the Local VIP.
fn load(lab: &Lab) -> Result<Load> {
    let ends = Ends::of(lab, NAMESPACE, &serving_pods(lab)?)?;
    Load::start(lab, vip(lab, LOCAL)?, REQUESTS, ends)
}

/// Takes CAP_BPF and CAP_PERFMON away, looks, and gives them back.
pub(super) fn without_bpf(lab: &Lab) -> Result<String> {
    let kubectl = lab.kubectl()?;
    let workload = kubectl.json(&["-n", SYSTEM, "get", AGENT])?;
    let path = "/spec/template/spec/containers/0/securityContext/capabilities/add";
    let all = workload.pointer(path).context("the agent names no capabilities")?.clone();
    let fewer: Vec<Value> = all
        .as_array()
        .into_iter()
        .flatten()
        .filter(|name| !matches!(name.as_str(), Some("BPF" | "PERFMON" | "SYS_ADMIN")))
        .cloned()
        .collect();
    let set = |capabilities: &Value| -> Result<()> {
        let patch = json!([{"op": "replace", "path": path, "value": capabilities}]).to_string();
        kubectl.run(&["-n", SYSTEM, "patch", AGENT, "--type=json", "-p", &patch])?;
        rolled_out(lab, AGENT)
    };
    set(&json!(fewer))?;
    let seen = deprived(lab);
    set(&all)?;
    node_conditions(lab, "Dataplane", "True")?;
    seen
}

fn deprived(lab: &Lab) -> Result<String> {
    let reasons: BTreeSet<String> = node_conditions(lab, "Dataplane", "False")?.into_iter().collect();
    let local = vip(lab, LOCAL)?;
    let serving = serving_nodes(lab)?;
    until("Local VIP announced by serving nodes only", Patience::stable(Duration::from_secs(30)), || {
        let announced = announcing_nodes(lab, &local.ip().to_string())?;
        ensure!(announced == serving, "announced by {announced:?}, served by {serving:?}");
        Ok(())
    })?;
    for service in [LOCAL, "app-svc-cluster", "app-svc-cluster2"] {
        let target = vip(lab, service)?;
        lab.machine(CLIENT_NAME)?
            .in_network(move || request(target))
            .with_context(|| format!("ask {service}"))?;
    }
    Ok(format!("{}; announced by {}", reasons.into_iter().collect::<Vec<_>>().join(" | "), joined(&serving)))
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// Nodes with a running pod of the Local Service.
fn serving_nodes(lab: &Lab) -> Result<BTreeSet<String>> {
    Ok(serving_pods(lab)?.into_iter().map(|(node, _)| node).collect())
}

/// Node and name of each pod of the Local Service.
fn serving_pods(lab: &Lab) -> Result<Vec<(String, String)>> {
    let pods = lab.kubectl()?.json(&["-n", NAMESPACE, "get", "pods", "-l", "app=app-local"])?;
    let items = pods.get("items").and_then(Value::as_array).context("no pods")?;
    let text = |pod: &Value, path| Some(pod.pointer(path)?.as_str()?.to_owned());
    let place = |pod| Some((text(pod, "/spec/nodeName")?, text(pod, "/metadata/name")?));
    Ok(items.iter().filter_map(place).collect())
}

/// Nodes from which the first spine has the /32.
fn announcing_nodes(lab: &Lab, address: &str) -> Result<BTreeSet<String>> {
    let spine = SPINES.first().context("the lab has no spine")?;
    let route = lab.ask(spine.name, "show bgp ipv4 unicast json")?;
    let paths = route.pointer(&format!("/routes/{address}~132")).and_then(Value::as_array);
    let peers: BTreeSet<&str> =
        paths.into_iter().flatten().filter_map(|path| path.get("peerId").and_then(Value::as_str)).collect();
    let from = |node: &crate::lab::topology::Node| peers.contains(node.uplink(spine).to_string().as_str());
    Ok(lab.topology.nodes.iter().filter(|node| from(node)).map(|node| node.name.clone()).collect())
}
