//! Who holds which pod address, read from /proc ten times a second: the addresses inside every pod's network and the routes
//! to pods of every node. Starts no program, so that it keeps its pace on a loaded machine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::Lab;
use crate::lab::process;

/// From one look to the next.
const PACE: Duration = Duration::from_millis(100);

/// How often was looked.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Looks in all.
    pub(super) count: usize,
    /// Most pods seen at once.
    pods: usize,
    /// From the start of one look to the start of the next, each.
    gaps: Vec<Duration>,
}

impl Looks {
    /// The pace that was kept, in words.
    pub(super) fn pauses(&self) -> String {
        let mut gaps = self.gaps.clone();
        gaps.sort();
        let at = |share: usize| {
            gaps.get((gaps.len() * share / 100).min(gaps.len().saturating_sub(1)))
                .map_or(0, Duration::as_millis)
        };
        format!("every {} ms, at worst {} ms; up to {} pods at once", at(50), at(100), self.pods)
    }
}

/// A node as its processes know it.
struct Node {
    name: String,
    pid: i32,
    network: String,
}

/// Looks until `done`; an error as soon as an address has two holders.
pub(super) fn watch(lab: &Lab, done: &AtomicBool) -> Result<Looks> {
    let nodes = nodes(lab)?;
    let mut looks = Looks::default();
    while !done.load(Ordering::SeqCst) {
        let begun = Instant::now();
        routed(&nodes)?;
        looks.pods = looks.pods.max(held(&nodes)?);
        looks.count += 1;
        std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
        looks.gaps.push(begun.elapsed());
    }
    ensure!(looks.pods > 0, "no pod's network was ever seen");
    Ok(looks)
}

fn nodes(lab: &Lab) -> Result<Vec<Node>> {
    let of = |node: &crate::lab::topology::Node| {
        let init = lab.machine(&node.name)?.init;
        let network = init.namespace("net").with_context(|| format!("{} has no network", node.name))?;
        Ok(Node { name: node.name.clone(), pid: init.pid, network })
    };
    lab.topology.nodes.iter().map(of).collect()
}

/// No address may be routed to a pod on two nodes.
fn routed(nodes: &[Node]) -> Result<()> {
    let mut seen: BTreeMap<Ipv4Addr, &str> = BTreeMap::new();
    for node in nodes {
        let path = format!("/proc/{}/net/route", node.pid);
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        for address in to_pods(&text) {
            if let Some(other) = seen.insert(address, &node.name) {
                bail!("{address} is routed to a pod on {other} and on {}", node.name);
            }
        }
    }
    Ok(())
}

/// No address may be in two pods' networks; the number of networks seen.
fn held(nodes: &[Node]) -> Result<usize> {
    let networks: BTreeSet<&str> = nodes.iter().map(|node| node.network.as_str()).collect();
    // What else this machine does runs where this program does; its parents need not be asked for.
    let here = std::fs::read_link("/proc/self/ns/net").context("read this program's own network")?;
    let here = here.to_string_lossy();
    let mut pods: BTreeMap<String, i32> = BTreeMap::new();
    for pid in process::numbers() {
        let elsewhere = |network: &String| *network != here && !networks.contains(network.as_str());
        let Some(network) = network_of(pid).filter(elsewhere) else { continue };
        // What runs in a pod was started by a shim, and shims live in their node's network.
        let parent = process::Process::of(pid).and_then(process::Process::parent).and_then(network_of);
        if parent.is_some_and(|parent| networks.contains(parent.as_str())) {
            pods.insert(network, pid);
        }
    }
    let mut seen: BTreeMap<Ipv4Addr, &str> = BTreeMap::new();
    for (network, pid) in &pods {
        // A pod that ended since then holds nothing.
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/fib_trie")).unwrap_or_default();
        for address in local(&text) {
            if let Some(other) = seen.insert(address, network) {
                bail!("{address} is in the network {other} and in {network}");
            }
        }
    }
    Ok(pods.len())
}

/// One look at one link: this is asked of every process of the machine each time. None for a process that has ended.
fn network_of(pid: i32) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// Destinations of /proc/net/route that lead over a pod's link; addresses are written as the kernel holds them in memory.
fn to_pods(text: &str) -> Vec<Ipv4Addr> {
    let address = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let link = fields.next()?.strip_prefix("sart")?;
        let destination = u32::from_str_radix(fields.next()?, 16).ok()?;
        (link.len() == 11).then(|| Ipv4Addr::from(destination.to_ne_bytes()))
    };
    text.lines().filter_map(address).collect()
}

/// Own addresses in /proc/net/fib_trie: the leaves of type LOCAL. Main and local table may print the same one twice.
fn local(text: &str) -> BTreeSet<Ipv4Addr> {
    let mut leaf = None;
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.filter(|address| !address.is_loopback()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_routes_over_links_of_pods_are_read_and_their_addresses_are_in_memory_order() {
        let text = "Iface\tDestination\tGateway\tFlags\n\
                    net0\t0000FEA9\t00000000\t0001\nsart0123456789a\t0500140A\t00000000\t0005\n\
                    sart0\t0600140A\t00000000\t0005\n";
        let expected = if cfg!(target_endian = "little") { [10, 20, 0, 5] } else { [5, 0, 20, 10] };
        assert_eq!(to_pods(text), [Ipv4Addr::from(expected)]);
    }

    #[test]
    fn an_own_address_is_read_once_and_the_loopback_not_at_all() {
        let text = "Main:\n  +-- 0.0.0.0/0 2 0 2\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    Local:\n  |-- 10.20.0.5\n     /32 host LOCAL\n  |-- 127.0.0.1\n     /32 host LOCAL\n\
                    \u{20} |-- 10.20.0.5\n     /32 host LOCAL\n  |-- 127.255.255.255\n     /32 link BROADCAST\n";
        assert_eq!(local(text), BTreeSet::from([Ipv4Addr::new(10, 20, 0, 5)]));
    }
}
