//! The layer of each crate, and which crates a pure one may not reach.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::Deserialize;

use crate::run;

/// (crate, layer, crates of ours it may use in what ships). A crate that is not listed is refused.
const LAYERS: &[(&str, u8, &[&str])] = &[
    ("sart-ebpf-common", 0, &[]),
    ("sart-ebpf", 0, &["sart-ebpf-common"]),
    ("sart-api", 1, &[]),
    ("sart-ipam", 1, &[]),
    ("sart-bgp", 1, &[]),
    ("sart-fib", 1, &[]),
    ("sart-dataplane", 1, &["sart-ebpf-common"]),
    ("sart-rpc", 2, &[]),
    ("sart-netlink", 2, &["sart-fib"]),
    ("sart-telemetry", 2, &[]),
    // The plugin's binary is a shell; its library is the contract that the agent serves.
    ("sart-cni", 2, &[]),
    ("sart", 3, &["sart-rpc", "sart-api", "sart-ipam", "sart-telemetry"]),
    ("sart-bgpd", 3, &["sart-bgp", "sart-fib", "sart-netlink", "sart-rpc", "sart-telemetry"]),
    (
        "sart-agent",
        3,
        &[
            "sart-api",
            "sart-cni",
            "sart-dataplane",
            "sart-ebpf-common",
            "sart-fib",
            "sart-ipam",
            "sart-netlink",
            "sart-rpc",
            "sart-telemetry",
        ],
    ),
    ("sart-controller", 3, &["sart-api", "sart-ipam", "sart-telemetry"]),
    ("sart-testkit", 4, &[]),
    ("e2e", 4, &["sart-testkit"]),
    ("bgp-bench", 4, &["e2e", "sart-testkit", "sart-rpc"]),
    ("lb-bench", 4, &["e2e"]),
    ("sart-bgp-fuzz", 4, &["sart-bgp"]),
    ("cni-bench", 4, &["e2e", "sart-agent", "sart-ipam", "sart-testkit"]),
    ("test-server", 4, &[]),
    ("xtask", 4, &["e2e", "sart-api"]),
];

/// What no crate of L0 or L1 may reach through anything it ships: runtimes, clients, sockets, kernel handles.
const IMPURE: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "kube-client",
    "kube-runtime",
    "hyper",
    "tonic",
    "aya",
    "netlink-sys",
    "rtnetlink",
    "nix",
    "rand",
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dep>,
}

#[derive(Deserialize)]
struct Dep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

/// Crate names and the edges that ship (`dev-dependencies` and build scripts do not).
struct Graph {
    ours: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

/// Every arrow that points the wrong way, in words.
pub(super) fn breaches() -> anyhow::Result<Vec<String>> {
    let graph = graph()?;
    let mut breaches = Vec::new();
    for name in &graph.ours {
        match LAYERS.iter().find(|(listed, _, _)| listed == name) {
            None => breaches.push(format!("{name}: not in the table of layers (xtask/src/deps/crates.rs)")),
            Some((_, layer, allowed)) => {
                breaches.extend(wrong_arrows(&graph, name, allowed));
                if *layer <= 1 {
                    breaches.extend(impurities(name)?);
                }
            }
        }
    }
    Ok(breaches)
}

fn wrong_arrows(graph: &Graph, name: &str, allowed: &[&str]) -> Vec<String> {
    let used = graph.edges.get(name).into_iter().flatten();
    used.filter(|used| graph.ours.contains(*used) && !allowed.contains(&used.as_str()))
        .map(|used| format!("{name}: uses {used}, which its row in the table of layers does not name"))
        .collect()
}

/// Asks cargo per crate: the metadata's graph carries the features that other members switch on, which do not ship here.
fn impurities(name: &str) -> anyhow::Result<Vec<String>> {
    let tree =
        ["tree", "--locked", "--package", name, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let text = run::output(&mut run::command("cargo", &tree))?;
    let reached: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    let impure = IMPURE.iter().filter(|impure| reached.contains(**impure));
    Ok(impure
        .map(|impure| {
            format!("{name}: a pure crate reaches {impure}; see `cargo tree -p {name} -i {impure} -e normal`")
        })
        .collect())
}

fn graph() -> anyhow::Result<Graph> {
    let text = run::output(&mut run::command(
        "cargo",
        &["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"],
    ))?;
    let metadata: Metadata = serde_json::from_str(&text).context("read cargo's metadata")?;
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|p| (p.id.as_str(), p.name.as_str())).collect();
    let name = |id: &str| names.get(id).map_or_else(String::new, |name| (*name).to_owned());
    let ours = metadata.packages.iter().filter(|p| p.source.is_none()).map(|p| p.name.clone()).collect();
    let ships = |dep: &&Dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none());
    let edges = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (name(&node.id), node.deps.iter().filter(ships).map(|dep| name(&dep.pkg)).collect()))
        .collect();
    Ok(Graph { ours, edges })
}
