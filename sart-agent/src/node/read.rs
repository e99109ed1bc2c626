//! Reads watched objects into facts. A field that is missing has the meaning the API gives it; an object that makes no sense
//! is a reason, not a failure of the rest.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::ResourceExt;
use sart_api::{AddressType, BGPAdvertisement, BGPPeer, NodeBGP, keys};

use super::facts::{
    AdvertFact, BgpFact, BlockAdvertFact, LocalEndpoint, NodeFact, ObjectKey, PeerFact, PeerProblem,
    PortFact, ServiceFact, SliceFact, SlicePort, TrafficPolicy, Transport,
};

/// Label that keeps a node out of external load balancing, whatever its value.
const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// Label by which a slice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The key of any object.
pub fn key(object: &impl ResourceExt) -> ObjectKey {
    ObjectKey::new(object.namespace().unwrap_or_default(), object.name_any())
}

/// This node's Node.
pub fn node(node: &Node) -> NodeFact {
    let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    NodeFact {
        addresses: addresses.filter_map(|address| address.address.parse().ok()).collect(),
        excluded: node.labels().contains_key(EXCLUDE),
    }
}

/// A Service, if it is a LoadBalancer of ours: class unset or `sart.terassyi.net/lb`.
pub fn service(service: &Service) -> Option<ServiceFact> {
    let spec = service.spec.as_ref()?;
    let ours = spec.load_balancer_class.as_deref().is_none_or(|class| class == keys::LOADBALANCER_CLASS);
    if spec.type_.as_deref() != Some("LoadBalancer") || !ours || service.metadata.deletion_timestamp.is_some()
    {
        return None;
    }
    let policy = match spec.external_traffic_policy.as_deref() {
        Some("Local") => TrafficPolicy::Local,
        _ => TrafficPolicy::Cluster,
    };
    let ports = spec.ports.iter().flatten().filter_map(|port| {
        Some(PortFact {
            name: port.name.clone().unwrap_or_default(),
            transport: Transport::from_api(port.protocol.as_deref())?,
            number: u16::try_from(port.port).ok()?,
        })
    });
    Some(ServiceFact { policy, ports: ports.collect(), ingress: ingress(service) })
}

fn ingress(service: &Service) -> Vec<IpAddr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let entries = status.iter().flat_map(|balancer| balancer.ingress.iter().flatten());
    entries.filter_map(|entry| entry.ip.as_deref()?.parse().ok()).collect()
}

/// An EndpointSlice and the Service it belongs to; `None` for one without a Service or without addresses.
pub fn slice(slice: &EndpointSlice, node: &str) -> Option<(ObjectKey, SliceFact)> {
    let service = ObjectKey::new(slice.namespace()?, slice.labels().get(SERVICE_NAME)?.as_str());
    let ipv6 = match slice.address_type.as_str() {
        "IPv4" => false,
        "IPv6" => true,
        _ => return None,
    };
    let ports = slice.ports.iter().flatten().filter_map(|port| {
        Some(SlicePort {
            name: port.name.clone().unwrap_or_default(),
            transport: Transport::from_api(port.protocol.as_deref())?,
            number: u16::try_from(port.port?).ok()?,
        })
    });
    let endpoints = &slice.endpoints;
    let here = endpoints.iter().filter(|endpoint| endpoint.node_name.as_deref() == Some(node));
    let fact = SliceFact {
        ipv6,
        ports: ports.collect(),
        ready_anywhere: endpoints.iter().any(is_ready),
        local: here.filter_map(local).collect(),
        api_servers: api_servers(&service, endpoints),
    };
    Some((service, fact))
}

/// The API: an unset `ready` is to be read as true.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// The API: an unset `serving` follows `ready`, an unset `terminating` is false.
fn drains(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    let serving = conditions.and_then(|conditions| conditions.serving).unwrap_or_else(|| is_ready(endpoint));
    let terminating = conditions.and_then(|conditions| conditions.terminating).unwrap_or(false);
    serving && terminating
}

fn local(endpoint: &Endpoint) -> Option<LocalEndpoint> {
    let ready = is_ready(endpoint);
    if !ready && !drains(endpoint) {
        return None;
    }
    // The API: all addresses of an endpoint are the same backend; consumers use the first.
    let text = endpoint.addresses.first()?;
    let uid = endpoint.target_ref.as_ref().and_then(|target| target.uid.as_ref());
    let identity = sart_dataplane::desired::identity(uid.unwrap_or(text));
    Some(LocalEndpoint { address: text.parse().ok()?, ready, identity })
}

fn api_servers(service: &ObjectKey, endpoints: &[Endpoint]) -> Vec<IpAddr> {
    if &*service.namespace != "default" || &*service.name != "kubernetes" {
        return Vec::new();
    }
    endpoints.iter().flat_map(|endpoint| &endpoint.addresses).filter_map(|text| text.parse().ok()).collect()
}

/// A service advertisement; `None` for other types, for one on its way out, and without a Service or a prefix.
pub fn advert(advert: &BGPAdvertisement) -> Option<AdvertFact> {
    if advert.spec.type_ != AddressType::Service || advert.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let prefix: IpNet = advert.spec.cidr.parse().ok()?;
    Some(AdvertFact {
        service: ObjectKey::new(advert.namespace()?, owner(advert)?),
        prefix: prefix.trunc(),
        groups: advert.spec.groups.clone().unwrap_or_default(),
        generation: advert.metadata.generation.unwrap_or_default(),
    })
}

/// The advertisement of a block of pods.
pub fn block_advert(advert: &BGPAdvertisement) -> Option<BlockAdvertFact> {
    if advert.spec.type_ != AddressType::Pod || advert.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let owner = advert.owner_references().iter().find(|owner| owner.kind == "AddressBlock")?;
    let prefix: IpNet = advert.spec.cidr.parse().ok()?;
    Some(BlockAdvertFact {
        block: owner.name.clone(),
        prefix: prefix.trunc(),
        groups: advert.spec.groups.clone().unwrap_or_default(),
    })
}

/// The owning Service; the label is for advertisements made by hand and may be shortened for long names.
fn owner(advert: &BGPAdvertisement) -> Option<String> {
    let owner = advert.owner_references().iter().find(|owner| owner.kind == "Service");
    owner.map(|owner| owner.name.clone()).or_else(|| advert.labels().get(SERVICE_NAME).cloned())
}

/// This node's NodeBGP. Import ranges that do not parse import nothing; the schema refuses them anyway.
pub fn bgp(bgp: &NodeBGP) -> Option<BgpFact> {
    if bgp.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let ranges = bgp.spec.import_ranges.iter().flatten();
    Some(BgpFact {
        asn: bgp.spec.asn,
        router_id: bgp.spec.router_id.clone(),
        multipath: bgp.spec.speaker.multipath,
        import_ranges: ranges.filter_map(|range| range.parse().ok()).collect(),
        generation: bgp.metadata.generation.unwrap_or_default(),
    })
}

/// A BGPPeer of this node; `None` for one on its way out.
pub fn peer(peer: &BGPPeer) -> Option<PeerFact> {
    if peer.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let spec = &peer.spec;
    Some(PeerFact {
        address: spec.addr.parse().map_err(|_| PeerProblem::Address(spec.addr.clone())),
        asn: spec.asn,
        hold_time: spec.hold_time,
        keepalive_time: spec.keepalive_time,
        groups: spec.groups.clone().unwrap_or_default(),
        created: peer.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
        generation: peer.metadata.generation.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
