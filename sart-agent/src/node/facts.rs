//! The few fields of each watched object that this node's decisions need. Everything else is dropped when the object is
//! read, so that a cluster's worth of EndpointSlices costs bytes, not kilobytes, each.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// Namespace and name of an object; the namespace of a cluster-scoped one is empty. Cheap to copy: every plan holds the keys
/// of all Services.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

/// Layer 4 protocol of a Service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP: never in our maps, kube-proxy serves it.
    Sctp,
}

/// `spec.externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any node may receive and forward to any endpoint.
    Cluster,
    /// Only a node with its own endpoint may receive.
    Local,
}

/// One entry of a Service's `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFact {
    /// Name; empty when the Service has a single unnamed port.
    pub name: String,
    /// Protocol.
    pub transport: Transport,
    /// Port the client dials.
    pub number: u16,
}

/// A Service of type LoadBalancer that belongs to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFact {
    /// External traffic policy.
    pub policy: TrafficPolicy,
    /// Ports.
    pub ports: Vec<PortFact>,
    /// Addresses in `status.loadBalancer.ingress`.
    pub ingress: Vec<IpAddr>,
}

/// One entry of an EndpointSlice's `ports`: matched to a Service port by name and protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    /// Name of the Service port it implements.
    pub name: String,
    /// Protocol.
    pub transport: Transport,
    /// Port the pod listens on.
    pub number: u16,
}

/// An endpoint of this node that can take packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalEndpoint {
    /// Pod (or host) address.
    pub address: IpAddr,
    /// Takes new connections; otherwise it is terminating and still serving.
    pub ready: bool,
    /// Which pod it is, so that a successor with the same address is another backend.
    pub identity: u64,
}

/// What this node needs of one EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceFact {
    /// The slice holds IPv6 addresses.
    pub ipv6: bool,
    /// Ports, common to all endpoints of the slice.
    pub ports: Vec<SlicePort>,
    /// At least one endpoint of the slice is ready, on whatever node.
    pub ready_anywhere: bool,
    /// Endpoints of this node that are ready, or serving while they terminate.
    pub local: Vec<LocalEndpoint>,
    /// Addresses of a slice of `default/kubernetes` (the API servers); empty for every other Service.
    pub api_servers: Vec<IpAddr>,
}

/// A BGPAdvertisement of type `service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertFact {
    /// The Service that owns the advertisement.
    pub service: ObjectKey,
    /// Prefix to originate.
    pub prefix: IpNet,
    /// Peer groups it goes to; empty means all.
    pub groups: Vec<String>,
    /// `metadata.generation`, for the status.
    pub generation: i64,
}

/// A BGPAdvertisement of type `pod`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockAdvertFact {
    /// Name of the AddressBlock.
    pub block: String,
    /// Prefix to originate.
    pub prefix: IpNet,
    /// Peer groups it goes to; empty means all.
    pub groups: Vec<String>,
}

/// This node's own Node object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFact {
    /// Addresses of the node.
    pub addresses: Vec<IpAddr>,
    /// Carries `node.kubernetes.io/exclude-from-external-load-balancers`.
    pub excluded: bool,
}

/// This node's own NodeBGP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpFact {
    /// Own AS number.
    pub asn: u32,
    /// Own router id, dotted quad.
    pub router_id: String,
    /// Use several best paths at once.
    pub multipath: Option<bool>,
    /// Prefixes that may be accepted from neighbours.
    pub import_ranges: Vec<IpNet>,
    /// `metadata.generation`, for the status.
    pub generation: i64,
}

/// Why a BGPPeer cannot become a neighbour. Never a reason to drop the other peers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerProblem {
    /// `spec.addr` does not parse.
    #[error("spec.addr {0:?} is not an IP address: write it without prefix length or port")]
    Address(String),
    /// AS 0 is reserved (RFC 7607).
    #[error("spec.asn is 0, which RFC 7607 reserves: set the neighbour's AS number")]
    Asn,
    /// RFC 4271 section 4.2: 0, or at least 3 seconds.
    #[error("spec.holdTime {0} is neither 0 nor between 3 and 65535 seconds (RFC 4271 section 4.2)")]
    HoldTime(u32),
    /// The keepalive interval must fit into the hold time.
    #[error("spec.keepaliveTime {keepalive} is not below spec.holdTime {hold}")]
    Keepalive {
        /// Keepalive interval, seconds.
        keepalive: u32,
        /// Hold time, seconds.
        hold: u32,
    },
    /// The address is already another peer's on this node.
    #[error("BGPPeer {other} of this node already has address {address}: delete one of them")]
    Duplicate {
        /// The peer that keeps the address.
        other: String,
        /// The address.
        address: IpAddr,
    },
}

/// A BGPPeer of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerFact {
    /// Address, or why there is none.
    pub address: Result<IpAddr, PeerProblem>,
    /// AS number of the neighbour.
    pub asn: u32,
    /// Hold time in seconds; `None` takes the speaker's default.
    pub hold_time: Option<u32>,
    /// Keepalive interval in seconds.
    pub keepalive_time: Option<u32>,
    /// Groups of the peer.
    pub groups: Vec<String>,
    /// `metadata.creationTimestamp`, seconds: of two peers with one address the older keeps it.
    pub created: i64,
    /// `metadata.generation`, for the status.
    pub generation: i64,
}

impl ObjectKey {
    /// A key from its two parts.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl Transport {
    /// Reads the API's spelling; unset means TCP.
    pub fn from_api(text: Option<&str>) -> Option<Self> {
        match text.unwrap_or("TCP") {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl PeerProblem {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Address(_) => "InvalidAddress",
            Self::Asn => "InvalidASN",
            Self::HoldTime(_) | Self::Keepalive { .. } => "InvalidTimers",
            Self::Duplicate { .. } => "DuplicateAddress",
        }
    }
}
