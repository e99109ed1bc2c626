//! BlockRequest: a node asks for one more block of a pool; the answer stands in the status.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// A node's wish for a block.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "BlockRequest",
    plural = "blockrequests",
    singular = "blockrequest",
    status = "BlockRequestStatus",
    derive = "PartialEq",
    doc = "BlockRequest is a node's request for one more AddressBlock of a pool.",
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
}

/// The answer to a request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct BlockRequestStatus {
    /// The block given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// `Accepted`: `False` says why no block was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
