//! NodeBGP: what one node speaks (written by the controller) and what it achieved (written by its agent).

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bgp_peer::BGPPeerSpec;
use crate::condition::Condition;
use crate::speaker::SpeakerConfig;

/// [`crate::condition::SPEAKER`] status: the speaker runs with this node's settings.
pub const AVAILABLE: &str = "Available";
/// [`crate::condition::SPEAKER`] status: it does not.
pub const UNAVAILABLE: &str = "Unavailable";
/// Reason: the speaker has no settings yet.
pub const NOT_CONFIGURED: &str = "NotConfigured";
/// Reason: the speaker has this node's settings.
pub const CONFIGURED: &str = "Configured";
/// Reason: the speaker refused the settings or holds others.
pub const INVALID_CONFIGURATION: &str = "InvalidConfiguration";

/// What one node speaks.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "NodeBGP",
    plural = "nodebgps",
    singular = "nodebgp",
    status = "NodeBGPStatus",
    derive = "PartialEq",
    doc = "NodeBGP is the BGP speaker of the node of the same name.",
    printcolumn = r#"{"name":"ASN","type":"integer","jsonPath":".spec.asn"}"#,
    printcolumn = r#"{"name":"ROUTERID","type":"string","jsonPath":".spec.routerId"}"#,
    printcolumn = r#"{"name":"BACKOFF","type":"integer","jsonPath":".status.backoff"}"#,
    printcolumn = r#"{"name":"STATUS","type":"string","jsonPath":".status.conditions[-1:].status"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct NodeBGPSpec {
    /// The node's ASN.
    #[schemars(range(min = 1))]
    pub asn: u32,
    /// The node's router id, an IPv4 address.
    #[schemars(length(max = 15), extend("x-kubernetes-validations" = [
        {"rule": "isIP(self) && ip(self).family() == 4", "message": "routerId must be an IPv4 address"}
    ]))]
    pub router_id: String,
    /// The node's speaker.
    pub speaker: SpeakerConfig,
    /// The node's peers, one per name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub peers: Option<Vec<NodePeer>>,
    /// Prefixes the node imports from its peers, with everything inside them; unset imports nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), extend("x-kubernetes-validations" = [
        {"rule": "self.all(r, isCIDR(r))", "message": "every entry of importRanges must be a CIDR such as 10.0.0.0/8"}
    ]), inner(length(max = 64)))]
    pub import_ranges: Option<Vec<String>>,
}

/// A peer of the node and the name of its BGPPeer.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct NodePeer {
    /// Name of the BGPPeer.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// What the BGPPeer holds.
    pub spec: BGPPeerSpec,
}

/// What a node's agent reports; `clusterBgpRefs` comes from the controller.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeBGPStatus {
    /// How often a speaker that was available was lost or reset.
    #[serde(default)]
    pub backoff: u32,
    /// ClusterBGPs this NodeBGP was made from, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_bgp_refs: Option<Vec<String>>,
    /// Sessions of the node, sorted by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub peers: Option<Vec<NodePeerStatus>>,
    /// Prefixes the node announces, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["prefix"]))]
    pub advertisements: Option<Vec<AdvertisedPrefix>>,
    /// Blocks of lost nodes this node was asked about, sorted by prefix; a block is given to another node only after every
    /// ready node has seen no route to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["prefix"]))]
    pub lost_blocks: Option<Vec<LostBlock>>,
    /// `Dataplane`, then `Speaker` last (the STATUS column).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One session of the node.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct NodePeerStatus {
    /// Name of the BGPPeer.
    pub name: String,
    /// The peer's address.
    pub address: String,
    /// The peer's ASN.
    pub asn: u32,
    /// State of the session: Idle, Connect, Active, OpenSent, OpenConfirm or Established.
    pub state: String,
    /// Why the session is not established; empty when it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// One prefix the node announces.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct AdvertisedPrefix {
    /// The prefix, such as `10.0.1.0/32`.
    pub prefix: String,
    /// Why the node may announce it: `Bpf`, the generation was read back from its maps; `KubeProxy`, it stands in kube-proxy's
    /// rules; `Route`, a block of pods that is this node's and whose covering route stands.
    pub proof: Proof,
    /// Names of the BGPPeers that carry it, sorted.
    #[serde(default)]
    pub peers: Vec<String>,
}

/// What a node sees of a block whose node is lost.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct LostBlock {
    /// The block's prefix.
    pub prefix: String,
    /// Whether a route to it, or into it, stands on this node.
    pub route: bool,
}

/// Serving proof of a prefix.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Proof {
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Bpf,
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    KubeProxy,
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Route,
}
