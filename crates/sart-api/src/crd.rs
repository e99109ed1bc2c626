//! The CustomResourceDefinitions as they are installed: the derived schemas, made exact for the API server.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::{
    AddressBlock, AddressClaim, AddressPool, BGPAdvertisement, BGPPeer, BGPPeerTemplate, BlockRequest,
    ClusterBGP, NodeBGP,
};

/// The claim's name is its address: only the whole object can say so.
const CLAIM_RULES: [(&str, &str); 2] = [
    (
        "!isIP(self.spec.address) || ip(self.spec.address).family() == 6 || self.metadata.name == 'v4-' + self.spec.address.replace('.', '-')",
        "the name of an IPv4 AddressClaim is v4- and the address with dashes, such as v4-10-0-1-0",
    ),
    (
        "!isIP(self.spec.address) || ip(self.spec.address).family() == 4 || (self.metadata.name.matches('^v6(-[0-9a-f]{4}){8}$') && ip(self.metadata.name.substring(3).replace('-', ':')) == ip(self.spec.address))",
        "the name of an IPv6 AddressClaim is v6- and eight groups of four digits, such as v6-fd00-0000-0000-0000-0000-0000-0000-0001",
    ),
];

/// Every definition, in the order of `kubectl get`'s usual questions; each as JSON ready to apply or to write as YAML.
///
/// # Errors
/// A derived definition does not serialise, which only a change of the types can cause.
pub fn all() -> Result<Vec<Value>, serde_json::Error> {
    let derived = [
        ClusterBGP::crd(),
        NodeBGP::crd(),
        BGPPeer::crd(),
        BGPPeerTemplate::crd(),
        BGPAdvertisement::crd(),
        AddressPool::crd(),
        AddressBlock::crd(),
        BlockRequest::crd(),
        AddressClaim::crd(),
    ];
    derived.iter().map(exact).collect()
}

/// Adds what the derive cannot express and takes away what the API server warns about.
fn exact(crd: &CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(crd)?;
    if crd.spec.names.kind == "AddressClaim"
        && let Some(schema) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        && let Some(object) = schema.as_object_mut()
    {
        object.insert("x-kubernetes-validations".to_owned(), rules(&CLAIM_RULES));
    }
    tidy(&mut value);
    Ok(value)
}

fn rules(rules: &[(&str, &str)]) -> Value {
    rules.iter().map(|(rule, message)| json!({"rule": rule, "message": message})).collect()
}

/// Walks a schema: an absent field and a null mean the same (the API server prunes nulls that are not nullable, and rules
/// then see one case instead of two), and Rust's unsigned widths become bounds the API server knows.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("type").is_some_and(Value::is_string) {
                object.remove("nullable");
                bound_integer(object);
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn bound_integer(schema: &mut Map<String, Value>) {
    let max = match schema.get("format").and_then(Value::as_str) {
        Some("uint32") => u64::from(u32::MAX),
        Some("uint64") => i64::MAX.unsigned_abs(),
        _ => return,
    };
    schema.insert("format".to_owned(), json!("int64"));
    schema.entry("minimum").or_insert(json!(0));
    schema.entry("maximum").or_insert(json!(max));
}

#[cfg(test)]
mod tests;
