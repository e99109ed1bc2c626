//! What the tasks tell the engine. Tasks send facts and never decide on them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;
use sart_api::{BGPPeerStatus, LostBlock, NodeBGPStatus};

use crate::node::{
    AdvertFact, Announced, BgpFact, BlockAdvertFact, Forwarding, NodeFact, ObjectKey, PeerFact, Proxy,
    ServiceFact, Session, SliceFact, Uplinks,
};

/// Watched kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Own Node.
    Node,
    /// Own NodeBGP.
    NodeBgp,
    /// Own BGPPeers.
    BgpPeer,
    /// BGPAdvertisements.
    Advertisement,
    /// Services.
    Service,
    /// EndpointSlices.
    EndpointSlice,
}

/// What an object says now; `None` when it is gone or concerns us no more.
#[derive(Debug)]
pub enum Fact {
    /// Own Node.
    Node(Option<NodeFact>),
    /// Own NodeBGP with the status it has.
    NodeBgp(Option<(BgpFact, NodeBGPStatus)>),
    /// A BGPPeer with the status it has.
    BgpPeer(Option<(PeerFact, BGPPeerStatus)>),
    /// A BGPAdvertisement; this one is gone, or of neither kind.
    Advertisement(Option<AdvertFact>),
    /// The BGPAdvertisement of a block of pods.
    BlockAdvertisement(BlockAdvertFact),
    /// A Service.
    Service(Option<ServiceFact>),
    /// An EndpointSlice and its Service.
    EndpointSlice(Option<(ObjectKey, SliceFact)>),
}

/// News of the speaker.
#[derive(Debug)]
pub enum SpeakerEvent {
    /// Connected; what it runs and originates.
    Up {
        /// AS number and router id; `None` if unconfigured.
        running: Option<(u32, String)>,
        /// Originated prefixes.
        announced: BTreeSet<IpNet>,
    },
    /// Lost, and why.
    Down(String),
    /// Configuration and paths confirmed.
    Confirmed {
        /// Runs with this AS number and router id.
        running: (u32, String),
        /// Originates exactly this.
        announced: BTreeMap<IpNet, Announced>,
        /// It refused the configuration: what it said. The paths are confirmed all the same.
        refusal: Option<String>,
    },
    /// A session changed.
    Session(IpAddr, Session),
    /// A neighbour is gone.
    SessionGone(IpAddr),
    /// Every session has been told once.
    SessionsListed,
}

/// Everything the engine reacts to.
#[derive(Debug)]
pub enum Event {
    /// An object changed.
    Fact {
        /// Key of the object.
        key: ObjectKey,
        /// What it says.
        fact: Fact,
        /// When the watch delivered it.
        at: Instant,
    },
    /// A list is complete: objects of the kind that are not in it are gone.
    Listed(Kind, BTreeSet<ObjectKey>),
    /// The speaker.
    Speaker(SpeakerEvent),
    /// The dataplane.
    Forwarding(Forwarding),
    /// kube-proxy.
    Proxy(Proxy),
    /// Links that lead to neighbours.
    Uplinks(Uplinks),
    /// This node's blocks of pod addresses.
    OwnBlocks(OwnBlocks),
    /// What this node sees of blocks of lost nodes.
    LostBlocks(Vec<LostBlock>),
}

/// Blocks of pod addresses whose claim is confirmed as this node's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnBlocks {
    /// Those whose covering route stands, by name: they may be announced.
    pub announce: BTreeMap<String, IpNet>,
    /// All of them.
    pub all: BTreeSet<IpNet>,
}

impl Fact {
    /// The kind it is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Node(_) => Kind::Node,
            Self::NodeBgp(_) => Kind::NodeBgp,
            Self::BgpPeer(_) => Kind::BgpPeer,
            Self::Advertisement(_) | Self::BlockAdvertisement(_) => Kind::Advertisement,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
        }
    }

    /// The fact of an object of `kind` that does not exist.
    pub fn absent(kind: Kind) -> Self {
        match kind {
            Kind::Node => Self::Node(None),
            Kind::NodeBgp => Self::NodeBgp(None),
            Kind::BgpPeer => Self::BgpPeer(None),
            Kind::Advertisement => Self::Advertisement(None),
            Kind::Service => Self::Service(None),
            Kind::EndpointSlice => Self::EndpointSlice(None),
        }
    }
}
