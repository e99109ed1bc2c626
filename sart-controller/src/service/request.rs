//! What a Service asks for: its type and class, our annotations, MetalLB's, `spec.loadBalancerIP`, its families.

use core::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use sart_api::keys;
use sart_api::net::{ParseError, parse_address};
use sart_ipam::vip::{Family, Request};

use crate::meta::{self, recorded};

/// Why a request cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// A requested address is none.
    #[error("a requested address is wrong: {0}; correct the annotation or spec.loadBalancerIP")]
    Address(#[from] ParseError),
    /// Two places name different addresses.
    #[error("spec.loadBalancerIP and the annotation {0} name different addresses; keep one of them")]
    Conflict(&'static str),
}

impl RequestError {
    /// The word used in conditions and Events.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Address(error) => error.reason(),
            Self::Conflict(_) => "ConflictingRequest",
        }
    }
}

/// Whether the Service is a load balancer of ours.
#[must_use]
pub fn is_ours(service: &Service) -> bool {
    let Some(spec) = &service.spec else { return false };
    let class = spec.load_balancer_class.as_deref();
    spec.type_.as_deref() == Some("LoadBalancer")
        && class.is_none_or(|class| class == keys::LOADBALANCER_CLASS)
        && !meta::is_going(service)
}

/// Reads the request; `claimed` are addresses that are claimed for the Service already.
///
/// # Errors
/// An address cannot be read, or two places disagree.
pub fn read(service: &Service, claimed: &[IpAddr]) -> Result<Request, RequestError> {
    let mut held = recorded(service);
    held.extend(claimed.iter().filter(|address| !held.contains(address)).copied().collect::<Vec<_>>());
    let policy = service.spec.as_ref().and_then(|s| s.ip_family_policy.as_deref());
    Ok(Request {
        pools: annotation(service, keys::ADDRESS_POOL, keys::METALLB_ADDRESS_POOL)
            .map(|(_, value)| keys::csv(value))
            .unwrap_or_default(),
        addresses: addresses(service)?,
        families: families(service),
        require_dual: policy == Some("RequireDualStack"),
        held,
    })
}

/// Peer groups the Service names.
#[must_use]
pub fn groups(service: &Service) -> Vec<String> {
    service.annotations().get(keys::PEER_GROUP).map(|value| keys::csv(value)).unwrap_or_default()
}

fn addresses(service: &Service) -> Result<Vec<IpAddr>, RequestError> {
    let field = service.spec.as_ref().and_then(|s| s.load_balancer_ip.as_deref()).filter(|ip| !ip.is_empty());
    let by_field = field.map(parse_address).transpose()?;
    let Some((key, value)) = annotation(service, keys::LOADBALANCER_IPS, keys::METALLB_LOADBALANCER_IPS)
    else {
        return Ok(by_field.into_iter().collect());
    };
    let named: Vec<IpAddr> =
        keys::csv(value).iter().map(|ip| parse_address(ip)).collect::<Result<_, ParseError>>()?;
    match by_field {
        Some(ip) if named != [ip] => Err(RequestError::Conflict(key)),
        _ => Ok(named),
    }
}

/// Our annotation, else MetalLB's.
fn annotation<'a>(
    service: &'a Service,
    own: &'static str,
    others: [&'static str; 2],
) -> Option<(&'static str, &'a str)> {
    let annotations = service.annotations();
    let mut keys = std::iter::once(own).chain(others);
    keys.find_map(|key| annotations.get(key).map(|value| (key, value.as_str())))
}

fn families(service: &Service) -> Vec<Family> {
    let named = service.spec.as_ref().and_then(|s| s.ip_families.as_ref()).into_iter().flatten();
    let families: Vec<Family> =
        named.map(|family| if family == "IPv6" { Family::V6 } else { Family::V4 }).collect();
    if families.is_empty() { vec![Family::V4] } else { families }
}
