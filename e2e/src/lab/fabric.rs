//! Links, addresses and static routes between the machines, as `ip -batch` scripts: pure text first, then run inside each
//! machine. No link ever exists in the host's network.

mod ipv6;

use super::machine::Machine;
use super::topology::{
    BEYOND, CLIENT, CLIENT_GATEWAY, CLIENT_NAME, CORE, GATEWAY, LINKS, Node, PodNetwork, SPINES, SWITCH,
    Spine, Topology,
};
use crate::exec;
use anyhow::{Result, anyhow};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Connects all machines.
///
/// # Errors
/// If a machine is missing, or `ip` refuses a line.
pub fn connect(topology: &Topology, machines: &BTreeMap<String, Machine>) -> Result<()> {
    let pid = |name: &str| machines.get(name).map_or(0, |machine| machine.init.pid);
    let mut scripts = vec![(SWITCH.to_owned(), switch(topology, &pid)), (CORE.to_owned(), core(&pid))];
    scripts.extend(SPINES.iter().map(|spine| (spine.name.to_owned(), spine_script(spine, topology, &pid))));
    scripts.push((CLIENT_NAME.to_owned(), client()));
    scripts.extend(topology.nodes.iter().map(|node| (node.name.clone(), node_script(node, topology))));
    if topology.is_dual_stack() {
        scripts.iter_mut().for_each(|(name, script)| script.push_str(&second_family(name, topology)));
    }
    for (name, script) in scripts {
        let machine = machines.get(&name).ok_or_else(|| anyhow!("machine {name} was not started"))?;
        exec::feed(machine.network_command("ip").args(["-batch", "-"]), &script)?;
    }
    Ok(())
}

fn second_family(name: &str, topology: &Topology) -> String {
    let spine = SPINES.iter().find(|spine| spine.name == name);
    let node = topology.nodes.iter().find(|node| node.name == name);
    match (name, spine, node) {
        (SWITCH, ..) => ipv6::switch(),
        (CORE, ..) => ipv6::core(),
        (CLIENT_NAME, ..) => ipv6::client(),
        (_, Some(spine), _) => ipv6::spine(spine, topology),
        (_, _, Some(node)) => ipv6::node(node),
        _ => String::new(),
    }
}

/// Creates a cable: one end here, the other in the machine with that process.
fn cable(script: &mut String, end: &str, other: &str, pid: i32) {
    let _ = writeln!(script, "link add {end} type veth peer name {other} netns {pid}");
    let _ = writeln!(script, "link set {end} up");
}

fn switch(topology: &Topology, pid: &dyn Fn(&str) -> i32) -> String {
    let mut script =
        format!("link set lo up\nlink add br0 type bridge\nlink set br0 up\naddr add {GATEWAY}/24 dev br0\n");
    for node in &topology.nodes {
        let port = format!("n{}", node.number);
        cable(&mut script, &port, "eth0", pid(&node.name));
        let _ = writeln!(script, "link set {port} master br0");
    }
    script
}

fn core(pid: &dyn Fn(&str) -> i32) -> String {
    let mut script = "link set lo up\n".to_owned();
    for spine in &SPINES {
        cable(&mut script, spine.name, "core", pid(spine.name));
        let _ = writeln!(script, "addr add {}/24 dev {}", spine.core_side(), spine.name);
    }
    cable(&mut script, "client", "eth0", pid(CLIENT_NAME));
    let _ = writeln!(script, "addr add {CLIENT_GATEWAY}/24 dev client");
    script
}

fn spine_script(spine: &Spine, topology: &Topology, pid: &dyn Fn(&str) -> i32) -> String {
    let mut script = format!(
        "link set lo up\naddr add {}/32 dev lo\nlink set core up\naddr add {}/24 dev core\n",
        spine.loopback,
        spine.towards_core()
    );
    for node in &topology.nodes {
        let port = format!("n{}", node.number);
        cable(&mut script, &port, spine.interface, pid(&node.name));
        let _ = writeln!(script, "addr add {}/24 dev {port}", spine.downlink(node));
    }
    script
}

fn client() -> String {
    format!(
        "link set lo up\nlink set eth0 up\naddr add {CLIENT}/24 dev eth0\nroute add default via {CLIENT_GATEWAY}\n"
    )
}

fn node_script(node: &Node, topology: &Topology) -> String {
    let mut script = format!(
        "link set lo up\nlink set eth0 up\naddr add {}/24 dev eth0\nroute add default via {GATEWAY}\n",
        node.internal()
    );
    let mut beyond = format!("route add {BEYOND}");
    for spine in &SPINES {
        let (interface, gateway) = (spine.interface, spine.downlink(node));
        let _ =
            writeln!(script, "link set {interface} up\naddr add {}/24 dev {interface}", node.uplink(spine));
        let _ = writeln!(script, "route add {}/32 via {gateway}", spine.loopback);
        let _ = write!(beyond, " nexthop via {gateway} dev {interface}");
    }
    let _ = writeln!(script, "{beyond}");
    match topology.pods {
        PodNetwork::Lab => {
            for other in topology.nodes.iter().filter(|other| *other != node) {
                let _ = writeln!(script, "route add {} via {}", other.pod_subnet(), other.internal());
            }
        }
        // kube-proxy hides clients behind the node's address on the link; a pod elsewhere answers to that.
        PodNetwork::Sart => {
            for (links, spine) in LINKS.iter().zip(&SPINES) {
                let _ = writeln!(script, "route add {links} via {}", spine.downlink(node));
            }
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_reaches_each_loopback_over_its_own_link_and_the_client_over_both() {
        let lab = Topology::new(2);
        let script = lab.nodes.get(1).map(|node| node_script(node, &lab)).unwrap_or_default();
        for line in [
            "route add 9.9.9.9/32 via 169.254.2.1",
            "route add 7.7.7.7/32 via 169.253.2.1",
            "route add 192.168.0.0/16 nexthop via 169.254.2.1 dev net0 nexthop via 169.253.2.1 dev net1",
            "route add 10.244.1.0/24 via 172.18.0.2",
        ] {
            assert!(script.lines().any(|found| found == line), "{line} is missing in\n{script}");
        }
        assert!(!script.contains("10.244.2.0/24"), "a node has no static route to its own pods");
        let lab = lab.with_pods(PodNetwork::Sart);
        let script = lab.nodes.get(1).map(|node| node_script(node, &lab)).unwrap_or_default();
        assert!(script.contains("route add 169.253.0.0/16 via 169.253.2.1\n") && !script.contains("10.244."));
    }
}
