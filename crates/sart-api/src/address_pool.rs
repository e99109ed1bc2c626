//! AddressPool: a prefix from which Services or pods get their addresses.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// A prefix to allocate from. Its prefix, type and block size never change: blocks and claims were cut from them.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "AddressPool",
    plural = "addresspools",
    singular = "addresspool",
    status = "AddressPoolStatus",
    derive = "PartialEq",
    doc = "AddressPool is a prefix from which Services or pods get addresses.",
    printcolumn = r#"{"name":"CIDR","type":"string","jsonPath":".spec.cidr"}"#,
    printcolumn = r#"{"name":"TYPE","type":"string","jsonPath":".spec.type"}"#,
    printcolumn = r#"{"name":"BLOCKSIZE","type":"integer","jsonPath":".spec.blockSize"}"#,
    printcolumn = r#"{"name":"AUTO","type":"boolean","jsonPath":".spec.autoAssign"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.cidr == oldSelf.cidr", "message": "cidr is immutable: create another AddressPool and move its users"},
    {"rule": "self.type == oldSelf.type", "message": "type is immutable: create another AddressPool"},
    {"rule": "has(self.blockSize) == has(oldSelf.blockSize) && (!has(self.blockSize) || self.blockSize == oldSelf.blockSize)", "message": "blockSize is immutable: create another AddressPool"},
    {"rule": "!has(self.blockSize) || !isCIDR(self.cidr) || self.blockSize >= cidr(self.cidr).prefixLength()", "message": "blockSize must not be shorter than the prefix length of cidr: a block is a part of its pool"},
    {"rule": "!has(self.blockSize) || !isCIDR(self.cidr) || self.blockSize <= (cidr(self.cidr).ip().family() == 4 ? 32 : 128)", "message": "blockSize must be at most 32 for IPv4 and 128 for IPv6"}
]))]
pub struct AddressPoolSpec {
    /// The prefix, without host bits.
    #[schemars(length(max = 64), extend("x-kubernetes-validations" = [
        {"rule": "isCIDR(self)", "message": "cidr must be a prefix such as 10.0.1.0/24"},
        {"rule": "!isCIDR(self) || cidr(self).masked() == cidr(self)", "message": "cidr must not have host bits set"}
    ]))]
    pub cidr: String,
    /// `service` or `pod`.
    #[serde(rename = "type")]
    pub type_: AddressType,
    /// `bit`: the lowest free address first.
    #[serde(default = "default_alloc", skip_serializing_if = "Option::is_none")]
    pub alloc_type: Option<AllocType>,
    /// Prefix length of pod blocks; unset is the pool's own. Irrelevant for services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 128))]
    pub block_size: Option<u32>,
    /// Whether whoever names no pool gets this one; one pool per type.
    #[serde(default = "default_auto", skip_serializing_if = "Option::is_none")]
    pub auto_assign: Option<bool>,
    /// Skip addresses that end in .0 and .255, which some clients refuse (IPv4).
    #[serde(default, rename = "avoidBuggyIPs", skip_serializing_if = "Option::is_none")]
    pub avoid_buggy_ips: Option<bool>,
    /// Drain: what is allocated stays, nothing new is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde's default needs the type of the field")]
fn default_alloc() -> Option<AllocType> {
    Some(AllocType::Bit)
}

#[expect(clippy::unnecessary_wraps, reason = "serde's default needs the type of the field")]
fn default_auto() -> Option<bool> {
    Some(false)
}

/// Who gets addresses of a pool.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressType {
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Service,
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Pod,
}

/// How the next address is chosen.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AllocType {
    #[expect(
        missing_docs,
        reason = "documented on the field: variant docs would turn the schema's enum into a oneOf"
    )]
    Bit,
}

/// What the controller made of a pool.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct AddressPoolStatus {
    /// `Accepted`: nothing is allocated from a pool before it is `True`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
