//! Between the plan's terms and those of the gRPC contract.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use sart_rpc::v1::{
    AddressFamily, ApplyConfigRequest, Global, LocalPath, Neighbor, NeighborConfig, Origin, SessionState,
    TransitPolicy,
};

use crate::event::SpeakerEvent;
use crate::node::{self, Paths, Session, SpeakerConfig, report};

/// TCP port of BGP (RFC 4271 section 8).
const BGP_PORT: u32 = 179;

pub(super) fn apply_config(config: &SpeakerConfig, paths: &Paths) -> ApplyConfigRequest {
    ApplyConfigRequest {
        global: Some(Global {
            asn: config.asn,
            router_id: config.router_id.clone(),
            port: BGP_PORT,
            multipath: config.multipath,
            transit: TransitPolicy::LocalOnly.into(),
            import_ranges: config.import_ranges.iter().map(ToString::to_string).collect(),
            import_all: false,
            protected_prefixes: config.protected.iter().map(ToString::to_string).collect(),
            // The ranges and the missing transit are the explicit policy that RFC 8212 asks for.
            ebgp_requires_policy: true,
            ..Global::default()
        }),
        neighbors: config.neighbors.iter().map(neighbor).collect(),
        paths: paths.iter().map(local_path).collect(),
        policy: None,
    }
}

fn neighbor(neighbor: &node::Neighbor) -> NeighborConfig {
    NeighborConfig {
        name: neighbor.name.clone(),
        address: neighbor.address.to_string(),
        asn: neighbor.asn,
        hold_time: neighbor.hold_time.unwrap_or_default(),
        keepalive_time: neighbor.keepalive_time.unwrap_or_default(),
        families: vec![family(neighbor.address).into()],
        groups: neighbor.groups.clone(),
        ..NeighborConfig::default()
    }
}

/// Prefixes of a family go to the neighbours with an address of it: those are the next hops that both ends can use.
const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Ipv4Unicast,
        IpAddr::V6(_) => AddressFamily::Ipv6Unicast,
    }
}

pub(super) fn local_path((prefix, groups): (&IpNet, &Arc<[String]>)) -> LocalPath {
    LocalPath {
        prefix: prefix.to_string(),
        origin: Origin::Igp.into(),
        groups: groups.to_vec(),
        ..LocalPath::default()
    }
}

/// A neighbour whose address makes no sense is none of ours.
pub(super) fn session(neighbor: &Neighbor) -> Option<SpeakerEvent> {
    let address = neighbor.config.as_ref()?.address.parse().ok()?;
    let state = match neighbor.state() {
        SessionState::Unspecified | SessionState::Idle => "Idle",
        SessionState::Connect => "Connect",
        SessionState::Active => "Active",
        SessionState::OpenSent => "OpenSent",
        SessionState::OpenConfirm => "OpenConfirm",
        SessionState::Established => report::ESTABLISHED,
    };
    Some(SpeakerEvent::Session(address, Session { state, last_error: neighbor.last_error.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_offered_the_family_of_its_address() {
        let of = |address: &str| {
            let address = address.parse().unwrap();
            let name = String::from("spine");
            let asked = node::Neighbor {
                name,
                address,
                asn: 65001,
                hold_time: None,
                keepalive_time: None,
                groups: Vec::new(),
            };
            neighbor(&asked).families
        };
        assert_eq!(of("9.9.9.9"), [i32::from(AddressFamily::Ipv4Unicast)]);
        assert_eq!(of("fd09::9"), [i32::from(AddressFamily::Ipv6Unicast)]);
    }
}
