//! Pods with addresses of both families and pods with IPv6 alone: they reach each other across nodes over routes that the
//! spines' FRR handed on, and serve Services of both families. Sessions, pools and pods are the trial's own.

mod manifests;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use serde_json::Value;

use self::manifests::{BOTH, BOTH_SERVICE, LB_POOL, LB_POOL_NET, POD_POOL, SIX, SIX_SERVICE};
use super::load::request;
use super::pods::{REST, nothing_new, pod_objects};
use super::sart::make_namespace;
use crate::demo::context::{list, pod_addresses};
use crate::lab::inside::Inside;
use crate::lab::topology::{CLIENT_NAME, SPINES, ipv6};
use crate::progress::say;
use crate::wait::{Patience, until};
use crate::{Lab, exec};

const LIMIT: Duration = Duration::from_secs(120);
/// Requests to each Service.
const REQUESTS: usize = 20;

/// A running pod of the trial.
struct Pod {
    namespace: String,
    name: String,
    node: String,
    addresses: Vec<IpAddr>,
}

/// A block of the trial's pool.
struct Block {
    net: IpNet,
    node: String,
}

/// See the table of trials.
pub(super) fn both(lab: &Lab) -> Result<String> {
    let kubectl = lab.kubectl()?;
    let objects = pod_objects(lab)?;
    exec::feed(&mut kubectl.command(&["apply", "-f", "-"]), &manifests::network())?;
    let outcome = shown(lab);
    if let Ok(figure) = &outcome {
        say(&format!("  {figure}; what is left is looked for"));
    }
    for namespace in [BOTH, SIX] {
        let words = ["delete", "namespace", namespace, "--ignore-not-found", "--wait=true", "--timeout=180s"];
        kubectl.run(&words)?;
    }
    let left = until("blocks, requests and advertisements as before", Patience::once(REST), || {
        let mut now = pod_objects(lab)?;
        // A pool of Services is a block of its own and goes with it.
        now.remove(&format!("addressblock.sart.terassyi.net/{LB_POOL}"));
        nothing_new(&now, &objects)
    });
    exec::feed(&mut kubectl.command(&["delete", "--timeout=60s", "-f", "-"]), &manifests::network())?;
    let figure = outcome?;
    left?;
    Ok(figure)
}

fn shown(lab: &Lab) -> Result<String> {
    let kubectl = lab.kubectl()?;
    kubectl.run(&["wait", "--for=condition=Accepted", "addresspool", POD_POOL, LB_POOL, "--timeout=60s"])?;
    let sessions = until("sessions over IPv6", Patience::stable(LIMIT), || sessions(lab))?;
    for (name, manifest) in manifests::namespaces() {
        make_namespace(lab, &manifest, name)?;
    }
    exec::feed(&mut kubectl.command(&["apply", "-f", "-"]), &manifests::workloads())?;
    let wanted = lab.topology.nodes.len() * 2;
    let pods = until("pods of both kinds on every node", Patience::stable(LIMIT), || {
        let pods = pods(lab)?;
        ensure!(pods.len() == wanted, "{} of {wanted} pods run", pods.len());
        Ok(pods)
    })?;
    let blocks = blocks(lab)?;
    are_in_blocks(&pods, &blocks)?;
    let routes =
        until("routes to every block on every other node", Patience::stable(LIMIT), || routes(lab, &blocks))?;
    let pairs = reach_each_other(lab, &pods)?;
    let services = services(lab, &pods)?;
    Ok(format!("{sessions} sessions over IPv6; {routes}; {pairs}; {services}"))
}

/// Every spine has an Established session with every node, over IPv6.
fn sessions(lab: &Lab) -> Result<usize> {
    for spine in &SPINES {
        let summary = lab.ask(spine.name, "show bgp ipv6 unicast summary json")?;
        for node in &lab.topology.nodes {
            let state = &summary["peers"][ipv6::uplink(node, spine).to_string()]["state"];
            ensure!(state == "Established", "the session of {} with {} is {state}", spine.name, node.name);
        }
    }
    Ok(SPINES.len() * lab.topology.nodes.len())
}

fn pods(lab: &Lab) -> Result<Vec<Pod>> {
    let kubectl = lab.kubectl()?;
    let mut found = Vec::new();
    for (namespace, families) in [(BOTH, 2), (SIX, 1)] {
        let pods = kubectl.json(&["-n", namespace, "get", "pods"])?;
        for pod in list(&pods["items"]).iter().filter(|pod| pod["status"]["phase"] == "Running") {
            let addresses = pod_addresses(pod)?;
            let name = text(&pod["metadata"]["name"]);
            ensure!(addresses.len() == families, "{namespace}/{name} has {addresses:?}");
            ensure!(addresses.iter().any(IpAddr::is_ipv6), "{namespace}/{name} has no IPv6 address");
            let node = text(&pod["spec"]["nodeName"]);
            found.push(Pod { namespace: namespace.to_owned(), name, node, addresses });
        }
    }
    Ok(found)
}

fn blocks(lab: &Lab) -> Result<Vec<Block>> {
    let blocks = lab.kubectl()?.json(&["get", "addressblocks"])?;
    let ours = list(&blocks["items"]).iter().filter(|block| block["spec"]["poolRef"] == POD_POOL);
    let read = |block: &Value| {
        Ok(Block { net: text(&block["spec"]["cidr"]).parse()?, node: text(&block["spec"]["nodeRef"]) })
    };
    ours.map(read).collect()
}

