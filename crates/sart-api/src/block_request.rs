//! BlockRequest: how many blocks of a pool a node wants, and which it gives back; the answer stands in the status.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// A node's wish for blocks. It says how many in all, so that repeating it changes nothing.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "BlockRequest",
    plural = "blockrequests",
    singular = "blockrequest",
    status = "BlockRequestStatus",
    derive = "PartialEq",
    doc = "BlockRequest is a node's request for AddressBlocks of a pool.",
    printcolumn = r#"{"name":"POOL","type":"string","jsonPath":".spec.pool"}"#,
    printcolumn = r#"{"name":"NODE","type":"string","jsonPath":".spec.node"}"#
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.pool == oldSelf.pool && self.node == oldSelf.node", "message": "pool and node of a BlockRequest are immutable"}
]))]
pub struct BlockRequestSpec {
    /// The pool to cut from.
    #[schemars(length(min = 1, max = 253))]
    pub pool: String,
    /// The node that asks.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// How many blocks the node wants in all, those it gives back not counted; unset is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 65536))]
    pub blocks: Option<u32>,
    /// UIDs of AddressBlocks of this pool that the node has stopped using and announcing: the controller deletes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), inner(length(max = 64)))]
    pub release: Option<Vec<String>>,
}

/// The answer to a request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct BlockRequestStatus {
    /// The block given last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// How many blocks the node has, those it gives back not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u32>,
    /// `Accepted`: `False` says why the node has fewer blocks than it wants; it is served when that ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
