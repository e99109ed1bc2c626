//! BGPPeerTemplate: a peer's settings, named once and used by many ClusterBGPs. Edits propagate.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a peer; each is optional, so that an inline peer can override single ones.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "BGPPeerTemplate",
    plural = "bgppeertemplates",
    singular = "bgppeertemplate",
    status = "BGPPeerTemplateStatus",
    derive = "PartialEq",
    doc = "BGPPeerTemplate holds settings that ClusterBGPs give to their peers.",
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BGPPeerTemplateSpec {
    /// The peer's ASN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub asn: Option<u32>,
    /// The peer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 45), extend("x-kubernetes-validations" = [
        {"rule": "isIP(self)", "message": "addr must be an IP address"}
    ]))]
    pub addr: Option<String>,
    /// Capabilities to offer; kept for compatibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
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
    /// Groups of the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub groups: Option<Vec<String>>,
}

/// Nothing is reported on a template.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct BGPPeerTemplateStatus {}
