//! Checks a configuration before anything is changed. Every refusal names field and value; must never repair a value.

use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{
    Config, ConfigError, Global, LocalPath, NeighborConfig, PASSWORD_LEN, Password, PolicySource,
    SHUTDOWN_TEXT_LEN,
};
use crate::wire::capability::Role;

/// AS_TRANS, which stands for a four-octet AS number in two octets and is nobody's own (RFC 6793 section 9).
const AS_TRANS: u32 = 23456;

impl Config {
    /// Checks every field and the uniqueness of every key.
    ///
    /// # Errors
    /// The first fault found, with field and value.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.global.check()?;
        check_neighbors(&self.global, &self.neighbors)?;
        check_paths(&self.paths)?;
        PolicySource::new(self)?.check(&self.neighbors)
    }
}

impl Global {
    /// Checks the identity and the import lists.
    ///
    /// # Errors
    /// The first fault found, with field and value.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_asn("global.asn", self.asn)?;
        if self.router_id.is_unspecified() {
            return Err(invalid("global.router_id", self.router_id, "must not be 0.0.0.0 (RFC 6286)"));
        }
        if let Some(id) = self.cluster_id.filter(Ipv4Addr::is_unspecified) {
            return Err(invalid(
                "global.cluster_id",
                id,
                "must not be 0.0.0.0; leave it out for the router id",
            ));
        }
        self.check_decision()?;
        for (field, list) in
            [("import_ranges", &self.import.ranges), ("protected_prefixes", &self.import.protected)]
        {
            for prefix in list {
                check_prefix(&format!("global.{field}"), prefix)?;
            }
        }
        Ok(())
    }

    fn check_decision(&self) -> Result<(), ConfigError> {
        let rules = &self.decision;
        if rules.max_paths == 0 {
            return Err(invalid("global.max_paths", 0, "must be 1 to 255"));
        }
        // Compared in pairs there is one best path and no set of equals.
        if rules.multipath && !rules.deterministic_med && !rules.always_compare_med {
            return Err(invalid(
                "global.deterministic_med",
                false,
                "excludes multipath; turn it on, or multipath off, or always_compare_med on",
            ));
        }
        Ok(())
    }
}

/// Checks all neighbours and that no address and no name is used twice.
pub(crate) fn check_neighbors(global: &Global, neighbors: &[NeighborConfig]) -> Result<(), ConfigError> {
    let mut addresses = BTreeSet::new();
    let mut names = BTreeSet::new();
    for neighbor in neighbors {
        check_neighbor(global, neighbor)?;
        if !addresses.insert(neighbor.address) {
            return Err(duplicate("neighbors[].address", neighbor.address));
        }
        if !names.insert(neighbor.name.as_str()) {
            return Err(duplicate("neighbors[].name", &neighbor.name));
        }
    }
    Ok(())
}

fn check_neighbor(global: &Global, neighbor: &NeighborConfig) -> Result<(), ConfigError> {
    let at = |field: &str| format!("neighbors[{}].{field}", neighbor.address);
    if neighbor.name.is_empty() {
        return Err(invalid(&at("name"), "", "must not be empty"));
    }
    check_peer_address(&at("address"), neighbor.address)?;
    check_asn(&at("asn"), neighbor.asn)?;
    check_limits(&at, neighbor)?;
    check_transport(&at, neighbor)?;
    check_role(&at, global, neighbor)?;
    if neighbor.reflector_client && neighbor.asn != global.asn {
        return Err(invalid(
            &at("route_reflector_client"),
            true,
            "is only for a neighbor of our own AS (RFC 4456); remove it",
        ));
    }
    if neighbor.enforce_first_as && neighbor.asn == global.asn {
        return Err(invalid(
            &at("enforce_first_as"),
            true,
            "is only for a neighbor of another AS; remove it",
        ));
    }
    if let Some(family) = neighbor.families.iter().find(|family| !family.is_supported()) {
        return Err(invalid(&at("families"), family, "must be ipv4-unicast or ipv6-unicast"));
    }
    match neighbor.router_id {
        Some(id) if id.is_unspecified() => {
            Err(invalid(&at("router_id"), id, "must not be 0.0.0.0 (RFC 6286); leave it empty to accept any"))
        }
        Some(id) if id == global.router_id && neighbor.asn == global.asn => {
            Err(invalid(&at("router_id"), id, "must differ from our own inside one AS (RFC 6286)"))
        }
        _ => Ok(()),
    }
}

