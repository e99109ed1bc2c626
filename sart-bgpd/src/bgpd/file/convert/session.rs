//! How a neighbour of the file is reached and what it is offered. Must never put a key into a message.

use std::net::IpAddr;

use sart_bgp::config::{Features, Password, Transport};
use sart_bgp::family::Family;
use sart_bgp::wire::capability::Role;
use serde_saphyr::Spanned;

use super::super::raw::RawNeighbor;
use super::super::{Fault, Marks};
use super::{line, refused, value};

/// Names a field of the neighbour.
type At<'a> = &'a dyn Fn(&str) -> String;

pub(super) fn transport(at: At<'_>, raw: &RawNeighbor, marks: &mut Marks) -> Result<Transport, Fault> {
    for (field, octet) in [("ttl", &raw.ttl), ("ttl_security", &raw.ttl_security)] {
        if let Some(octet) = octet {
            marks.add(at(field), octet.value, line(octet));
        }
    }
    let local = raw.local_address.as_ref();
    let local_address = local.map(|local| {
        let parsed: IpAddr = value(&at("local_address"), local, "an IPv4 or IPv6 address")?;
        marks.add(at("local_address"), parsed, line(local));
        Ok(parsed)
    });
    Ok(Transport {
        local_address: local_address.transpose()?,
        ttl: raw.ttl.as_ref().map(|ttl| ttl.value),
        ttl_security: raw.ttl_security.as_ref().map(|hops| hops.value),
        password: password(at, raw, marks)?,
        send_hold_time: raw.send_hold_time.unwrap_or_default(),
    })
}

/// From the file itself, or from a file of its own that others cannot read.
fn password(at: At<'_>, raw: &RawNeighbor, marks: &mut Marks) -> Result<Option<Password>, Fault> {
    let fault = |of: &Spanned<String>, field: &str, problem: String| Fault {
        line: line(of),
        field: at(field),
        problem,
    };
    match (&raw.password, &raw.password_file) {
        (Some(_), Some(file)) => {
            Err(fault(file, "password_file", String::from("password is given too; remove one")))
        }
        (Some(key), None) => {
            marks.add(at("password"), "(not shown)", line(key));
            Ok(Some(Password::new(key.value.clone())))
        }
        (None, Some(file)) => {
            let text = std::fs::read_to_string(&file.value).map_err(|error| {
                fault(file, "password_file", format!("cannot read {}: {error}", file.value))
            })?;
            marks.add(at("password"), "(not shown)", line(file));
            Ok(Some(Password::new(text.trim_end_matches(['\r', '\n']).to_owned())))
        }
        (None, None) => Ok(None),
    }
}

pub(super) fn features(at: At<'_>, raw: &RawNeighbor, marks: &mut Marks) -> Result<Features, Fault> {
    if let Some(role) = &raw.role {
        marks.add(at("role"), &role.value, line(role));
    }
    Ok(Features {
        extended_messages: raw.extended_messages,
        extended_next_hop: raw.extended_next_hop,
        add_path_receive: raw.add_path.receive,
        add_path_send: raw.add_path.send,
        role: raw.role.as_ref().map(|raw| role(at, raw)).transpose()?,
        strict_role: raw.strict_role,
    })
}

fn role(at: At<'_>, raw: &Spanned<String>) -> Result<Role, Fault> {
    let all = [Role::PROVIDER, Role::ROUTE_SERVER, Role::ROUTE_SERVER_CLIENT, Role::CUSTOMER, Role::PEER];
    let named = all.into_iter().find(|role| role.to_string() == raw.value);
    let known = "one of provider, customer, peer, route-server, route-server-client";
    named.ok_or_else(|| refused(&at("role"), raw, known))
}

pub(super) fn families(at: At<'_>, raw: &RawNeighbor) -> Result<Vec<Family>, Fault> {
    let one = |raw: &Spanned<String>| {
        let named = Family::SUPPORTED.into_iter().find(|family| family.to_string() == raw.value);
        named.ok_or_else(|| refused(&at("families"), raw, "one of ipv4-unicast, ipv6-unicast"))
    };
    raw.families.iter().map(one).collect()
}