/// Every IPv6 address lies in a block of its own node, and no two pods share one.
fn are_in_blocks(pods: &[Pod], blocks: &[Block]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for pod in pods {
        for address in &pod.addresses {
            ensure!(seen.insert(address), "{address} is two pods'");
            let inside = |block: &Block| block.node == pod.node && block.net.contains(address);
            ensure!(
                address.is_ipv4() || blocks.iter().any(inside),
                "{address} of {}/{} is in no block of {}",
                pod.namespace,
                pod.name,
                pod.node
            );
        }
    }
    Ok(())
}

/// Each spine has each block from its own node alone, and each other node has a route to it over both spines.
fn routes(lab: &Lab, blocks: &[Block]) -> Result<String> {
    let mut kernel = 0;
    for block in blocks {
        let net = block.net.to_string();
        let owner = lab.topology.nodes.iter().find(|node| node.name == block.node);
        let owner = owner.with_context(|| format!("{net} is of the unknown node {}", block.node))?;
        let origin = owner.asn.to_string();
        for spine in &SPINES {
            let table = lab.ask(spine.name, "show bgp ipv6 unicast json")?;
            let paths = list(&table["routes"][&net]);
            let from_owner = |path: &&Value| path["path"] == origin.as_str();
            ensure!(paths.iter().any(|path| from_owner(&path)), "{} has {net} by {paths:?}", spine.name);
            let began = paths.iter().filter_map(|path| path["path"].as_str()?.rsplit(' ').next());
            let foreign: Vec<&str> = began.filter(|asn| *asn != origin).collect();
            ensure!(foreign.is_empty(), "{} has {net} from {foreign:?} too", spine.name);
        }
        for node in lab.topology.nodes.iter().filter(|node| node.name != block.node) {
            let mut show = lab.machine(&node.name)?.command("ip");
            let shown = exec::stdout(show.args(["-6", "route", "show", &net]))?;
            let missing = SPINES.iter().find(|spine| !shown.contains(&format!("dev {}", spine.interface)));
            ensure!(missing.is_none(), "{} has for {net} only {shown:?}", node.name);
            kernel += 1;
        }
    }
    Ok(format!("{} blocks at both spines and {kernel} kernel routes over both", blocks.len()))
}

/// From inside every pod every other pod answers ping and HTTP in each family both have.
fn reach_each_other(lab: &Lab, pods: &[Pod]) -> Result<String> {
    let (mut four, mut six, mut crossings) = (0, 0, 0);
    for from in pods {
        let inside = Inside::of_pod(&lab.machine(&from.node)?, &from.namespace, &from.name)?;
        for to in pods.iter().filter(|to| to.name != from.name) {
            for address in &to.addresses {
                let Some(own) = from.addresses.iter().find(|own| own.is_ipv4() == address.is_ipv4()) else {
                    continue;
                };
                inside.reaches_as(*own, *address).with_context(|| format!("{} to {}", from.name, to.name))?;
                *(if address.is_ipv4() { &mut four } else { &mut six }) += 1;
                crossings += usize::from(from.node != to.node);
            }
        }
    }
    ensure!(four > 0 && six > 0 && crossings > 0, "{four} and {six} pairs, {crossings} between nodes");
    Ok(format!("{six} pairs by IPv6 and {four} by IPv4, {crossings} between nodes, by ping and HTTP"))
}

/// The client reaches the IPv6-only Service at its VIP; a pod of both families reaches the other one by both of its
/// addresses.
fn services(lab: &Lab, pods: &[Pod]) -> Result<String> {
    let kubectl = lab.kubectl()?;
    let vip = until("an address of the IPv6-only Service", Patience::once(LIMIT), || {
        let service = kubectl.json(&["-n", SIX, "get", "service", SIX_SERVICE])?;
        let address = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str();
        let address: IpAddr = address.context("it has none")?.parse()?;
        ensure!(LB_POOL_NET.parse::<IpNet>()?.contains(&address), "{address} is not of {LB_POOL_NET}");
        Ok(SocketAddr::new(address, 80))
    })?;
    let client = lab.machine(CLIENT_NAME)?;
    let ask = |target: SocketAddr| client.in_network(move || request(target));
    until("the VIP answers the client", Patience::stable(LIMIT), || ask(vip))?;
    let mut backends = BTreeSet::new();
    for _ in 0..REQUESTS {
        let answer: Value = serde_json::from_str(&ask(vip)?).context("the VIP's answer is no JSON")?;
        backends.insert(text(&answer["to"]));
    }
    ensure!(backends.len() > 1, "all of {REQUESTS} requests went to {backends:?}");
    let service = kubectl.json(&["-n", BOTH, "get", "service", BOTH_SERVICE])?;
    let own = list(&service["spec"]["clusterIPs"]).iter().filter_map(|address| address.as_str());
    let own: Vec<IpAddr> = own.map(str::parse).collect::<Result<_, _>>()?;
    ensure!(own.len() == 2, "the Service of both families has {own:?}");
    let pod = pods.iter().find(|pod| pod.namespace == BOTH).context("no pod of both families")?;
    let inside = Inside::of_pod(&lab.machine(&pod.node)?, &pod.namespace, &pod.name)?;
    for address in &own {
        until("a Service's own address answers a pod", Patience::stable(LIMIT), || {
            inside.get(SocketAddr::new(*address, 80))
        })?;
    }
    Ok(format!(
        "{REQUESTS} requests of the client to {vip} answered by {} pods; {} and {} answer a pod",
        backends.len(),
        own[0],
        own[1]
    ))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
