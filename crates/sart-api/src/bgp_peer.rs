//! BGPPeer: one session of one node.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::speaker::SpeakerConfig;

/// One session of one node; made by the controller or by hand.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "BGPPeer",
    plural = "bgppeers",
    singular = "bgppeer",
    status = "BGPPeerStatus",
    derive = "PartialEq",
    doc = "BGPPeer is one BGP session of one node.",
    printcolumn = r#"{"name":"ASN","type":"integer","jsonPath":".spec.asn"}"#,
    printcolumn = r#"{"name":"ADDRESS","type":"string","jsonPath":".spec.addr"}"#,
    printcolumn = r#"{"name":"NODEBGP","type":"string","jsonPath":".spec.nodeBGPRef"}"#,
    printcolumn = r#"{"name":"CLUSTERBGP","type":"string","jsonPath":".spec.clusterBGPRef"}"#,
    printcolumn = r#"{"name":"BACKOFF","type":"integer","jsonPath":".status.backoff"}"#,
    printcolumn = r#"{"name":"STATUS","type":"string","jsonPath":".status.conditions[-1:].status"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.asn == oldSelf.asn", "message": "asn is immutable: delete the BGPPeer and create another"},
    {"rule": "self.addr == oldSelf.addr", "message": "addr is immutable: delete the BGPPeer and create another"},
    {"rule": "self.nodeBGPRef == oldSelf.nodeBGPRef", "message": "nodeBGPRef is immutable: delete the BGPPeer and create another"}
]))]
pub struct BGPPeerSpec {
    /// The peer's ASN.
    #[schemars(range(min = 1))]
    pub asn: u32,
    /// The peer's address.
    #[schemars(length(max = 45), extend("x-kubernetes-validations" = [
        {"rule": "isIP(self)", "message": "addr must be an IP address"}
    ]))]
    pub addr: String,
    /// Seconds without a message before the session ends: 0 (never) or 3 to 65535 (RFC 4271 section 4.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 65535), extend("x-kubernetes-validations" = [
        {"rule": "self == 0 || self >= 3", "message": "holdTime must be 0 or at least 3 seconds"}
    ]))]
    pub hold_time: Option<u32>,
    /// Seconds between keepalives; unset is a third of the hold time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 65535))]
    pub keepalive_time: Option<u32>,
    /// Capabilities to offer; kept for compatibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// The NodeBGP (and node) that runs the session.
    #[serde(rename = "nodeBGPRef")]
    #[schemars(length(max = 253))]
    pub node_bgp_ref: String,
    /// The ClusterBGP this peer was made from.
    #[serde(default, rename = "clusterBGPRef", skip_serializing_if = "Option::is_none")]
    pub cluster_bgp_ref: Option<String>,
    /// The node's speaker.
    pub speaker: SpeakerConfig,
    /// Groups of the peer; a prefix that names groups goes only to peers in one of them, a peer without groups takes all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub groups: Option<Vec<String>>,
}

impl BGPPeerSpec {
    /// Whether this peer carries this prefix of these groups: its address is of the prefix's family, and there are no groups
    /// on either side, or a common one. Only the textual form of the addresses counts here; others refuse what is none.
    #[must_use]
    pub fn carries(&self, prefix: &str, groups: &[String]) -> bool {
        if self.addr.contains(':') != prefix.contains(':') {
            return false;
        }
        let own = self.groups.as_deref().unwrap_or_default();
        own.is_empty() || groups.is_empty() || groups.iter().any(|group| own.contains(group))
    }
}

/// What the node's agent reports about the session.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct BGPPeerStatus {
    /// How often an established session was lost.
    #[serde(default)]
    pub backoff: u32,
    /// `Session` last (the STATUS column): the state's name, and why it is not established.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_carries_prefixes_of_its_own_family_in_a_common_group() {
        let peer = |addr: &str, groups: &[&str]| BGPPeerSpec {
            addr: addr.to_owned(),
            groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
            ..BGPPeerSpec::default()
        };
        let a = ["a".to_owned()];
        assert!(peer("9.9.9.9", &["a"]).carries("10.1.0.0/29", &a));
        assert!(peer("9.9.9.9", &[]).carries("10.1.0.0/29", &a));
        assert!(!peer("9.9.9.9", &["b"]).carries("10.1.0.0/29", &a));
        assert!(!peer("9.9.9.9", &["a"]).carries("fd00:10::/122", &a));
        assert!(peer("fd09::9", &["a"]).carries("fd00:10::/122", &[]));
    }
}
