//! BGPAdvertisement: one prefix to announce, which peers may carry it, and which do.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address_pool::AddressType;
use crate::condition::Condition;

/// One prefix to announce.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "BGPAdvertisement",
    plural = "bgpadvertisements",
    singular = "bgpadvertisement",
    namespaced,
    status = "BGPAdvertisementStatus",
    derive = "PartialEq",
    doc = "BGPAdvertisement is one prefix that nodes announce.",
    printcolumn = r#"{"name":"CIDR","type":"string","jsonPath":".spec.cidr"}"#,
    printcolumn = r#"{"name":"TYPE","type":"string","jsonPath":".spec.type"}"#,
    printcolumn = r#"{"name":"PROTOCOL","type":"string","jsonPath":".spec.protocol"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.cidr == oldSelf.cidr && self.type == oldSelf.type && self.protocol == oldSelf.protocol", "message": "cidr, type and protocol are immutable: delete the BGPAdvertisement and create another"},
    {"rule": "!isCIDR(self.cidr) || cidr(self.cidr).ip().family() == (self.protocol == 'ipv4' ? 4 : 6)", "message": "protocol must be the address family of cidr"}
]))]
pub struct BGPAdvertisementSpec {
    /// The prefix.
    #[schemars(length(max = 64), extend("x-kubernetes-validations" = [
        {"rule": "isCIDR(self)", "message": "cidr must be a prefix such as 10.0.1.0/32"}
    ]))]
    pub cidr: String,
    /// `service`: a virtual address; `pod`: a block of pod addresses.
    #[serde(rename = "type")]
    pub type_: AddressType,
    /// `ipv4` or `ipv6`.
    pub protocol: Protocol,
    /// Path attributes to add; kept for compatibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attrs: Option<Vec<String>>,
    /// Groups of peers that carry the prefix; unset means every peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub groups: Option<Vec<String>>,
}

/// Address family of a prefix.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Ipv4,
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Ipv6,
}

/// Who carries the prefix; folded by the controller from every `NodeBGP.status`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct BGPAdvertisementStatus {
    /// Name of a BGPPeer, and whether its session carries the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<BTreeMap<String, AdvertiseStatus>>,
    /// `Advertised`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// State of a prefix on one session.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AdvertiseStatus {
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    NotAdvertised,
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Advertised,
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Withdraw,
}
