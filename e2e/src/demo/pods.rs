//! Checks of the mode `dual`: nodes get their network from sart, pods their addresses from blocks of their own node, and
//! every pod reaches every other one.

use super::context::{Context, LIMIT, NAMESPACE, list};
use super::install::roll_out;
use crate::lab::inside::Inside;
use crate::lab::topology::SPINES;
use crate::wait::{Patience, until};
use anyhow::{Context as _, Result, ensure};
use ipnet::Ipv4Net;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Pool of pods that name none.
const DEFAULT: &str = "default-pod-pool";
/// Pool of pods that ask for it, themselves or through their namespace.
const OTHER: &str = "non-default-pod-pool";
/// Namespace whose annotation asks for it.
const OTHER_NAMESPACE: &str = "test-non-default";

/// A running pod with a network of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) node: String,
    pub(super) address: Ipv4Addr,
}

/// An AddressBlock of pods.
struct Block {
    name: String,
    net: Ipv4Net,
    pool: String,
    node: String,
}

/// The pools for pods are in, the plugin serves, and each node has become Ready by it.
pub fn nodes_become_ready(context: &Context) -> Result<String> {
    let pools: Vec<_> = context
        .kustomize("e2e/overlay-pods")?
        .into_iter()
        .filter(|manifest| manifest.lines().any(|line| line == "kind: AddressPool"))
        .collect();
    until("pools of pods", Patience::once(Duration::from_secs(20)), || {
        context.apply(&pools.join("\n---\n"))
    })?;
    context.lab.await_ready()?;
    Ok(format!("{} nodes", context.lab.topology.nodes.len()))
}

/// The sample's pods run.
pub fn pods_run(context: &Context) -> Result<String> {
    context.apply(&context.kustomize("e2e/overlay-pods")?.join("\n---\n"))?;
    roll_out(context, NAMESPACE, "daemonset/test")?;
    roll_out(context, OTHER_NAMESPACE, "deployment/test")?;
    let ready = ["-n", NAMESPACE, "wait", "--for=condition=Ready", "pod/test-non-default", "--timeout=90s"];
    context.kubectl.run(&ready)?;
    Ok(format!("{} pods", pods(context)?.len()))
}

/// Each node has one block of the default pool, named as upstream names them, with a request and an advertisement that
/// both of the node's sessions carry.
pub fn each_node_has_its_block(context: &Context) -> Result<String> {
    let nodes = &context.lab.topology.nodes;
    let wanted: BTreeSet<String> =
        (0..nodes.len()).map(|n| format!("{DEFAULT}-{n} 10.1.0.{}/29", n * 8)).collect();
    until("blocks of the default pool", Patience::stable(LIMIT), || {
        let blocks: Vec<Block> = blocks(context)?.into_iter().filter(|block| block.pool == DEFAULT).collect();
        let found: BTreeSet<String> =
            blocks.iter().map(|block| format!("{} {}", block.name, block.net)).collect();
        ensure!(found == wanted, "{found:?} instead of {wanted:?}");
        let owners: BTreeSet<&str> = blocks.iter().map(|block| block.node.as_str()).collect();
        ensure!(owners == nodes.iter().map(|node| node.name.as_str()).collect(), "the owners are {owners:?}");
        let requests: BTreeSet<String> = items(context, "blockrequest")?.iter().map(name).collect();
        let missing = nodes.iter().find(|node| !requests.contains(&format!("{DEFAULT}-{}", node.name)));
        ensure!(missing.is_none(), "{missing:?} has no BlockRequest among {requests:?}");
        blocks.iter().try_for_each(|block| is_carried(context, block))
    })?;
    Ok(wanted.into_iter().collect::<Vec<_>>().join(", "))
}

/// Prefix and node of every block of pods.
pub fn origins(context: &Context) -> Result<Vec<(String, String)>> {
    Ok(blocks(context)?.into_iter().map(|block| (block.net.to_string(), block.node)).collect())
}

/// The advertisement of a block is carried by both sessions of its own node, and by no other.
fn is_carried(context: &Context, block: &Block) -> Result<()> {
    let advert = context.kubectl.json(&["-n", "kube-system", "get", "bgpadvertisement", &block.name])?;
    ensure!(
        advert["spec"]["cidr"] == block.net.to_string(),
        "{} advertises {}",
        block.name,
        advert["spec"]["cidr"]
    );
    let wanted: BTreeMap<String, Value> = SPINES
        .iter()
        .map(|s| {
            (
                format!("bgppeertemplate-{}-{}-{}-{}", s.name, block.node, s.asn, s.loopback),
                "Advertised".into(),
            )
        })
        .collect();
    ensure!(
        advert["status"]["peers"] == serde_json::json!(wanted),
        "{}: {}",
        block.name,
        advert["status"]["peers"]
    );
    Ok(())
}

