//! What the trials ask of a running sart: its processes, its pods, the sample's VIPs. Decides nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::Lab;
use crate::demo::context::NAMESPACE;
use crate::lab::process;
use crate::wait::{Patience, until};

/// Namespace of sart's workloads.
pub(super) const SYSTEM: &str = "kube-system";

/// How long a rollout may take.
const ROLLOUT: &str = "--timeout=180s";

/// The address of a Service of the samples, on its first port.
pub(super) fn vip(lab: &Lab, service: &str) -> Result<SocketAddr> {
    let object = lab.kubectl()?.json(&["-n", NAMESPACE, "get", "service", service])?;
    let address = ingress(&object).with_context(|| format!("Service test/{service} has no address"))?;
    let port = object.pointer("/spec/ports/0/port").and_then(Value::as_u64).context("it has no port")?;
    Ok(SocketAddr::from((address, u16::try_from(port)?)))
}

/// The first ingress address of a Service.
pub(super) fn ingress(service: &Value) -> Option<Ipv4Addr> {
    service.pointer("/status/loadBalancer/ingress/0/ip")?.as_str()?.parse().ok()
}

/// Kills with SIGKILL every process of this program on these machines; the number killed.
pub(super) fn kill_everywhere(lab: &Lab, nodes: &[String], program: &str) -> Result<usize> {
    let running = running_everywhere(lab, nodes, program)?;
    for process in &running {
        kill(Pid::from_raw(process.pid), Signal::SIGKILL)
            .with_context(|| format!("kill {program}, process {}", process.pid))?;
    }
    Ok(running.len())
}

/// Every process of this program on these machines.
pub(super) fn running_everywhere(
    lab: &Lab,
    nodes: &[String],
    program: &str,
) -> Result<Vec<process::Process>> {
    let mut running = Vec::new();
    for node in nodes {
        // sart's pods have pid namespaces of their own but share the node's network.
        let network = lab.machine(node)?.init.namespace("net");
        let inside = process::all().into_iter().filter(|process| process.namespace("net") == network);
        let is_it = |process: &process::Process| {
            process.command().split(' ').next().is_some_and(|path| path.ends_with(program))
        };
        running.extend(inside.filter(is_it));
    }
    Ok(running)
}

/// Waits until every node has an agent: one that was killed before is started again only after the kubelet's back-off.
pub(super) fn agents_run(lab: &Lab) -> Result<()> {
    let names = nodes(lab);
    until("every agent runs", Patience::once(Duration::from_secs(120)), || {
        let running = running_everywhere(lab, &names, "sart-agent")?.len();
        ensure!(running >= names.len(), "{running} of {} run", names.len());
        Ok(())
    })
}

/// Names of all Kubernetes nodes.
pub(super) fn nodes(lab: &Lab) -> Vec<String> {
    lab.topology.nodes.iter().map(|node| node.name.clone()).collect()
}

/// Makes the namespace and waits until pods may be created in it: the API refuses them before their ServiceAccount is there.
pub(super) fn make_namespace(lab: &Lab, manifest: &str, name: &str) -> Result<()> {
    let kubectl = lab.kubectl()?;
    crate::exec::feed(&mut kubectl.command(&["apply", "-f", "-"]), manifest)?;
    let wait = ["-n", name, "wait", "--for=create", "serviceaccount/default", "--timeout=60s"];
    kubectl.run(&wait).map(drop)
}

/// Waits until a workload runs as its spec says.
pub(super) fn rolled_out(lab: &Lab, workload: &str) -> Result<()> {
    lab.kubectl()?.run(&["-n", SYSTEM, "rollout", "status", workload, ROLLOUT]).map(drop)
}

/// Waits until every NodeBGP's condition of this type has this status; the reasons and messages.
pub(super) fn node_conditions(lab: &Lab, kind: &str, status: &str) -> Result<Vec<String>> {
    let kubectl = lab.kubectl()?;
    until(&format!("{kind} {status} on every node"), Patience::stable(Duration::from_secs(120)), || {
        let list = kubectl.json(&["get", "nodebgp"])?;
        let items = list.get("items").and_then(Value::as_array).context("no NodeBGP")?;
        items.iter().map(|item| condition(item, kind, status)).collect()
    })
}

fn condition(object: &Value, kind: &str, status: &str) -> Result<String> {
    let conditions =
        object.pointer("/status/conditions").and_then(Value::as_array).context("no condition yet")?;
    let found = conditions.iter().find(|condition| text(condition, "type") == kind);
    let found = found.with_context(|| format!("no condition {kind}"))?;
    ensure!(text(found, "status") == status, "{kind} is {}", text(found, "status"));
    Ok(format!("{}: {}", text(found, "reason"), text(found, "message")))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
