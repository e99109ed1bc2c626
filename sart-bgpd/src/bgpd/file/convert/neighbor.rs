//! One neighbour of the file. Names line and field of each value it refuses; must never repair one.

use std::net::IpAddr;

use sart_bgp::config::{NeighborConfig, PrefixLimit};

use super::super::raw::{RawNeighbor, RawPrefixLimit};
use super::super::{Fault, Marks, policy};
use super::{A_ROUTER_ID, line, session, value};

pub(super) fn neighbor(raw: RawNeighbor, marks: &mut Marks) -> Result<NeighborConfig, Fault> {
    let address: IpAddr = value("neighbors[].address", &raw.address, "an IPv4 or IPv6 address")?;
    let at = |field: &str| format!("neighbors[{address}].{field}");
    marks.add("neighbors[].address", address, line(&raw.address));
    marks.add(at("address"), address, line(&raw.address));
    marks.add(at("asn"), raw.asn.value, line(&raw.asn));
    let named = raw.name.as_ref();
    let name = named.map_or_else(|| address.to_string(), |name| name.value.clone());
    let name_line = named.map_or_else(|| line(&raw.address), line);
    marks.add("neighbors[].name", &name, name_line);
    marks.add(at("name"), &name, name_line);
    let mut config = NeighborConfig::new(&name, address, raw.asn.value);
    config.router_id =
        raw.router_id.as_ref().map(|id| value(&at("router_id"), id, A_ROUTER_ID)).transpose()?;
    if let (Some(id), Some(parsed)) = (&raw.router_id, config.router_id) {
        marks.add(at("router_id"), parsed, line(id));
    }
    if let Some(time) = &raw.hold_time {
        marks.add(at("hold_time"), time.value, line(time));
        config.hold_time = Some(time.value);
    }
    config.keepalive_time = raw.keepalive_time.unwrap_or_default();
    config.connect_retry = raw.connect_retry.unwrap_or_default();
    config.prefix_limit = raw.prefix_limit.as_ref().map(|limit| prefix_limit(&at, limit, marks));
    if let Some(max) = &raw.export_limit {
        marks.add(at("export_limit"), max.value, line(max));
        config.export_limit = Some(max.value);
    }
    if let Some(text) = &raw.shutdown {
        marks.add(at("shutdown"), &text.value, line(text));
        config.shutdown = Some(text.value.clone());
    }
    config.transport = session::transport(&at, &raw, marks)?;
    config.features = session::features(&at, &raw, marks)?;
    config.families = session::families(&at, &raw)?;
    for (field, raw, into) in [
        ("route_reflector_client", &raw.route_reflector_client, &mut config.reflector_client),
        ("enforce_first_as", &raw.enforce_first_as, &mut config.enforce_first_as),
    ] {
        if let Some(switch) = raw {
            marks.add(at(field), switch.value, line(switch));
            *into = switch.value;
        }
    }
    config.passive = raw.passive;
    config.groups = raw.groups;
    config.port = raw.port.unwrap_or_default();
    for (direction, raw, into) in
        [("import", raw.import, &mut config.import), ("export", raw.export, &mut config.export)]
    {
        *into = raw.map(|chain| policy::chain(&at(direction), chain, marks)).transpose()?;
    }
    Ok(config)
}

fn prefix_limit(at: &impl Fn(&str) -> String, raw: &RawPrefixLimit, marks: &mut Marks) -> PrefixLimit {
    let mut limit = PrefixLimit::new(raw.max.value);
    marks.add(at("prefix_limit.max"), raw.max.value, line(&raw.max));
    if let Some(percent) = &raw.warn_percent {
        marks.add(at("prefix_limit.warn_percent"), percent.value, line(percent));
        limit.warn_percent = percent.value;
    }
    if let Some(restart) = &raw.restart {
        marks.add(at("prefix_limit.restart"), restart.value, line(restart));
        limit.restart = Some(restart.value);
    }
    limit
}
