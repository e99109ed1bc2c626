//! Decides whether this node provably delivers a VIP: either its rows were read back from the maps, or kube-proxy is
//! healthy and holds every port in its rules. Without one of the two nothing is announced.

use std::net::IpAddr;

use sart_api::Proof;
use sart_netlink::{Protocol, ServiceRules};

use super::backends::PortBackends;
use super::facts::{PortFact, ServiceFact, SliceFact, TrafficPolicy, Transport};
use super::observed::{Forwarding, Observed, Proxy, VipPort};

/// One port of a VIP with what stands behind it.
#[derive(Clone, Debug)]
pub(super) struct ServedPort {
    pub(super) vip: VipPort,
    pub(super) backends: PortBackends,
}

/// The ports of `service` at `address` that some endpoint of the cluster backs. A port that nothing implements (a
/// `targetPort` no pod has) cannot keep the others from being served.
pub(super) fn backed_ports<'a>(
    service: &'a ServiceFact,
    address: IpAddr,
    slices: impl Iterator<Item = &'a SliceFact> + Clone,
) -> Vec<ServedPort> {
    service
        .ports
        .iter()
        .map(|port| ServedPort {
            vip: vip_port(port, address),
            backends: PortBackends::collect(port, address, slices.clone()),
        })
        .filter(|port| port.backends.ready_anywhere || !port.backends.local.is_empty())
        .collect()
}

fn vip_port(port: &PortFact, address: IpAddr) -> VipPort {
    VipPort { address, transport: port.transport, port: port.number }
}

/// The maps can hold this port: IPv4, TCP or UDP, of a `Local` Service.
pub(super) fn fits_maps(vip: &VipPort) -> bool {
    vip.address.is_ipv4() && matches!(vip.transport, Transport::Tcp | Transport::Udp)
}

/// Finds the proof for a VIP whose `ports` are all backed, or says what is missing. `announced` VIPs keep their proof
/// while a changed set of backends is on its way into the maps.
pub(super) fn find(
    observed: &Observed,
    policy: TrafficPolicy,
    ports: &[ServedPort],
    announced: bool,
) -> Result<Proof, String> {
    if policy == TrafficPolicy::Local && maps_are_used(observed, ports) {
        return in_maps(observed, ports, announced).map(|()| Proof::Bpf);
    }
    in_proxy(&observed.proxy, ports).map(|()| Proof::KubeProxy)
}

/// The dataplane serves on every uplink and has refused none of the ports: then its read-back is the proof that counts.
fn maps_are_used(observed: &Observed, ports: &[ServedPort]) -> bool {
    let Forwarding::Serving { refused, attached, .. } = &observed.forwarding else {
        return false;
    };
    observed
        .uplinks
        .as_ref()
        .is_some_and(|uplinks| !uplinks.is_empty() && uplinks.keys().all(|uplink| attached.contains(uplink)))
        && ports.iter().all(|port| fits_maps(&port.vip) && !refused.contains_key(&port.vip))
}

fn in_maps(observed: &Observed, ports: &[ServedPort], announced: bool) -> Result<(), String> {
    let Forwarding::Serving { rows, .. } = &observed.forwarding else {
        return Err("the dataplane does not serve".to_owned());
    };
    let programmed = |port: &ServedPort| match rows.get(&port.vip) {
        Some(row) if announced => !row.backends.is_empty(),
        Some(row) => !row.backends.is_empty() && *row.backends == *port.backends.local,
        None => false,
    };
    match ports.iter().find(|port| !programmed(port)) {
        None => Ok(()),
        Some(port) => Err(format!("{} is not yet in the maps", port.vip)),
    }
}

fn in_proxy(proxy: &Proxy, ports: &[ServedPort]) -> Result<(), String> {
    match proxy {
        Proxy::Healthy { rules } => match ports.iter().find(|port| !stands_in(rules, &port.vip)) {
            None => Ok(()),
            Some(port) => Err(format!("{} is not in kube-proxy's rules", port.vip)),
        },
        Proxy::Unproven { message } => Err(message.clone()),
        Proxy::Unknown => Err("kube-proxy has not been asked yet".to_owned()),
    }
}

fn stands_in(rules: &ServiceRules, vip: &VipPort) -> bool {
    let protocol = match vip.transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
        Transport::Sctp => Protocol::Sctp,
    };
    rules.contains(vip.address, vip.port, protocol)
}
