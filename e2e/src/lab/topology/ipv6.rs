//! The second family of a lab whose pods are connected by sart: the same machines and links once more, in unique local
//! addresses (RFC 4193) whose groups read like the numbers of the first. Pure.

use super::{Node, Spine};
use std::net::Ipv6Addr;

/// First address of the management network, on the switch: the nodes' default gateway.
pub const GATEWAY: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, 1);
/// Addresses of Services inside the cluster.
pub const SERVICE_CIDR: &str = "fd00:101::/112";
/// Everything pods of sart's pools may have as address.
pub const SART_PODS: &str = "fd00:10::/32";
/// What the nodes reach over both spines.
pub const BEYOND: &str = "fd00:192:168::/48";
/// The client's network behind the core, which the core announces.
pub const CLIENT_SUBNET: &str = "fd00:192:168:10::/64";
/// The client's own address.
pub const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x192, 0x168, 0x10, 0, 0, 0, 2);
/// The core router's address on the client's network.
pub const CLIENT_GATEWAY: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x192, 0x168, 0x10, 0, 0, 0, 1);
/// Networks of the links between nodes and spines, one per spine.
pub const LINKS: [&str; 2] = ["fd00:254::/32", "fd00:253::/32"];

/// The group that reads in hexadecimal as the number does in decimal.
fn group(number: u8) -> u16 {
    let digits = u16::from(number);
    digits / 100 * 0x100 + digits / 10 % 10 * 0x10 + digits % 10
}

/// `InternalIP` of the node.
pub fn internal(node: &Node) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, group(node.number + 1))
}

/// The node's address on its link to the spine: what the spine peers with.
pub fn uplink(node: &Node, spine: &Spine) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, group(spine.link), group(node.number), 0, 0, 0, 0, 2)
}

/// The spine's address on its link to the node.
pub fn downlink(spine: &Spine, node: &Node) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, group(spine.link), group(node.number), 0, 0, 0, 0, 1)
}

/// The address the nodes peer with.
pub fn loopback(spine: &Spine) -> Ipv6Addr {
    let [first, ..] = spine.loopback.octets();
    Ipv6Addr::new(0xfd00, group(first), 0, 0, 0, 0, 0, group(first))
}

/// The spine's address on its link to the core.
pub fn towards_core(spine: &Spine) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x192, 0x168, group(spine.core), 0, 0, 0, 2)
}

/// The core's address on its link to the spine.
pub fn core_side(spine: &Spine) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x192, 0x168, group(spine.core), 0, 0, 0, 1)
}

#[cfg(test)]
mod tests {
    use super::super::{SPINES, Topology};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn addresses_read_like_those_of_the_first_family_and_no_two_are_the_same() {
        let lab = Topology::new(50);
        let (node, spine) = (&lab.nodes[20], &SPINES[0]);
        assert_eq!(uplink(node, spine).to_string(), "fd00:254:21::2");
        assert_eq!(loopback(&SPINES[1]).to_string(), "fd00:7::7");
        assert_eq!(internal(node).to_string(), "fd00:172:18::22");
        let links = lab.nodes.iter().flat_map(|node| {
            SPINES.iter().flat_map(move |spine| [uplink(node, spine), downlink(spine, node)])
        });
        let all: Vec<Ipv6Addr> =
            links.chain(lab.nodes.iter().map(internal)).chain([GATEWAY, CLIENT, CLIENT_GATEWAY]).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
