//! AddressClaim: who owns one virtual address. Its name is made from the address, so the API's create decides.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One address and its owner.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "sart.terassyi.net",
    version = "v1alpha2",
    kind = "AddressClaim",
    plural = "addressclaims",
    singular = "addressclaim",
    derive = "PartialEq",
    doc = "AddressClaim reserves one address: while it exists no one else gets it.",
    printcolumn = r#"{"name":"ADDRESS","type":"string","jsonPath":".spec.address"}"#,
    printcolumn = r#"{"name":"KIND","type":"string","jsonPath":".spec.owner.kind"}"#,
    printcolumn = r#"{"name":"NAMESPACE","type":"string","jsonPath":".spec.owner.namespace"}"#,
    printcolumn = r#"{"name":"OWNER","type":"string","jsonPath":".spec.owner.name"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.address == oldSelf.address", "message": "address is immutable: delete the AddressClaim and create another"},
    {"rule": "has(self.owner) == has(oldSelf.owner) && (!has(self.owner) || self.owner == oldSelf.owner)", "message": "owner is immutable: an address changes hands by delete and create only"}
]))]
pub struct AddressClaimSpec {
    /// The address.
    #[schemars(length(max = 45), extend("x-kubernetes-validations" = [
        {"rule": "isIP(self)", "message": "address must be an IP address"}
    ]))]
    pub address: String,
    /// Who holds the address; a claim made by hand without an owner reserves it for no one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ClaimOwner>,
}

/// The object that holds an address.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ClaimOwner {
    /// Its kind, such as `Service`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Its namespace.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its UID: an object of the same name made later is another owner.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub uid: String,
}