/// Every pod's address lies in a block of its own node, and no two pods share one.
pub fn pods_are_in_their_nodes_blocks(context: &Context) -> Result<String> {
    let (pods, blocks) = (pods(context)?, blocks(context)?);
    for pod in &pods {
        let block = blocks.iter().find(|block| block.net.contains(&pod.address));
        let block = block.with_context(|| format!("{pod:?} is in no block"))?;
        ensure!(block.node == pod.node, "{pod:?} is in {}, a block of {}", block.name, block.node);
    }
    let distinct: BTreeSet<Ipv4Addr> = pods.iter().map(|pod| pod.address).collect();
    ensure!(distinct.len() == pods.len(), "{} addresses for {} pods", distinct.len(), pods.len());
    Ok(format!("{} pods in {} blocks", pods.len(), blocks.len()))
}

/// Pods whose own or whose namespace's annotation names the other pool have a block of one address each.
pub fn annotations_choose_the_pool(context: &Context) -> Result<String> {
    let blocks = blocks(context)?;
    let asks = |pod: &Pod| pod.namespace == OTHER_NAMESPACE || pod.name == "test-non-default";
    let pods: Vec<Pod> = pods(context)?.into_iter().filter(asks).collect();
    ensure!(pods.len() == 3, "{} pods ask for {OTHER}", pods.len());
    let pool: Ipv4Net = "10.10.0.0/29".parse()?;
    for pod in &pods {
        let block = blocks.iter().find(|block| block.net == Ipv4Net::from(pod.address));
        ensure!(block.is_some_and(|block| block.pool == OTHER) && pool.contains(&pod.address), "{pod:?}");
    }
    let mut addresses: Vec<String> = pods.iter().map(|pod| format!("{}/32", pod.address)).collect();
    addresses.sort();
    Ok(addresses.join(", "))
}

/// From inside every pod every other pod answers ping and HTTP, on the same node and on others.
pub fn every_pod_reaches_every_other(context: &Context) -> Result<String> {
    let pods = pods(context)?;
    let mut crossings = 0;
    for from in &pods {
        let machine = context.lab.machine(&from.node)?;
        let inside = Inside::of_pod(&machine, &from.namespace, &from.name)?;
        for to in pods.iter().filter(|to| *to != from) {
            inside.reaches_as(from.address.into(), to.address.into()).with_context(|| {
                format!("{}/{} to {}/{}", from.namespace, from.name, to.namespace, to.name)
            })?;
            crossings += usize::from(from.node != to.node);
        }
    }
    ensure!(crossings > 0, "all pods are on one node");
    Ok(format!(
        "{} pairs, {crossings} between nodes; pods see each other's own address",
        pods.len() * (pods.len() - 1)
    ))
}

/// Pods that run with a network of their own; anything else about the sample's namespaces is an error.
pub(super) fn pods(context: &Context) -> Result<Vec<Pod>> {
    let mut found = Vec::new();
    for item in items(context, "pod")? {
        let namespace = text(&item["metadata"]["namespace"]);
        let sample = namespace == NAMESPACE || namespace == OTHER_NAMESPACE;
        if !sample || item["spec"]["hostNetwork"] == true || !item["metadata"]["deletionTimestamp"].is_null()
        {
            continue;
        }
        let name = name(&item);
        let address =
            item["status"]["podIP"].as_str().with_context(|| format!("{namespace}/{name} has no address"))?;
        ensure!(item["status"]["phase"] == "Running", "{namespace}/{name} is {}", item["status"]["phase"]);
        found.push(Pod { namespace, name, node: text(&item["spec"]["nodeName"]), address: address.parse()? });
    }
    Ok(found)
}

fn blocks(context: &Context) -> Result<Vec<Block>> {
    let items = items(context, "addressblock")?;
    let pods = items.iter().filter(|item| item["spec"]["type"] == "pod");
    pods.map(|item| {
        let spec = &item["spec"];
        let net = text(&spec["cidr"]).parse()?;
        Ok(Block { name: name(item), net, pool: text(&spec["poolRef"]), node: text(&spec["nodeRef"]) })
    })
    .collect()
}

fn items(context: &Context, kind: &str) -> Result<Vec<Value>> {
    Ok(list(&context.kubectl.json(&["get", kind, "-A"])?["items"]).to_vec())
}

fn name(item: &Value) -> String {
    text(&item["metadata"]["name"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
