//! Facts every reconciler reads from object metadata: age, ownership, which labels are ours.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt as _};
use serde_json::{Value, json};

use sart_api::{BGPAdvertisement, CONTROLLER_MANAGER, keys};

use crate::key::Name;

/// Creation time in seconds; objects without one count as newest.
pub fn created<T: Resource>(object: &T) -> i64 {
    object.meta().creation_timestamp.as_ref().map_or(i64::MAX, |time| time.0.as_second())
}

/// The object's UID, or nothing.
pub fn uid<T: Resource>(object: &T) -> &str {
    object.meta().uid.as_deref().unwrap_or_default()
}

/// Whether deletion has begun.
pub fn is_going<T: Resource>(object: &T) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Whether a person has marked the node as shut down.
#[must_use]
pub fn is_out_of_service(node: &Node) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    taints.into_iter().flatten().any(|taint| taint.key == keys::OUT_OF_SERVICE)
}

/// The owner reference of this kind, if any.
pub fn owner<'a, T: Resource>(object: &'a T, kind: &str) -> Option<&'a OwnerReference> {
    object.meta().owner_references.as_deref()?.iter().find(|o| o.kind == kind)
}

/// An owner reference as JSON. Garbage collection follows it; it never blocks the owner's deletion.
pub fn owned_by(api_version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!([{"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true}])
}

/// Whether every pair of `selector` is in `labels`.
pub fn selects(selector: Option<&BTreeMap<String, String>>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_none_or(|wanted| wanted.iter().all(|(k, v)| labels.get(k) == Some(v)))
}

/// Whether the object carries `wanted` and no other label that this controller set earlier.
pub fn labels_match<T: Resource>(object: &T, wanted: &BTreeMap<String, String>) -> bool {
    let empty = BTreeMap::new();
    let actual = object.meta().labels.as_ref().unwrap_or(&empty);
    selects(Some(wanted), actual) && owned_labels(object).iter().all(|label| wanted.contains_key(label))
}

/// Addresses a Service records, in order.
#[must_use]
pub fn recorded(service: &Service) -> Vec<IpAddr> {
    let status = service.status.as_ref().and_then(|s| s.load_balancer.as_ref());
    let ingress = status.and_then(|l| l.ingress.as_ref()).into_iter().flatten();
    ingress.filter_map(|i| i.ip.as_ref()?.parse().ok()).collect()
}

/// The Service an advertisement belongs to, by its label.
#[must_use]
pub fn service_of(advert: &BGPAdvertisement) -> Option<Name> {
    let service = advert.labels().get(keys::SERVICE_NAME)?;
    Some(Name::new(&advert.namespace()?, service))
}

/// Label keys that stand in the object because this controller applied them.
fn owned_labels<T: Resource>(object: &T) -> BTreeSet<String> {
    let fields = object.meta().managed_fields.iter().flatten();
    let ours = fields.filter(|f| f.manager.as_deref() == Some(CONTROLLER_MANAGER) && f.subresource.is_none());
    ours.filter_map(|f| f.fields_v1.as_ref())
        .filter_map(|f| f.0.pointer("/f:metadata/f:labels").and_then(Value::as_object))
        .flat_map(|labels| labels.keys())
        .filter_map(|key| key.strip_prefix("f:"))
        .map(str::to_owned)
        .collect()
}
