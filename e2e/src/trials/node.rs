//! A node is lost: its block stays its own until the Node object is gone, the quarantine is over and nobody sees a route to
//! it, and no other node's pod gets an address of it before. At the end the node comes back.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::sart::{SYSTEM, kill_everywhere, make_namespace, rolled_out};
use crate::demo::context::list;
use crate::lab::topology::SWITCH;
use crate::wait::{Patience, until};
use crate::{Lab, exec};

const NAMESPACE: &str = "node-loss";
const CONTROLLER: &str = "deployment/sart-controller";
const DEFAULT_POOL: &str = "default-pod-pool";
const ARGS: &str = "/spec/template/spec/containers/0/args";
/// Instead of an hour.
const QUARANTINE: Duration = Duration::from_secs(15);
/// Twice that, looked at once a second.
const HELD: Patience =
    Patience { limit: Duration::from_secs(120), pause: Duration::from_secs(1), in_a_row: 30 };
/// Spines keep what a dead speaker announced until its sessions' restart time is over (RFC 4724, 4.2).
const WITHDRAWN: Duration = Duration::from_secs(240);
/// Pods that want addresses while the block is held: more than the other nodes have at hand.
const PODS: usize = 24;

/// The block whose fate is watched.
struct Block {
    name: String,
    uid: String,
    net: Ipv4Net,
}

/// See the table of trials.
pub(super) fn loss(lab: &Lab) -> Result<String> {
    let kubectl = lab.kubectl()?;
    let args = kubectl.json(&["-n", SYSTEM, "get", CONTROLLER])?;
    let args = args.pointer(ARGS).context("the controller has no arguments")?.clone();
    let mut quick = args.as_array().cloned().unwrap_or_default();
    quick.push(json!(format!("--lost-node-quarantine-seconds={}", QUARANTINE.as_secs())));
    set_arguments(lab, &json!(quick))?;
    let victim = victim(lab)?;
    let kubelet = command_of_kubelet(lab, &victim)?;
    let outcome = block_of(lab, &victim).and_then(|block| lose(lab, &victim, &block));
    // After a quarantine of an hour the cluster would have forgotten the pods: they must not come back with what was theirs.
    let outcome = outcome.and_then(|figure| pods_are_forgotten(lab, &victim).map(|()| figure));
    let restored = restore(lab, &victim, &kubelet);
    set_arguments(lab, &args)?;
    let figure = outcome?;
    restored.with_context(|| format!("{victim} does not come back"))?;
    Ok(figure)
}

