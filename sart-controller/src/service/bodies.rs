//! The objects written for a Service: claim, status, advertisement, Event.

use core::net::IpAddr;

use k8s_openapi::api::core::v1::{ObjectReference, Service};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use kube::ResourceExt as _;
use sart_api::net::host_prefix;
use sart_api::{CONTROLLER_MANAGER, keys, names};
use sart_ipam::vip::VipPool;
use serde_json::{Value, json};

use super::request;
use crate::key::Name;
use crate::meta;
use crate::write::{Action, Kind, Target, api_version};

/// The claim of an address.
#[must_use]
pub fn claim(service: &Service, address: IpAddr, pools: &[VipPool]) -> Action {
    let pool = pools.iter().find(|p| p.net.contains(&address)).map(|p| p.name.as_str());
    let labels = pool.map(|pool| json!({keys::ADDRESS_POOL: names::label_value(pool)}));
    Action::Claim(json!({
        "apiVersion": api_version(),
        "kind": "AddressClaim",
        "metadata": {"name": names::claim(address), "labels": labels},
        "spec": {
            "address": address.to_string(),
            "owner": {
                "kind": "Service",
                "namespace": service.namespace(),
                "name": service.name_any(),
                "uid": meta::uid(service),
            },
        },
    }))
}

/// The status: addresses in order and the condition; without one, our part of the status is given up.
#[must_use]
pub fn status(service: &Service, addresses: &[IpAddr], condition: Option<Value>) -> Action {
    let ingress: Vec<Value> = addresses.iter().map(|a| json!({"ip": a.to_string()})).collect();
    let body = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service.name_any(), "namespace": service.namespace(), "uid": meta::uid(service)},
        "status": {"loadBalancer": {"ingress": ingress}, "conditions": condition.into_iter().collect::<Vec<_>>()},
    });
    Action::ApplyStatus(Target { kind: Kind::Service, name: Name::of(service) }, body)
}

/// The advertisement of an address.
#[must_use]
pub fn advertisement(service: &Service, address: IpAddr) -> Action {
    let name = Name::new(
        &service.namespace().unwrap_or_default(),
        &names::advertisement(&service.name_any(), address),
    );
    let mut spec = json!({
        "cidr": host_prefix(address).to_string(),
        "type": "service",
        "protocol": if address.is_ipv4() { "ipv4" } else { "ipv6" },
    });
    let groups = request::groups(service);
    if !groups.is_empty() {
        spec["groups"] = json!(groups);
    }
    let body = json!({
        "apiVersion": api_version(),
        "kind": "BGPAdvertisement",
        "metadata": {
            "name": name.name,
            "namespace": name.namespace,
            "labels": {keys::SERVICE_NAME: service.name_any()},
            "ownerReferences": meta::owned_by("v1", "Service", &service.name_any(), meta::uid(service)),
        },
        "spec": spec,
    });
    Action::Apply(Target { kind: Kind::Advertisement, name }, body)
}

/// A warning about the Service.
#[must_use]
pub fn warning(service: &Service, reason: &str, message: &str, now: &Time) -> Action {
    let namespace = service.namespace();
    Action::Warn(Box::new(Event {
        action: Some("Allocate".to_owned()),
        event_time: Some(MicroTime(now.0)),
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", service.name_any(), now.0.as_nanosecond())),
            namespace: namespace.clone(),
            ..ObjectMeta::default()
        },
        note: Some(message.chars().take(1000).collect()),
        reason: Some(reason.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            name: service.metadata.name.clone(),
            namespace,
            uid: service.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER_MANAGER.to_owned()),
        reporting_instance: Some(CONTROLLER_MANAGER.to_owned()),
        type_: Some("Warning".to_owned()),
        ..Event::default()
    }))
}
