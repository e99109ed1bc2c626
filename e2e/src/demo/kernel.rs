//! Checks that the Local VIP is served by the kernel maps and by nothing else: counters, pins, replaced pods, datagrams.

use super::context::{Context, LIMIT, NAMESPACE, Sample};
use super::routes::await_tables;
use super::traffic::{hit_only_ready, local};
use crate::exec;
use crate::lab::machine::Machine;
use crate::lab::topology::{CLIENT_NAME, Node, SPINES};
use crate::wait::{Patience, until};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::net::Ipv4Addr;

const PINS: &str = "/sys/fs/bpf/sart/v1";
const HTTP: u16 = 80;
const TCP: u8 = 6;

/// The Service behind which the test server echoes datagrams.
const ECHO: &str = "app-svc-echo";

/// Requests to the Local VIP raise its counters in the maps, and kube-proxy's rules for it count nothing.
pub fn maps_forward_the_local_vip(context: &Context) -> Result<String> {
    let local = local()?;
    await_tables(context)?;
    let (maps, rules) = (forwarded(context, local.address)?, passed_rules(context, local.address)?);
    let requests = hit_only_ready(context, local)?;
    let maps = forwarded(context, local.address)? - maps;
    let rules = passed_rules(context, local.address)? - rules;
    // A request is at least SYN, ACK, the request itself and FIN.
    ensure!(maps >= 4 * requests, "{requests} requests raised the maps' counters by only {maps} packets");
    ensure!(rules == 0, "{rules} packets for {} went through kube-proxy's rules", local.address);
    Ok(format!("{requests} requests: maps +{maps} packets, kube-proxy's rules +0"))
}

/// On every node each uplink has the programs attached by links that are pinned, so that they outlive the agent. Debian's
/// bpftool does not know TCX links by name; pin and program say which they are.
pub fn links_are_pinned(context: &Context) -> Result<String> {
    let mut count = 0;
    for node in &context.lab.topology.nodes {
        let machine = context.lab.machine(&node.name)?;
        let links = bpftool(&machine, &["-f", "link", "show"])?;
        for spine in &SPINES {
            for program in ["up_in", "up_out"] {
                let pin = format!("{PINS}/links/{program}@{}@", spine.interface);
                let link = super::context::list(&links).iter().find(|link| is_pinned_at(link, &pin));
                let link = link.with_context(|| format!("{} has no link pinned at {pin}*", node.name))?;
                let shown = bpftool(&machine, &["prog", "show", "id", &link["prog_id"].to_string()])?;
                ensure!(shown["name"] == program, "{pin}* of {} runs {}", node.name, shown["name"]);
                count += 1;
            }
        }
    }
    Ok(format!("{count} pinned links on {} nodes", context.lab.topology.nodes.len()))
}

/// A pod that is replaced leaves nothing behind that a request could still run into.
pub fn a_replaced_pod_leaves_nothing(context: &Context) -> Result<String> {
    let local = local()?;
    let before = context.ready_endpoints(local.service)?;
    let selector = format!("app={}", local.deployment);
    context.kubectl.run(&["-n", NAMESPACE, "delete", "pod", "-l", &selector, "--wait=true"])?;
    let after = until("new pods", Patience::stable(LIMIT), || {
        let after = context.ready_endpoints(local.service)?;
        ensure!(after.len() == before.len() && after.is_disjoint(&before), "the endpoints are {after:?}");
        Ok(after)
    })?;
    await_tables(context)?;
    let requests = hit_only_ready(context, local)?;
    Ok(format!("{} pods replaced, {requests} requests answered by the new ones", after.len()))
}

/// A datagram to a Local VIP comes back to the client that sent it.
pub fn datagrams_come_back(context: &Context) -> Result<String> {
    context.apply(&echo_service(local()?))?;
    let address = until(&format!("address of {ECHO}"), Patience::once(LIMIT), || {
        let service = context.kubectl.json(&["-n", NAMESPACE, "get", "service", ECHO])?;
        let address = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().map(str::to_owned);
        address.with_context(|| format!("{ECHO} has no address yet"))
    })?;
    let client = context.lab.machine(CLIENT_NAME)?;
    let script = format!("exec 3<>/dev/udp/{address}/{HTTP} && printf sart >&3 && timeout 5 head -c 4 <&3");
    until("echo", Patience { in_a_row: 10, ..Patience::stable(LIMIT) }, || {
        let echo = exec::stdout(client.command("bash").args(["-c", &script]))?;
        ensure!(echo == "sart", "the answer is {echo:?}");
        Ok(())
    })?;
    context.kubectl.run(&["-n", NAMESPACE, "delete", "service", ECHO])?;
    until("withdrawal", Patience::once(LIMIT), || await_tables(context))?;
    Ok(format!("10 of 10 from {address}, gone with its Service"))
}