fn check_limits(at: &impl Fn(&str) -> String, neighbor: &NeighborConfig) -> Result<(), ConfigError> {
    // RFC 4271 section 4.2: the hold time is zero or at least three seconds.
    if let Some(time @ (1 | 2)) = neighbor.hold_time {
        return Err(invalid(&at("hold_time"), time, "must be 0 (no hold timer) or at least 3 seconds"));
    }
    if let Some(text) = neighbor.shutdown.as_ref().filter(|text| text.len() > SHUTDOWN_TEXT_LEN) {
        return Err(invalid(&at("shutdown"), text, "must be at most 255 octets (RFC 9003)"));
    }
    if neighbor.export_limit == Some(0) {
        return Err(invalid(&at("export_limit"), 0, "must be at least 1; leave it out for none"));
    }
    let Some(limit) = neighbor.prefix_limit else { return Ok(()) };
    if limit.max == 0 {
        return Err(invalid(
            &at("prefix_limit.max"),
            limit.max,
            "must be at least 1; leave the limit out for none",
        ));
    }
    if !(1..=100).contains(&limit.warn_percent) {
        return Err(invalid(&at("prefix_limit.warn_percent"), limit.warn_percent, "must be 1 to 100"));
    }
    if limit.restart == Some(0) {
        return Err(invalid(
            &at("prefix_limit.restart"),
            0,
            "must be at least 1 second; leave it out to stay down",
        ));
    }
    Ok(())
}

fn check_transport(at: &impl Fn(&str) -> String, neighbor: &NeighborConfig) -> Result<(), ConfigError> {
    let transport = &neighbor.transport;
    if let Some(local) = transport.local_address {
        check_peer_address(&at("local_address"), local)?;
        if local.is_ipv4() != neighbor.address.is_ipv4() {
            return Err(invalid(
                &at("local_address"),
                local,
                "must be of the family of the neighbor's address",
            ));
        }
    }
    if transport.ttl == Some(0) {
        return Err(invalid(&at("ttl"), 0, "must be 1 to 255"));
    }
    if let Some(hops @ (0 | 255)) = transport.ttl_security {
        return Err(invalid(&at("ttl_security"), hops, "must be 1 to 254 hops"));
    }
    if let (Some(ttl), Some(_)) = (transport.ttl, transport.ttl_security) {
        return Err(invalid(&at("ttl"), ttl, "contradicts ttl_security, which sends with 255; remove one"));
    }
    // The value stays out of the message.
    let fits = |password: &Password| (1..=PASSWORD_LEN).contains(&password.expose().len());
    if transport.password.as_ref().is_some_and(|password| !fits(password)) {
        return Err(invalid(&at("password"), "(not shown)", "must have 1 to 80 octets"));
    }
    Ok(())
}

/// RFC 9234 section 4: roles are for sessions between ASes.
fn check_role(
    at: &impl Fn(&str) -> String,
    global: &Global,
    neighbor: &NeighborConfig,
) -> Result<(), ConfigError> {
    match neighbor.features.role {
        Some(role) if role > Role::PEER => Err(invalid(&at("role"), role, "is not a role of RFC 9234")),
        Some(role) if neighbor.asn == global.asn => {
            Err(invalid(&at("role"), role, "is only for a neighbor of another AS; remove it"))
        }
        None if neighbor.features.strict_role => {
            Err(invalid(&at("strict_role"), true, "needs a role; set one or remove it"))
        }
        _ => Ok(()),
    }
}

fn check_peer_address(field: &str, address: IpAddr) -> Result<(), ConfigError> {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || broadcast {
        return Err(invalid(field, address, "must be the address of one host"));
    }
    // A connection from such a neighbour shows its IPv4 address, so the two would never meet.
    if address != address.to_canonical() {
        return Err(invalid(field, address, "must be written as an IPv4 address"));
    }
    Ok(())
}

fn check_asn(field: &str, asn: u32) -> Result<(), ConfigError> {
    // RFC 7607 for 0, RFC 7300 for the last number.
    if asn == 0 || asn == AS_TRANS || asn == u32::MAX {
        return Err(invalid(field, asn, "must be 1 to 4294967294 and not 23456"));
    }
    Ok(())
}

/// Checks own paths and that no prefix is given twice.
pub(crate) fn check_paths(paths: &[LocalPath]) -> Result<(), ConfigError> {
    let mut prefixes = BTreeSet::new();
    for path in paths {
        check_prefix("paths[].prefix", &path.prefix)?;
        if !prefixes.insert(path.prefix) {
            return Err(duplicate("paths[].prefix", path.prefix));
        }
    }
    Ok(())
}

/// Refuses host bits: `10.0.0.1/24` is a typing error more often than a wish.
pub(crate) fn check_prefix(field: &str, prefix: &IpNet) -> Result<(), ConfigError> {
    if prefix.trunc() != *prefix {
        return Err(invalid(field, prefix, "must have no bits set behind the prefix length"));
    }
    Ok(())
}

fn invalid(field: &str, value: impl Display, rule: &'static str) -> ConfigError {
    ConfigError::Invalid { field: field.to_owned(), value: value.to_string(), rule }
}

fn duplicate(field: &str, value: impl Display) -> ConfigError {
    ConfigError::Duplicate { field: field.to_owned(), value: value.to_string() }
}
