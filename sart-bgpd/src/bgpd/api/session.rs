//! How a session is made and what is offered on it, between the contract and the core. Must never put a key into an answer.

use std::net::IpAddr;

use sart_bgp::config::{Features, Password, Transport};
use sart_bgp::wire::capability::Role;
use sart_rpc::v1;
use tonic::Status;

use super::address;
use super::from_proto::invalid;

/// Names a field of the neighbour.
type At<'a> = &'a dyn Fn(&str) -> String;

fn octet(field: &str, value: u32) -> Result<u8, Status> {
    u8::try_from(value).map_err(|_| invalid(field, value, "is more than 255"))
}

pub(super) fn transport(at: At<'_>, proto: Option<&v1::Transport>) -> Result<Transport, Status> {
    let Some(proto) = proto else { return Ok(Transport::default()) };
    let local = Some(&proto.local_address).filter(|text| !text.is_empty());
    let some = |value: u8| Some(value).filter(|value| *value != 0);
    Ok(Transport {
        local_address: local.map(|text| address(&at("local_address"), text)).transpose()?,
        ttl: some(octet(&at("ttl"), proto.ttl)?),
        ttl_security: some(octet(&at("ttl_security"), proto.ttl_security)?),
        password: Some(&proto.password).filter(|key| !key.is_empty()).cloned().map(Password::new),
        send_hold_time: proto.send_hold_time,
    })
}

pub(super) fn features(at: At<'_>, proto: Option<&v1::Features>) -> Result<Features, Status> {
    let Some(proto) = proto else { return Ok(Features::default()) };
    let role =
        v1::Role::try_from(proto.role).map_err(|_| invalid(&at("role"), proto.role, "is not a role"))?;
    Ok(Features {
        extended_messages: proto.extended_messages,
        extended_next_hop: proto.extended_next_hop,
        add_path_receive: proto.add_path_receive,
        add_path_send: octet(&at("add_path_send"), proto.add_path_send)?,
        role: match role {
            v1::Role::Unspecified => None,
            v1::Role::Provider => Some(Role::PROVIDER),
            v1::Role::RouteServer => Some(Role::ROUTE_SERVER),
            v1::Role::RouteServerClient => Some(Role::ROUTE_SERVER_CLIENT),
            v1::Role::Customer => Some(Role::CUSTOMER),
            v1::Role::Peer => Some(Role::PEER),
        },
        strict_role: proto.strict_role,
    })
}

pub(super) fn show_transport(transport: &Transport) -> Option<v1::Transport> {
    (*transport != Transport::default()).then(|| v1::Transport {
        local_address: transport.local_address.as_ref().map(IpAddr::to_string).unwrap_or_default(),
        ttl: transport.ttl.map(u32::from).unwrap_or_default(),
        ttl_security: transport.ttl_security.map(u32::from).unwrap_or_default(),
        password: String::new(),
        has_password: transport.password.is_some(),
        send_hold_time: transport.send_hold_time,
    })
}

pub(super) fn show_features(features: &Features) -> Option<v1::Features> {
    let role = match features.role {
        Some(Role::PROVIDER) => v1::Role::Provider,
        Some(Role::ROUTE_SERVER) => v1::Role::RouteServer,
        Some(Role::ROUTE_SERVER_CLIENT) => v1::Role::RouteServerClient,
        Some(Role::CUSTOMER) => v1::Role::Customer,
        Some(Role::PEER) => v1::Role::Peer,
        _ => v1::Role::Unspecified,
    };
    (*features != Features::default()).then(|| v1::Features {
        extended_messages: features.extended_messages,
        extended_next_hop: features.extended_next_hop,
        add_path_receive: features.add_path_receive,
        add_path_send: u32::from(features.add_path_send),
        role: role.into(),
        strict_role: features.strict_role,
    })
}
