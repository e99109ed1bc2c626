//! Custom resources of `sart.terassyi.net/v1alpha2`: their fields, schema rules, names and keys.
//!
//! Every kind is one file. Nothing here talks to an API server, reads a clock or a file.

pub mod address_block;
pub mod address_claim;
pub mod address_pool;
pub mod bgp_advertisement;
pub mod bgp_peer;
pub mod bgp_peer_template;
pub mod block_request;
pub mod cluster_bgp;
pub mod condition;
pub mod crd;
pub mod keys;
pub mod names;
pub mod net;
pub mod node_bgp;
pub mod speaker;

pub use address_block::{AddressBlock, AddressBlockSpec, AddressBlockStatus};
pub use address_claim::{AddressClaim, AddressClaimSpec, ClaimOwner};
pub use address_pool::{AddressPool, AddressPoolSpec, AddressPoolStatus, AddressType, AllocType};
pub use bgp_advertisement::{
    AdvertiseStatus, BGPAdvertisement, BGPAdvertisementSpec, BGPAdvertisementStatus, Protocol,
};
pub use bgp_peer::{BGPPeer, BGPPeerSpec, BGPPeerStatus};
pub use bgp_peer_template::{BGPPeerTemplate, BGPPeerTemplateSpec};
pub use block_request::{BlockRequest, BlockRequestSpec, BlockRequestStatus};
pub use cluster_bgp::{
    AsnSelectionType, AsnSelector, ClusterBGP, ClusterBGPSpec, ClusterBGPStatus, PeerConfig,
    RouterIdSelectionType, RouterIdSelector,
};
pub use condition::Condition;
pub use node_bgp::{
    AdvertisedPrefix, LostBlock, NodeBGP, NodeBGPSpec, NodeBGPStatus, NodePeer, NodePeerStatus, Proof,
};
pub use speaker::SpeakerConfig;

/// API group of every kind.
pub const GROUP: &str = "sart.terassyi.net";
/// The one served and stored version.
pub const VERSION: &str = "v1alpha2";
/// Field manager of the controller's server-side applies.
pub const CONTROLLER_MANAGER: &str = "sart-controller";
/// Field manager of the agents' server-side applies.
pub const AGENT_MANAGER: &str = "sart-agent";
