//! Checks of the programs on pods' links: what a pod forges is dropped and counted, and pods of one node talk past the stack.
//! Reads the kernel's counters; changes nothing but, for a moment, the addresses inside one pod.

use super::context::Context;
use super::pods::{Pod, pods};
use crate::exec;
use crate::lab::inside::{CURL_OPTIONS, Inside};
use crate::lab::machine::Machine;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

const REASONS: &str = "/sys/fs/bpf/sart/v1/maps/REASONS";
/// `Reason::PodSpoof4` of sart-ebpf-common.
const SPOOFED: u32 = 30;
/// `Reason::PodPeer`.
const PAST_THE_STACK: u32 = 23;
/// An address that no pool of the lab has.
const FOREIGN: &str = "10.99.99.99";
/// Packets with it.
const FORGED: u64 = 5;
/// Requests from pod to pod.
const REQUESTS: u64 = 20;

/// Two pods of one node.
struct Pair {
    machine: Machine,
    /// The first one's network.
    inside: Inside,
    to: String,
}

/// Packets with an address that is not the pod's own reach nobody, and the counter of that reason rises by as many.
pub fn forged_sources_are_dropped(context: &Context) -> Result<String> {
    let pair = pair(context)?;
    let before = counted(&pair.machine, SPOOFED)?;
    exec::run(&mut pair.inside.command(&["ip", "address", "add", &format!("{FOREIGN}/32"), "dev", "lo"]))?;
    let count = FORGED.to_string();
    let ping = ["ping", "-n", "-q", "-c", &count, "-i", "0.2", "-W", "1", "-I", FOREIGN, &pair.to];
    let answered = exec::run(&mut pair.inside.command(&ping)).is_ok();
    exec::run(&mut pair.inside.command(&["ip", "address", "del", &format!("{FOREIGN}/32"), "dev", "lo"]))?;
    let dropped = counted(&pair.machine, SPOOFED)? - before;
    ensure!(!answered, "{} answers {FOREIGN}", pair.to);
    ensure!(dropped >= FORGED, "{FORGED} forged packets raised the counter by {dropped}");
    pair.inside.ping(pair.to.parse()?).context("the pod's own address does not get through any more")?;
    Ok(format!("{FORGED} packets from {FOREIGN}: none answered, {dropped} dropped and counted"))
}

/// Requests between two pods of a node raise the counter of packets that were handed from link to link.
pub fn pods_of_a_node_talk_past_the_stack(context: &Context) -> Result<String> {
    let pair = pair(context)?;
    let before = counted(&pair.machine, PAST_THE_STACK)?;
    let url = format!("http://{}:8080/", pair.to);
    for _ in 0..REQUESTS {
        exec::run(pair.inside.command(&["curl"]).args(CURL_OPTIONS).args(["--output", "/dev/null", &url]))?;
    }
    let passed = counted(&pair.machine, PAST_THE_STACK)? - before;
    // Each way at least SYN, the request or its answer, and FIN.
    ensure!(
        passed >= 6 * REQUESTS,
        "{REQUESTS} requests raised the counter by only {passed} packets on {}",
        pair.machine.name
    );
    Ok(format!("{REQUESTS} requests on {}: {passed} packets from link to link", pair.machine.name))
}

fn pair(context: &Context) -> Result<Pair> {
    let pods = pods(context)?;
    let same_node = |from: &Pod| pods.iter().find(|to| to.node == from.node && to.name != from.name);
    let found = pods.iter().find_map(|from| Some((from, same_node(from)?)));
    let (from, to) = found.context("no node runs two pods of the samples")?;
    let machine = context.lab.machine(&from.node)?;
    let inside = Inside::of_pod(&machine, &from.namespace, &from.name)?;
    Ok(Pair { machine, inside, to: to.address.to_string() })
}

/// Packets that the node's programs counted for a reason, over all CPUs.
fn counted(machine: &Machine, reason: u32) -> Result<u64> {
    let key: Vec<String> = reason.to_ne_bytes().iter().map(ToString::to_string).collect();
    let mut lookup = machine.command("bpftool");
    lookup.args(["-j", "map", "lookup", "pinned", REASONS, "key"]).args(&key);
    let entry: Value =
        serde_json::from_str(&exec::stdout(&mut lookup)?).context("bpftool printed no JSON")?;
    let packets = |value: &Value| {
        super::kernel::bytes(&value["value"]).first_chunk::<8>().map_or(0, |chunk| u64::from_ne_bytes(*chunk))
    };
    let values = super::context::list(&entry["values"]);
    ensure!(!values.is_empty(), "the map of reasons has no values: {entry}");
    Ok(values.iter().map(packets).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_read_here_are_those_of_the_shared_layout() {
        use sart_ebpf_common::layout::Count;
        use sart_ebpf_common::reason::Reason;
        assert_eq!((Reason::PodSpoof4.index(), Reason::PodPeer.index()), (SPOOFED, PAST_THE_STACK));
        assert_eq!(std::mem::offset_of!(Count, packets), 0);
    }
}
