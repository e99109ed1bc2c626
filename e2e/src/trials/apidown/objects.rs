//! What the trial asks the API server for, and reads from it, before it goes and once it is back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::super::sart::{SYSTEM, make_namespace};
use super::judge::ByPod;
use super::{EARLY, NAMESPACE, PEER};
use crate::demo::context::{list, pod_addresses};
use crate::{Lab, exec};

/// A pool of this run alone: an earlier run's addresses rest for two minutes and would be in the way.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    net: String,
}

impl Pool {
    pub(super) fn of_this_run() -> Self {
        let number = std::process::id() % 256;
        Self { name: format!("api-down-{number}"), net: format!("10.21.{number}.0/24") }
    }
}

/// Two workers: one whose agent has been restarted least (the kubelet lets one that often ends wait longer and longer), and
/// another one.
pub(super) fn workers(lab: &Lab) -> Result<(String, String)> {
    let agents = lab.kubectl()?.json(&["-n", SYSTEM, "get", "pods", "-l", "app=sart-agent"])?;
    let restarts = |node: &str| {
        let agent = list(&agents["items"]).iter().find(|agent| agent["spec"]["nodeName"] == node);
        agent.and_then(|agent| agent["status"]["containerStatuses"][0]["restartCount"].as_u64())
    };
    let mut workers: Vec<(u64, &String)> = Vec::new();
    for node in lab.topology.nodes.iter().filter(|node| !node.is_control_plane()) {
        let count = restarts(&node.name).with_context(|| format!("{} has no agent", node.name))?;
        workers.push((count, &node.name));
    }
    workers.sort();
    let [(_, first), .., (_, last)] = workers.as_slice() else {
        anyhow::bail!("the lab has one worker only")
    };
    Ok(((*first).clone(), (*last).clone()))
}

/// Pool, namespace, and the pods that run when the API server goes.
pub(super) fn make(lab: &Lab, pool: &Pool, (worker, other): (&str, &str)) -> Result<()> {
    let kubectl = lab.kubectl()?;
    let manifest = json!({"apiVersion": "sart.terassyi.net/v1alpha2", "kind": "AddressPool",
        "metadata": {"name": pool.name},
        "spec": {"cidr": pool.net, "type": "pod", "allocType": "bit", "blockSize": 29, "autoAssign": false}});
    exec::feed(&mut kubectl.command(&["apply", "-f", "-"]), &manifest.to_string())?;
    kubectl.run(&["wait", "--for=condition=Accepted", "addresspool", &pool.name, "--timeout=60s"])?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE,
        "annotations": {"sart.terassyi.net/addresspool": pool.name}}});
    make_namespace(lab, &namespace.to_string(), NAMESPACE)?;
    let pods = EARLY.iter().map(|name| (*name, worker)).chain([(PEER, other)]);
    bind(lab, &pods.collect::<Vec<_>>())?;
    kubectl
        .run(&["-n", NAMESPACE, "wait", "--for=condition=Ready", "pods", "--all", "--timeout=90s"])
        .map(drop)
}

/// Creates pods on their nodes, past the scheduler. Without a token: a kubelet starts no pod for which it has to ask for one.
pub(super) fn bind(lab: &Lab, pods: &[(&str, &str)]) -> Result<()> {
    let image = concat!("sart.terassyi.net/test-server:", env!("CARGO_PKG_VERSION"));
    let pod = |(name, node): &(&str, &str)| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE},
               "spec": {"nodeName": node, "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false,
                        "containers": [{"name": "app", "image": image, "imagePullPolicy": "IfNotPresent"}]}})
    };
    let items: Vec<Value> = pods.iter().map(pod).collect();
    let manifest = json!({"apiVersion": "v1", "kind": "List", "items": items});
    exec::feed(&mut lab.kubectl()?.command(&["create", "-f", "-"]), &manifest.to_string()).map(drop)
}

/// `CNI_ARGS` as the runtime sets them for a pod.
pub(super) fn arguments(lab: &Lab, pod: &str) -> Result<String> {
    let found = lab.kubectl()?.json(&["-n", NAMESPACE, "get", "pod", pod])?;
    let uid = found["metadata"]["uid"].as_str().with_context(|| format!("{pod} has no UID"))?;
    Ok(named(pod, uid))
}

/// The same for any name and UID.
pub(super) fn named(pod: &str, uid: &str) -> String {
    format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={NAMESPACE};K8S_POD_NAME={pod};K8S_POD_UID={uid}")
}

/// The node's blocks of the pool.
pub(super) fn blocks(lab: &Lab, pool: &Pool, node: &str) -> Result<BTreeSet<Ipv4Net>> {
    let blocks = lab.kubectl()?.json(&["get", "addressblocks"])?;
    let ours =
        |block: &&Value| block["spec"]["poolRef"] == pool.name.as_str() && block["spec"]["nodeRef"] == node;
    let net = |block: &Value| Ok(block["spec"]["cidr"].as_str().context("a block without a net")?.parse()?);
    list(&blocks["items"]).iter().filter(ours).map(net).collect()
}

/// Who has which IPv4 address, of all pods.
pub(super) fn holders(lab: &Lab) -> Result<BTreeMap<Ipv4Addr, String>> {
    let mut holders = BTreeMap::new();
    for (pod, addresses) in pods(lab, None)? {
        let four = addresses.into_iter().filter_map(|address| match address {
            IpAddr::V4(four) => Some(four),
            IpAddr::V6(_) => None,
        });
        holders.extend(four.map(|address| (address, pod.clone())));
    }
    Ok(holders)
}

/// Addresses of the pods that have a network of their own, of one node or of all. Those that wait have none.
pub(super) fn pods(lab: &Lab, node: Option<&str>) -> Result<ByPod> {
    let pods = lab.kubectl()?.json(&["get", "pods", "-A"])?;
    let mut found = ByPod::new();
    for pod in list(&pods["items"]) {
        let elsewhere = node.is_some_and(|node| pod["spec"]["nodeName"] != node);
        if elsewhere || pod["spec"]["hostNetwork"] == true {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = format!("{}/{}", text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
        let addresses: BTreeSet<IpAddr> = pod_addresses(pod)?.into_iter().collect();
        if !addresses.is_empty() {
            found.insert(name, addresses);
        }
    }
    Ok(found)
}

/// Every pod of the cluster is Ready.
pub(super) fn all_ready(lab: &Lab) -> Result<()> {
    let pods = lab.kubectl()?.json(&["get", "pods", "-A"])?;
    let ready = |pod: &&Value| {
        list(&pod["status"]["conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    let unready: Vec<&Value> =
        list(&pods["items"]).iter().filter(|pod| !ready(pod)).map(|pod| &pod["metadata"]["name"]).collect();
    ensure!(unready.is_empty(), "{unready:?} are not Ready");
    Ok(())
}
