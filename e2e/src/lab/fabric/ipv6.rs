//! What the second family adds to each machine's `ip -batch` script, on the links that the first has made. Without duplicate
//! address detection: an address that is only tentative would let the first connection fail.

use super::super::topology::{Node, SPINES, Spine, Topology, ipv6};
use std::fmt::Write as _;

/// Lines for the switch.
pub(super) fn switch() -> String {
    format!("addr add {}/64 dev br0 nodad\n", ipv6::GATEWAY)
}

/// Lines for the core router.
pub(super) fn core() -> String {
    let mut script = format!("addr add {}/64 dev client nodad\n", ipv6::CLIENT_GATEWAY);
    for spine in &SPINES {
        let _ = writeln!(script, "addr add {}/64 dev {} nodad", ipv6::core_side(spine), spine.name);
    }
    script
}

/// Lines for a spine.
pub(super) fn spine(spine: &Spine, topology: &Topology) -> String {
    let mut script = format!(
        "addr add {}/128 dev lo nodad\naddr add {}/64 dev core nodad\n",
        ipv6::loopback(spine),
        ipv6::towards_core(spine)
    );
    for node in &topology.nodes {
        let _ = writeln!(script, "addr add {}/64 dev n{} nodad", ipv6::downlink(spine, node), node.number);
    }
    script
}

/// Lines for the client.
pub(super) fn client() -> String {
    format!("addr add {}/64 dev eth0 nodad\nroute add default via {}\n", ipv6::CLIENT, ipv6::CLIENT_GATEWAY)
}

/// Lines for a node.
pub(super) fn node(node: &Node) -> String {
    let mut script = format!(
        "addr add {}/64 dev eth0 nodad\nroute add default via {}\n",
        ipv6::internal(node),
        ipv6::GATEWAY
    );
    let mut beyond = format!("route add {}", ipv6::BEYOND);
    for (links, spine) in ipv6::LINKS.iter().zip(&SPINES) {
        let (interface, gateway) = (spine.interface, ipv6::downlink(spine, node));
        let _ = writeln!(script, "addr add {}/64 dev {interface} nodad", ipv6::uplink(node, spine));
        let _ = writeln!(script, "route add {}/128 via {gateway}", ipv6::loopback(spine));
        // kube-proxy hides clients behind the node's address on the link; a pod elsewhere answers to that.
        let _ = writeln!(script, "route add {links} via {gateway}");
        let _ = write!(beyond, " nexthop via {gateway} dev {interface}");
    }
    let _ = writeln!(script, "{beyond}");
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_reaches_each_loopback_over_its_own_link_and_the_client_over_both() {
        let lab = Topology::new(2);
        let script = lab.nodes.get(1).map(node).unwrap_or_default();
        for line in [
            "route add fd00:9::9/128 via fd00:254:2::1",
            "route add fd00:253::/32 via fd00:253:2::1",
            "route add fd00:192:168::/48 nexthop via fd00:254:2::1 dev net0 nexthop via fd00:253:2::1 dev net1",
        ] {
            assert!(script.lines().any(|found| found == line), "{line} is missing in\n{script}");
        }
    }
}
