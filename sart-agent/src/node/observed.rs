//! Everything the node knows at one moment: the facts of the watched objects and what speaker, maps and kube-proxy last
//! reported. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use sart_api::LostBlock;
use sart_netlink::ServiceRules;

use super::backends::Backend;
use super::facts::{
    AdvertFact, BgpFact, BlockAdvertFact, NodeFact, ObjectKey, PeerFact, ServiceFact, SliceFact, Transport,
};
use super::grouped::Grouped;

/// Address, protocol and port of a Service as the client dials it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VipPort {
    /// Virtual address.
    pub address: IpAddr,
    /// Protocol.
    pub transport: Transport,
    /// Port.
    pub port: u16,
}

/// Interface name → index: a link that was made anew under its old name is another one.
pub type Uplinks = BTreeMap<String, u32>;

/// What the maps hold for one VIP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Service it belongs to.
    pub service: ObjectKey,
    /// Backends, sorted.
    pub backends: Arc<[Backend]>,
}

/// Which sources have delivered their first complete answer. Until all have, nothing is withdrawn or removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sync {
    /// Own Node.
    pub node: bool,
    /// Own NodeBGP.
    pub bgp: bool,
    /// Own BGPPeers.
    pub peers: bool,
    /// BGPAdvertisements.
    pub adverts: bool,
    /// Services.
    pub services: bool,
    /// EndpointSlices.
    pub slices: bool,
}

/// What the eBPF dataplane reports.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Forwarding {
    /// No answer yet.
    #[default]
    Unknown,
    /// The programs run; rows as read back from the maps.
    Serving {
        /// Rows that the kernel holds as they were asked for.
        rows: BTreeMap<VipPort, Row>,
        /// Rows the dataplane refused, with the reason (map full, not supported).
        refused: BTreeMap<VipPort, String>,
        /// Uplinks with our programs attached.
        attached: Vec<String>,
        /// Reason and message of what does not run as this agent would have it.
        degraded: Option<(&'static str, String)>,
    },
    /// The kernel refuses our programs: kube-proxy serves.
    Refused {
        /// Condition reason, CamelCase.
        reason: String,
        /// What failed and what to do.
        message: String,
    },
}

/// What kube-proxy shows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Proxy {
    /// No answer yet.
    #[default]
    Unknown,
    /// Its health endpoint is fresh; these ports stand in its rules.
    Healthy {
        /// What its rules serve.
        rules: Arc<ServiceRules>,
    },
    /// Its health endpoint or its rules give no proof.
    Unproven {
        /// What failed.
        message: String,
    },
}

/// One path as the speaker acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Acknowledged to us, with these groups.
    Ours {
        /// Groups of the path.
        groups: Arc<[String]>,
    },
    /// Found in the speaker when we connected: it was announced by an earlier run of this agent.
    Recovered,
}

/// The connection to the speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakerLink {
    /// Not connected, and why.
    Down {
        /// What failed.
        message: String,
    },
    /// Connected; its paths have been listed.
    Up,
}

/// One BGP session as the speaker reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// RFC 4271 name of the state, such as `OpenSent`.
    pub state: &'static str,
    /// Why the last attempt ended; empty if none did.
    pub last_error: String,
}

/// The speaker as this agent sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerView {
    /// The connection.
    pub link: SpeakerLink,
    /// AS number and router id the speaker runs with; `None` before it is configured.
    pub running: Option<(u32, String)>,
    /// Why it refused the last configuration.
    pub refusal: Option<String>,
    /// What it originates, by prefix.
    pub announced: BTreeMap<IpNet, Announced>,
    /// Sessions by neighbour address.
    pub sessions: BTreeMap<IpAddr, Session>,
}

/// The node's whole knowledge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Name of this node.
    pub node_name: String,
    /// First complete answers.
    pub synced: Sync,
    /// Own Node.
    pub node: Option<NodeFact>,
    /// Own NodeBGP.
    pub bgp: Option<BgpFact>,
    /// Own BGPPeers by name.
    pub peers: BTreeMap<String, PeerFact>,
    /// Service advertisements by Service.
    pub adverts: Grouped<AdvertFact>,
    /// Advertisements of blocks of pods, of whatever node.
    pub block_adverts: BTreeMap<ObjectKey, BlockAdvertFact>,
    /// This node's blocks that may be announced: claim confirmed, covering route read back. By name.
    pub blocks: BTreeMap<String, IpNet>,
    /// What this node sees of blocks of lost nodes.
    pub lost_blocks: Vec<LostBlock>,
    /// LoadBalancer Services of ours.
    pub services: BTreeMap<ObjectKey, ServiceFact>,
    /// EndpointSlices by Service.
    pub slices: Grouped<SliceFact>,
    /// Addresses of API servers known from configuration.
    pub api_servers: BTreeSet<IpAddr>,
    /// Links over which neighbours are reached, with their index; `None` before they were looked up.
    pub uplinks: Option<Uplinks>,
    /// eBPF dataplane.
    pub forwarding: Forwarding,
    /// kube-proxy.
    pub proxy: Proxy,
    /// Speaker.
    pub speaker: SpeakerView,
}

impl SpeakerView {
    /// No connection, hence no knowledge.
    pub fn down(message: impl Into<String>) -> Self {
        Self {
            link: SpeakerLink::Down { message: message.into() },
            running: None,
            refusal: None,
            announced: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }
}

impl Default for SpeakerView {
    fn default() -> Self {
        Self::down("not connected yet")
    }
}

impl Sync {
    /// Every watch has delivered its initial list.
    pub fn watches(&self) -> bool {
        self.node && self.bgp && self.peers && self.adverts && self.services && self.slices
    }

    /// Names of the watches still missing, for the readiness message.
    pub fn missing(&self) -> Vec<&'static str> {
        [
            (self.node, "Node"),
            (self.bgp, "NodeBGP"),
            (self.peers, "BGPPeer"),
            (self.adverts, "BGPAdvertisement"),
            (self.services, "Service"),
            (self.slices, "EndpointSlice"),
        ]
        .into_iter()
        .filter_map(|(done, name)| (!done).then_some(name))
        .collect()
    }
}

impl Observed {
    /// An empty view of node `node_name`.
    pub fn new(node_name: impl Into<String>) -> Self {
        Self { node_name: node_name.into(), ..Self::default() }
    }

    /// The maps may be written: what is missing from the caches is missing from the cluster.
    pub fn may_program(&self) -> bool {
        self.synced.watches() && self.uplinks.is_some()
    }

    /// All inputs have answered once: absence now means absence, so withdrawing is safe.
    pub fn complete(&self) -> bool {
        self.may_program() && self.forwarding != Forwarding::Unknown && self.proxy != Proxy::Unknown
    }
}

impl fmt::Display for VipPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", SocketAddr::new(self.address, self.port), self.transport)
    }
}
