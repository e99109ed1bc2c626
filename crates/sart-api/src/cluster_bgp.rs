//! ClusterBGP: which nodes speak BGP, with which ASN and router id, and to whom.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bgp_peer_template::BGPPeerTemplateSpec;
use crate::condition::Condition;
use crate::speaker::SpeakerConfig;

/// What a set of nodes shall speak.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "ClusterBGP",
    plural = "clusterbgps",
    singular = "clusterbgp",
    status = "ClusterBGPStatus",
    derive = "PartialEq",
    doc = "ClusterBGP selects nodes and says which ASN, router id and peers they get.",
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterBGPSpec {
    /// Labels a node must carry, all of them; unset selects every node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Where a node's ASN comes from.
    pub asn_selector: AsnSelector,
    /// Where a node's router id comes from.
    pub router_id_selector: RouterIdSelector,
    /// The speaker of each node.
    pub speaker: SpeakerConfig,
    /// Neighbours of the selected nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub peers: Option<Vec<PeerConfig>>,
    /// Prefixes a selected node imports from its peers, with everything inside them; unset imports nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("x-kubernetes-validations" = [
        {"rule": "self.all(r, isCIDR(r))", "message": "every entry of importRanges must be a CIDR such as 10.0.0.0/8"}
    ]), inner(length(max = 64)))]
    pub import_ranges: Option<Vec<String>>,
}

/// Where a node's ASN comes from.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.from != 'asn' || has(self.asn)", "message": "asnSelector.from is asn: set asnSelector.asn to a number from 1 to 4294967295"}
]))]
pub struct AsnSelector {
    /// `asn`: the number below; `label`: the node's label `sart.terassyi.net/asn`.
    pub from: AsnSelectionType,
    /// The ASN of every selected node when `from` is `asn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub asn: Option<u32>,
}

/// Source of the ASN.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AsnSelectionType {
    #[serde(rename = "asn")]
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Asn,
    #[serde(rename = "label")]
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Label,
}

/// Where a node's router id comes from.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.from != 'routerId' || has(self.routerId)", "message": "routerIdSelector.from is routerId: set routerIdSelector.routerId to an IPv4 address"}
]))]
pub struct RouterIdSelector {
    /// `internalAddress`: the node's first InternalIP; `label`: its label `sart.terassyi.net/router-id`; `routerId`: the value below.
    pub from: RouterIdSelectionType,
    /// The router id when `from` is `routerId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 15), extend("x-kubernetes-validations" = [
        {"rule": "isIP(self) && ip(self).family() == 4", "message": "routerId must be an IPv4 address"}
    ]))]
    pub router_id: Option<String>,
}

/// Source of the router id.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RouterIdSelectionType {
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    InternalAddress,
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Label,
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    RouterId,
}

/// One neighbour of the selected nodes.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.peerTemplateRef) || has(self.peerConfig)", "message": "a peer needs peerTemplateRef, peerConfig, or both"},
    {"rule": "has(self.peerTemplateRef) || !has(self.peerConfig) || (has(self.peerConfig.asn) && has(self.peerConfig.addr))", "message": "a peer without peerTemplateRef needs peerConfig.asn and peerConfig.addr"}
]))]
pub struct PeerConfig {
    /// Name of a BGPPeerTemplate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub peer_template_ref: Option<String>,
    /// Fields that override the template's, or the whole peer when there is no template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_config: Option<BGPPeerTemplateSpec>,
    /// Labels a NodeBGP must carry, all of them, to get this peer; unset means every one.
    #[serde(default, rename = "nodeBGPSelector", skip_serializing_if = "Option::is_none")]
    pub node_bgp_selector: Option<BTreeMap<String, String>>,
}

/// What the controller made of a ClusterBGP.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterBGPStatus {
    /// Nodes the selector matches, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_nodes: Option<Vec<String>>,
    /// Nodes whose NodeBGP carries this resource's settings, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<String>>,
    /// `Accepted` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
