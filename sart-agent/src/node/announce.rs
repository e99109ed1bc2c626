//! Decides for each advertisement whether this node originates it, and why not when it does not.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use sart_api::Proof;

use super::facts::{AdvertFact, BlockAdvertFact, ObjectKey, ServiceFact, TrafficPolicy};
use super::observed::Observed;
use super::proof::{self, ServedPort};

/// A prefix this node originates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Prefix.
    pub prefix: IpNet,
    /// Groups of the neighbours that get it; empty means all.
    pub groups: Arc<[String]>,
    /// What shows that it is served.
    pub proof: Proof,
}

/// Why an advertisement is not originated here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// The advertisement's owner is no LoadBalancer Service of ours (any more).
    #[error("Service {0} is not a LoadBalancer Service of ours: nothing to do")]
    NoService(ObjectKey),
    /// The Service does not (or no longer) hold the address.
    #[error("address {address} is not in status.loadBalancer.ingress of Service {service}")]
    NotAllocated {
        /// The Service.
        service: ObjectKey,
        /// The address.
        address: IpAddr,
    },
    /// The node carries the label that keeps it out of load balancing.
    #[error("the node carries label node.kubernetes.io/exclude-from-external-load-balancers")]
    NodeExcluded,
    /// `Local`, and a port has no ready endpoint on this node.
    #[error("no ready endpoint on this node for {0} (externalTrafficPolicy Local)")]
    NoLocalEndpoint(String),
    /// `Cluster`, and no endpoint is ready anywhere.
    #[error("Service {0} has no ready endpoint")]
    NoEndpoint(ObjectKey),
    /// Ready, but not shown to be served.
    #[error("no serving proof: {0}")]
    NoProof(String),
}

impl Withheld {
    /// The condition's reason and metric label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoService(_) => "NoService",
            Self::NotAllocated { .. } => "NotAllocated",
            Self::NodeExcluded => "NodeExcluded",
            Self::NoLocalEndpoint(_) => "NoLocalEndpoint",
            Self::NoEndpoint(_) => "NoEndpoint",
            Self::NoProof(_) => "NoProof",
        }
    }
}

/// The decision for one advertisement.
pub(super) fn decide(observed: &Observed, advert: &AdvertFact) -> Result<Advertised, Withheld> {
    let (service, ports) = allocated(observed, advert)?;
    if observed.node.as_ref().is_some_and(|node| node.excluded) {
        return Err(Withheld::NodeExcluded);
    }
    let backed = endpoints_ready(advert, service, ports)?;
    let announced = observed.speaker.announced.contains_key(&advert.prefix);
    let proof = proof::find(observed, service.policy, &backed, announced).map_err(Withheld::NoProof)?;
    Ok(Advertised { prefix: advert.prefix, groups: advert.groups.clone().into(), proof })
}

/// The blocks of pods this node originates: its own ones, of which a read has confirmed claim and covering route.
pub(super) fn blocks(observed: &Observed) -> impl Iterator<Item = (ObjectKey, Advertised)> {
    let ours = |advert: &BlockAdvertFact| observed.blocks.get(&advert.block) == Some(&advert.prefix);
    observed.block_adverts.iter().filter(move |(_, advert)| ours(advert)).map(|(key, advert)| {
        let groups = advert.groups.clone().into();
        (key.clone(), Advertised { prefix: advert.prefix, groups, proof: Proof::Route })
    })
}

/// The Service that holds the advertised address now, and the ports behind it.
pub(super) fn allocated<'a>(
    observed: &'a Observed,
    advert: &AdvertFact,
) -> Result<(&'a ServiceFact, Vec<ServedPort>), Withheld> {
    let key = &advert.service;
    let service = observed.services.get(key).ok_or_else(|| Withheld::NoService(key.clone()))?;
    let address = advert.prefix.addr();
    if !service.ingress.contains(&address) {
        return Err(Withheld::NotAllocated { service: key.clone(), address });
    }
    let slices = observed.slices.group(key).map(|(_, slice)| slice);
    Ok((service, proof::backed_ports(service, address, slices)))
}

/// The ports that must be proven; an error when the policy finds no ready endpoint.
fn endpoints_ready(
    advert: &AdvertFact,
    service: &ServiceFact,
    mut ports: Vec<ServedPort>,
) -> Result<Vec<ServedPort>, Withheld> {
    ports.retain(|port| port.backends.ready_anywhere);
    if ports.is_empty() {
        return Err(match service.policy {
            TrafficPolicy::Cluster => Withheld::NoEndpoint(advert.service.clone()),
            TrafficPolicy::Local => Withheld::NoLocalEndpoint(advert.prefix.addr().to_string()),
        });
    }
    match ports.iter().find(|port| service.policy == TrafficPolicy::Local && !port.backends.ready) {
        Some(port) => Err(Withheld::NoLocalEndpoint(port.vip.to_string())),
        None => Ok(ports),
    }
}
