//! Who is in the lab and under which names, addresses and AS numbers. Pure: it starts nothing.

pub mod ipv6;

use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Network of the nodes' `InternalIP`s, where the API server is.
pub const MANAGEMENT: &str = "172.18.0.0/24";
/// First address of the management network, on the switch: the nodes' default gateway.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 1);
/// Addresses of Services inside the cluster.
pub const SERVICE_CIDR: &str = "10.101.0.0/16";
/// The API server's Service address: the first of [`SERVICE_CIDR`].
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 101, 0, 1);
/// Addresses of pods; each node owns one /24 of it.
pub const POD_CIDR: &str = "10.244.0.0/16";
/// What the nodes reach over both spines: the links of the core and the client's network.
pub const BEYOND: &str = "192.168.0.0/16";
/// The client's network behind the core, which the core announces.
pub const CLIENT_SUBNET: &str = "192.168.10.0/24";
/// The client's own address.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 2);
/// The core router's address on the client's network.
pub const CLIENT_GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 1);
/// AS number of the core router.
pub const CORE_ASN: u32 = 65000;
/// Largest number of nodes for which the address plan has room.
pub const MAX_NODES: u8 = 50;

/// Networks of the links between nodes and spines, one per spine.
pub const LINKS: [&str; 2] = ["169.254.0.0/16", "169.253.0.0/16"];
/// Everything pods of sart's pools may have as address.
pub const SART_PODS: &str = "10.0.0.0/8";

/// The machine that carries the management bridge.
pub const SWITCH: &str = "switch";
/// The core router.
pub const CORE: &str = "core0";
/// The machine behind the core router.
pub const CLIENT_NAME: &str = "client0";

/// Who gives pods their network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodNetwork {
    /// The lab: one link per pod, static routes between the nodes. sart serves virtual addresses only.
    #[default]
    Lab,
    /// sart: nodes are not ready before it is installed. Such a lab has both families ([`ipv6`]).
    Sart,
}

/// What a machine is for; decides how it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Kubernetes node.
    Node,
    /// An FRR router.
    Router,
    /// Sends requests from outside.
    Client,
    /// Carries the management bridge.
    Switch,
}

impl Kind {
    /// The word the machine's first process understands.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Router => "router",
            Self::Client => "client",
            Self::Switch => "switch",
        }
    }
}

/// A Kubernetes node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name in Kubernetes and of the machine.
    pub name: String,
    /// 1 for the control plane, then upwards: the third number of its link addresses.
    pub number: u8,
    /// AS number, as the node's label says.
    pub asn: u32,
}

/// A spine router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spine {
    /// Name of the machine.
    pub name: &'static str,
    /// AS number.
    pub asn: u32,
    /// The address the nodes peer with.
    pub loopback: Ipv4Addr,
    /// Second number of its links to the nodes: 169.`link`.N.0/24.
    pub link: u8,
    /// The nodes' interface towards it.
    pub interface: &'static str,
    /// Third number of its link to the core: 192.168.`core`.0/24.
    pub core: u8,
}

/// Both spines, in order.
pub const SPINES: [Spine; 2] = [
    Spine {
        name: "spine0",
        asn: 65001,
        loopback: Ipv4Addr::new(9, 9, 9, 9),
        link: 254,
        interface: "net0",
        core: 1,
    },
    Spine {
        name: "spine1",
        asn: 65002,
        loopback: Ipv4Addr::new(7, 7, 7, 7),
        link: 253,
        interface: "net1",
        core: 2,
    },
];

/// The whole lab: its nodes; routers, client and switch are always the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The control plane first, then the workers.
    pub nodes: Vec<Node>,
    /// Who gives pods their network.
    pub pods: PodNetwork,
}

impl Topology {
    /// The lab with this many nodes, the control plane among them.
    pub fn new(nodes: u8) -> Self {
        Self { nodes: (1..=nodes).map(Node::new).collect(), pods: PodNetwork::Lab }
    }

    /// The same lab with pods connected by this.
    #[must_use]
    pub const fn with_pods(mut self, pods: PodNetwork) -> Self {
        self.pods = pods;
        self
    }

    /// Whether its machines have addresses of both families.
    pub fn is_dual_stack(&self) -> bool {
        self.pods == PodNetwork::Sart
    }

    /// The node that runs the control plane.
    pub fn control_plane(&self) -> Option<&Node> {
        self.nodes.first()
    }

    /// Every machine with its kind, in the order in which they start.
    pub fn machines(&self) -> Vec<(String, Kind)> {
        let fixed = [(SWITCH, Kind::Switch), (CORE, Kind::Router), (CLIENT_NAME, Kind::Client)];
        let spines = SPINES.iter().map(|spine| (spine.name, Kind::Router));
        let mut machines: Vec<_> =
            fixed.into_iter().chain(spines).map(|(name, kind)| (name.to_owned(), kind)).collect();
        machines.extend(self.nodes.iter().map(|node| (node.name.clone(), Kind::Node)));
        machines
    }
}

impl Node {
    fn new(number: u8) -> Self {
        let name = match number {
            0 | 1 => "sart-control-plane".to_owned(),
            2 => "sart-worker".to_owned(),
            worker => format!("sart-worker{}", worker - 1),
        };
        Self { name, number, asn: 65000 + 10 * u32::from(number) }
    }

    /// Whether this node runs the control plane.
    pub const fn is_control_plane(&self) -> bool {
        self.number == 1
    }

    /// `InternalIP` on the management network.
    pub const fn internal(&self) -> Ipv4Addr {
        Ipv4Addr::new(172, 18, 0, self.number + 1)
    }

    /// The node's address on its link to the spine: what the spine peers with.
    pub const fn uplink(&self, spine: &Spine) -> Ipv4Addr {
        Ipv4Addr::new(169, spine.link, self.number, 2)
    }

    /// The /24 its pods get their addresses from.
    pub fn pod_subnet(&self) -> String {
        format!("10.244.{}.0/24", self.number)
    }
}

impl Spine {
    /// The spine's address on its link to the node.
    pub const fn downlink(&self, node: &Node) -> Ipv4Addr {
        Ipv4Addr::new(169, self.link, node.number, 1)
    }

    /// The spine's address on its link to the core.
    pub const fn towards_core(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, self.core, 2)
    }

    /// The core's address on its link to the spine.
    pub const fn core_side(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, self.core, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_nodes_have_the_names_and_as_numbers_of_the_article() {
        let nodes: Vec<_> = Topology::new(4).nodes.into_iter().map(|node| (node.name, node.asn)).collect();
        let expected = [
            ("sart-control-plane", 65010),
            ("sart-worker", 65020),
            ("sart-worker2", 65030),
            ("sart-worker3", 65040),
        ];
        assert_eq!(nodes, expected.map(|(name, asn)| (name.to_owned(), asn)));
    }

    #[test]
    fn no_two_machines_of_the_largest_lab_share_a_name_or_an_address() {
        let lab = Topology::new(MAX_NODES);
        let mut names: Vec<_> = lab.machines().into_iter().map(|(name, _)| name).collect();
        let mut addresses: Vec<_> = lab
            .nodes
            .iter()
            .flat_map(|node| SPINES.iter().flat_map(|spine| [node.uplink(spine), spine.downlink(node)]))
            .chain(lab.nodes.iter().map(Node::internal))
            .chain([GATEWAY, CLIENT, CLIENT_GATEWAY])
            .collect();
        let (all_names, all_addresses) = (names.len(), addresses.len());
        names.sort();
        names.dedup();
        addresses.sort();
        addresses.dedup();
        assert_eq!((names.len(), addresses.len()), (all_names, all_addresses));
    }
}