fn echo_service(behind: &Sample) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {ECHO}, namespace: {NAMESPACE}}}\nspec:\n  type: LoadBalancer\n  \
         externalTrafficPolicy: Local\n  selector: {{app: {}}}\n  ports: [{{name: echo, protocol: UDP, port: {HTTP}, targetPort: 8081}}]\n",
        behind.deployment
    )
}

/// Packets for the address that the maps of all nodes sent on to pods.
fn forwarded(context: &Context, address: &str) -> Result<u64> {
    let address: Ipv4Addr = address.parse().context("the sample's address is no IPv4 address")?;
    context.lab.topology.nodes.iter().map(|node| forwarded_by(context, node, address)).sum()
}

/// A node without a pod of the Service has no row, and has sent nothing on.
fn forwarded_by(context: &Context, node: &Node, address: Ipv4Addr) -> Result<u64> {
    let machine = context.lab.machine(&node.name)?;
    let map = |name: &str| bpftool(&machine, &["map", "dump", "pinned", &format!("{PINS}/maps/{name}")]);
    let mut key = address.octets().to_vec();
    key.extend(HTTP.to_be_bytes());
    key.extend([TCP, 0]);
    let vips = map("VIPS4")?;
    let Some(row) = super::context::list(&vips).iter().find(|entry| bytes(&entry["key"]) == key) else {
        return Ok(0);
    };
    // `Vip::stat` of sart-ebpf-common, after a u64 and two u32.
    let index =
        bytes(&row["value"]).get(16..20).map(<[u8]>::to_vec).context("the row of VIPS4 is too short")?;
    let stats = map("VIP_STATS")?;
    let Some(entry) = super::context::list(&stats).iter().find(|entry| bytes(&entry["key"]) == index) else {
        bail!("{} has no counters for {address}", node.name)
    };
    // `VipStats::packets` comes first; one value per CPU.
    let packets = |value: &Value| {
        bytes(&value["value"]).first_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk))
    };
    Ok(super::context::list(&entry["values"]).iter().map(packets).sum())
}

/// Packets that kube-proxy's rules for this address counted on all nodes.
fn passed_rules(context: &Context, address: &str) -> Result<u64> {
    let matches = format!(" -d {address}/32 ");
    let mut packets = 0;
    for node in &context.lab.topology.nodes {
        let text = exec::stdout(
            context.lab.machine(&node.name)?.command("iptables-save").args(["-c", "-t", "nat"]),
        )?;
        let counts =
            text.lines().filter(|line| line.contains(&matches)).map(|line| line.trim_start_matches('['));
        packets += counts.filter_map(|line| line.split(':').next()?.parse::<u64>().ok()).sum::<u64>();
    }
    Ok(packets)
}

fn bpftool(machine: &Machine, args: &[&str]) -> Result<Value> {
    let text = exec::stdout(machine.command("bpftool").arg("-j").args(args))?;
    serde_json::from_str(&text).with_context(|| format!("bpftool {} printed no JSON", args.join(" ")))
}

fn is_pinned_at(link: &Value, pin: &str) -> bool {
    super::context::list(&link["pinned"])
        .iter()
        .any(|path| path.as_str().is_some_and(|path| path.starts_with(pin)))
}

/// bpftool prints a map's bytes as `["0x0a", …]`.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    let byte = |text: &Value| u8::from_str_radix(text.as_str()?.strip_prefix("0x")?, 16).ok();
    super::context::list(value).iter().filter_map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_map_are_read_as_bpftool_prints_them() {
        assert_eq!(bytes(&serde_json::json!(["0x0a", "0x00", "0xff"])), [10, 0, 255]);
    }

    #[test]
    fn the_offsets_read_here_are_those_of_the_shared_layout() {
        use sart_ebpf_common::layout::{Vip, VipKey, VipStats};
        assert_eq!(std::mem::offset_of!(Vip, stat), 16);
        assert_eq!(std::mem::offset_of!(VipStats, packets), 0);
        let offsets = [
            std::mem::offset_of!(VipKey, addr),
            std::mem::offset_of!(VipKey, port),
            std::mem::offset_of!(VipKey, proto),
        ];
        assert_eq!((offsets, size_of::<VipKey>()), ([0, 4, 6], 8));
    }
}
