//! AddressBlock: the part of a pool one user allocates from; all of it for Services, a slot per request for nodes.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address_pool::AddressType;
use crate::condition::Condition;

/// A part of a pool. Creating it is the claim on its addresses.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "AddressBlock",
    plural = "addressblocks",
    singular = "addressblock",
    status = "AddressBlockStatus",
    derive = "PartialEq",
    doc = "AddressBlock is the part of an AddressPool that one user allocates from.",
    printcolumn = r#"{"name":"CIDR","type":"string","jsonPath":".spec.cidr"}"#,
    printcolumn = r#"{"name":"TYPE","type":"string","jsonPath":".spec.type"}"#,
    printcolumn = r#"{"name":"POOLREF","type":"string","jsonPath":".spec.poolRef"}"#,
    printcolumn = r#"{"name":"NODEREF","type":"string","jsonPath":".spec.nodeRef"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.cidr == oldSelf.cidr && self.type == oldSelf.type && self.poolRef == oldSelf.poolRef", "message": "cidr, type and poolRef of an AddressBlock are immutable"},
    {"rule": "self.type != 'pod' || has(self.nodeRef)", "message": "a block of type pod needs nodeRef"}
]))]
pub struct AddressBlockSpec {
    /// The prefix, inside the pool's.
    #[schemars(length(max = 64), extend("x-kubernetes-validations" = [
        {"rule": "isCIDR(self)", "message": "cidr must be a prefix such as 10.1.0.0/29"}
    ]))]
    pub cidr: String,
    /// `service` or `pod`.
    #[serde(rename = "type")]
    pub type_: AddressType,
    /// The pool it was cut from.
    #[schemars(length(max = 253))]
    pub pool_ref: String,
    /// The node that uses it (pod).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node_ref: Option<String>,
    /// Copied from the pool.
    #[serde(default)]
    pub auto_assign: bool,
}

/// Where the block stands in its pool.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct AddressBlockStatus {
    /// Slot of the block in its pool, from 0; the largest number when it needs more than 32 bits.
    #[serde(default)]
    pub index: u32,
    /// `Lost`: `True` while the block's node is gone or out of service; says what its reuse waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