fn lose(lab: &Lab, victim: &str, block: &Block) -> Result<String> {
    let kubectl = lab.kubectl()?;
    for program in ["kubelet", "sart-agent"] {
        ensure!(kill_everywhere(lab, &[victim.to_owned()], program)? > 0, "no {program} was running");
    }
    set_cable(lab, victim, "down")?;
    until("the node is not Ready", Patience::once(Duration::from_secs(90)), || {
        let node = kubectl.json(&["get", "node", victim])?;
        let ready =
            list(&node["status"]["conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
        ensure!(!ready, "{victim} is Ready");
        Ok(())
    })?;
    ensure!(lost(lab, block)?.is_none(), "a silent node's block is called lost");
    kubectl.run(&["delete", "node", victim])?;
    let gone = Instant::now();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    make_namespace(lab, &namespace.to_string(), NAMESPACE)?;
    exec::feed(&mut kubectl.command(&["apply", "-f", "-"]), &pods())?;
    until("the block is marked lost", Patience::once(Duration::from_secs(60)), || {
        lost(lab, block)?.context("it is not marked")
    })?;
    // Its speaker still runs and its links to the spines stand, so the others see the route: the quarantine alone must not
    // be enough.
    until("the block stays its node's beyond the quarantine", HELD, || {
        let lost = lost(lab, block)?.context("the block is not lost any more")?;
        ensure!(lost.contains("see a route"), "its condition says {lost}");
        Ok(())
    })?;
    let held = gone.elapsed();
    let outside = pods_are_outside(lab, block)?;
    for program in ["sart-bgpd", "sart-fibd"] {
        ensure!(kill_everywhere(lab, &[victim.to_owned()], program)? > 0, "no {program} was running");
    }
    until("the block is given up once no node sees a route", Patience::once(WITHDRAWN), || {
        reused(lab, block)
    })?;
    Ok(format!(
        "{} {} of {victim} kept for {:.0} s with a quarantine of {} s, as its route stood; free {:.0} s after the Node went; \
         {outside} pods elsewhere were outside it",
        block.name,
        block.net,
        held.as_secs_f64(),
        QUARANTINE.as_secs(),
        gone.elapsed().as_secs_f64()
    ))
}

/// The block with this UID is gone: its slot is free, or another's by now.
fn reused(lab: &Lab, block: &Block) -> Result<()> {
    let blocks = lab.kubectl()?.json(&["get", "addressblocks"])?;
    let still = list(&blocks["items"]).iter().find(|item| item["metadata"]["uid"] == block.uid);
    ensure!(
        still.is_none(),
        "it is there: {}",
        condition(&still.cloned().unwrap_or_default()).unwrap_or_default()
    );
    Ok(())
}

/// All pods run on other nodes, none with an address of the block.
fn pods_are_outside(lab: &Lab, block: &Block) -> Result<usize> {
    let kubectl = lab.kubectl()?;
    until("pods on the other nodes", Patience::once(Duration::from_secs(120)), || {
        let pods = kubectl.json(&["-n", NAMESPACE, "get", "pods"])?;
        let running = list(&pods["items"]).iter().filter(|pod| pod["status"]["phase"] == "Running");
        let addresses: Vec<std::net::Ipv4Addr> =
            running.filter_map(|pod| pod["status"]["podIP"].as_str()?.parse().ok()).collect();
        let inside: Vec<_> = addresses.iter().filter(|address| block.net.contains(*address)).collect();
        ensure!(inside.is_empty(), "{inside:?} belong to the lost node");
        ensure!(addresses.len() == PODS, "{} of {PODS} run", addresses.len());
        Ok(PODS)
    })
}

/// Waits until no pod of the node is left in the API; what collects them waits a while itself.
fn pods_are_forgotten(lab: &Lab, victim: &str) -> Result<()> {
    let kubectl = lab.kubectl()?;
    until("pods of the lost node gone from the API", Patience::once(Duration::from_secs(180)), || {
        let pods = kubectl.json(&["get", "pods", "-A"])?;
        let left = list(&pods["items"]).iter().filter(|pod| pod["spec"]["nodeName"] == victim).count();
        ensure!(left == 0, "{left} are left");
        Ok(())
    })
}

/// Brings the node back, with what the trial made gone.
fn restore(lab: &Lab, victim: &str, kubelet: &[String]) -> Result<()> {
    let kubectl = lab.kubectl()?;
    let (program, args) = kubelet.split_first().context("the kubelet had no command line")?;
    set_cable(lab, victim, "up")?;
    lab.machine(victim)?.daemon("kubelet", &PathBuf::from(program), args)?;
    kubectl.run(&[
        "delete",
        "namespace",
        NAMESPACE,
        "--ignore-not-found",
        "--wait=true",
        "--timeout=120s",
    ])?;
    lab.await_ready()?;
    for workload in ["daemonset/sartd-agent", "daemonset/sartd-bgp"] {
        rolled_out(lab, workload)?;
    }
    until("the node has a block again", Patience::stable(Duration::from_secs(120)), || block_of(lab, victim))
        .map(drop)
}

/// The node's cable to the network of the API server; cut at the switch, so that the node keeps its routes.
fn set_cable(lab: &Lab, victim: &str, state: &str) -> Result<()> {
    let node = lab.topology.nodes.iter().find(|node| node.name == victim);
    let port = format!("n{}", node.with_context(|| format!("the lab has no node {victim}"))?.number);
    exec::run(lab.machine(SWITCH)?.command("ip").args(["link", "set", &port, state]))
}

/// A worker without the controller, and without a pod that nobody would make again.
fn victim(lab: &Lab) -> Result<String> {
    let pods = lab.kubectl()?.json(&["get", "pods", "-A"])?;
    let stays = |pod: &&Value| {
        let metadata = &pod["metadata"];
        metadata["labels"]["app"] == "sart-controller" || list(&metadata["ownerReferences"]).is_empty()
    };
    let needed = list(&pods["items"]).iter().filter(stays);
    let needed: Vec<&str> = needed.filter_map(|pod| pod["spec"]["nodeName"].as_str()).collect();
    let workers = lab.topology.nodes.iter().filter(|node| !node.is_control_plane());
    let free = workers.map(|node| &node.name).rfind(|name| !needed.contains(&name.as_str()));
    free.cloned().context("every worker runs a pod that would not come back")
}

fn command_of_kubelet(lab: &Lab, victim: &str) -> Result<Vec<String>> {
    let commands = lab.machine(victim)?.processes().into_iter().map(|process| process.command());
    let kubelet = commands
        .map(|command| command.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .find(|words| words.first().is_some_and(|program| program.ends_with("/kubelet")));
    kubelet.with_context(|| format!("no kubelet runs on {victim}"))
}

/// The node's first block of the default pool.
fn block_of(lab: &Lab, node: &str) -> Result<Block> {
    let blocks = lab.kubectl()?.json(&["get", "addressblocks"])?;
    let of_node = |item: &&Value| item["spec"]["nodeRef"] == node && item["spec"]["poolRef"] == DEFAULT_POOL;
    let found =
        list(&blocks["items"]).iter().find(of_node).with_context(|| format!("{node} has no block"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Block {
        name: text(&found["metadata"]["name"]),
        uid: text(&found["metadata"]["uid"]),
        net: text(&found["spec"]["cidr"]).parse()?,
    })
}

/// What the block's condition `Lost` says while it is true. An error if the block is not its node's any more.
fn lost(lab: &Lab, block: &Block) -> Result<Option<String>> {
    let found = lab.kubectl()?.json(&["get", "addressblock", &block.name])?;
    ensure!(found["metadata"]["uid"] == block.uid, "{} is another block by now", block.name);
    Ok(condition(&found))
}

fn condition(block: &Value) -> Option<String> {
    let conditions = list(&block["status"]["conditions"]);
    let lost = conditions.iter().find(|c| c["type"] == "Lost" && c["status"] == "True")?;
    Some(lost["message"].as_str().unwrap_or_default().to_owned())
}

fn set_arguments(lab: &Lab, args: &Value) -> Result<()> {
    let patch = json!([{"op": "replace", "path": ARGS, "value": args}]).to_string();
    lab.kubectl()?.run(&["-n", SYSTEM, "patch", CONTROLLER, "--type=json", "-p", &patch])?;
    rolled_out(lab, CONTROLLER)
}

fn pods() -> String {
    let image = concat!("sart.terassyi.net/test-server:", env!("CARGO_PKG_VERSION"));
    let pod = |number: usize| {
        json!({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": format!("p{number}"), "namespace": NAMESPACE},
               "spec": {"terminationGracePeriodSeconds": 1,
                        "containers": [{"name": "app", "image": image, "imagePullPolicy": "IfNotPresent"}]}})
    };
    let items: Vec<Value> = (0..PODS).map(pod).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}
