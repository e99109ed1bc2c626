//! Requests as the core understands them. Names field and value of everything it refuses; must never repair one.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use sart_bgp::config::DecisionRules;
use sart_bgp::config::{Global, ImportPolicy, LocalPath, NeighborConfig, PrefixLimit, TransitPolicy};
use sart_bgp::family::Family;
use sart_bgp::wire::attr::Origin;
use sart_rpc::v1;
use tonic::Status;

use super::session;

use crate::bgpd::policy::chain;

pub(super) fn invalid(field: &str, value: impl std::fmt::Display, rule: &str) -> Status {
    Status::invalid_argument(format!("{field}: `{value}` {rule}"))
}

pub(super) fn prefix(field: &str, text: &str) -> Result<IpNet, Status> {
    text.parse().map_err(|_| invalid(field, text, "is not a prefix like 192.0.2.0/24 or 2001:db8::/32"))
}

pub(super) fn prefixes(field: &str, texts: &[String]) -> Result<Vec<IpNet>, Status> {
    texts.iter().map(|text| prefix(field, text)).collect()
}

fn router_id(field: &str, text: &str) -> Result<Ipv4Addr, Status> {
    text.parse().map_err(|_| invalid(field, text, "is not a router id like 192.0.2.1"))
}

/// RFC 9003 section 2.
pub(super) fn check_text(text: &str) -> Result<(), Status> {
    let fits = text.len() <= sart_bgp::config::SHUTDOWN_TEXT_LEN;
    if fits { Ok(()) } else { Err(invalid("text", text, "is longer than 255 octets (RFC 9003)")) }
}

fn short(field: &str, value: u32) -> Result<u16, Status> {
    u16::try_from(value).map_err(|_| invalid(field, value, "is more than 65535"))
}

/// `None` for the unspecified family.
pub(super) fn family(field: &str, value: i32) -> Result<Option<Family>, Status> {
    match v1::AddressFamily::try_from(value) {
        Ok(v1::AddressFamily::Unspecified) => Ok(None),
        Ok(v1::AddressFamily::Ipv4Unicast) => Ok(Some(Family::IPV4_UNICAST)),
        Ok(v1::AddressFamily::Ipv6Unicast) => Ok(Some(Family::IPV6_UNICAST)),
        Err(_) => Err(invalid(field, value, "is not an address family of this speaker")),
    }
}

pub(super) fn families(field: &str, values: &[i32]) -> Result<Vec<Family>, Status> {
    let families: Result<Vec<_>, _> = values.iter().map(|value| family(field, *value)).collect();
    Ok(families?.into_iter().flatten().collect())
}

pub(super) fn global(proto: &v1::Global) -> Result<Global, Status> {
    let mut global = Global::new(proto.asn, router_id("global.router_id", &proto.router_id)?);
    global.port = short("global.port", proto.port)?;
    global.ebgp_requires_policy = proto.ebgp_requires_policy;
    global.decision = decision(proto)?;
    let cluster_id = Some(&proto.cluster_id).filter(|id| !id.is_empty());
    global.cluster_id = cluster_id.map(|id| router_id("global.cluster_id", id)).transpose()?;
    global.reject_as_sets = proto.reject_as_sets;
    global.graceful_shutdown = proto.graceful_shutdown;
    global.track_next_hops = proto.track_next_hops;
    for metric in &proto.next_hop_metrics {
        let address = super::address("global.next_hop_metrics[].address", &metric.address)?;
        if global.next_hop_metrics.insert(address, metric.metric).is_some() {
            return Err(invalid("global.next_hop_metrics[].address", address, "is given twice; remove one"));
        }
    }
    global.transit = match proto.transit() {
        v1::TransitPolicy::Unspecified | v1::TransitPolicy::LocalOnly => TransitPolicy::LocalOnly,
        v1::TransitPolicy::Full => TransitPolicy::Full,
    };
    global.import = ImportPolicy {
        accept_all: proto.import_all,
        ranges: prefixes("global.import_ranges", &proto.import_ranges)?,
        protected: prefixes("global.protected_prefixes", &proto.protected_prefixes)?,
    };
    Ok(global)
}

fn decision(proto: &v1::Global) -> Result<DecisionRules, Status> {
    let default = DecisionRules::default();
    let max_paths = u8::try_from(proto.max_paths)
        .map_err(|_| invalid("global.max_paths", proto.max_paths, "must be 1 to 255; 0 takes 64"))?;
    Ok(DecisionRules {
        multipath: proto.multipath.unwrap_or_default(),
        max_paths: if max_paths == 0 { default.max_paths } else { max_paths },
        relax: proto.multipath_relax.unwrap_or(default.relax),
        prefer_oldest: proto.prefer_oldest,
        always_compare_med: proto.always_compare_med,
        deterministic_med: proto.deterministic_med.unwrap_or(default.deterministic_med),
        missing_med_as_worst: proto.missing_med_as_worst,
    })
}

pub(super) fn neighbors(protos: &[v1::NeighborConfig]) -> Result<Vec<NeighborConfig>, Status> {
    protos.iter().map(neighbor).collect()
}

pub(super) fn neighbor(proto: &v1::NeighborConfig) -> Result<NeighborConfig, Status> {
    let address: IpAddr = super::address("neighbors[].address", &proto.address)?;
    let at = |field: &str| format!("neighbors[{address}].{field}");
    // A neighbour added by hand need not have a name of its own.
    let name = if proto.name.is_empty() { address.to_string() } else { proto.name.clone() };
    let mut config = NeighborConfig::new(&name, address, proto.asn);
    config.hold_time = match (short(&at("hold_time"), proto.hold_time)?, proto.hold_timer_off) {
        (0, true) => Some(0),
        (0, false) => None,
        (time, false) => Some(time),
        (time, true) => {
            return Err(invalid(&at("hold_time"), time, "contradicts hold_timer_off; set one of them"));
        }
    };
    config.connect_retry = short(&at("connect_retry"), proto.connect_retry)?;
    config.prefix_limit = proto.prefix_limit.as_ref().map(|limit| prefix_limit(&at, limit)).transpose()?;
    config.shutdown.clone_from(&proto.shutdown);
    config.transport = session::transport(&at, proto.transport.as_ref())?;
    config.features = session::features(&at, proto.features.as_ref())?;
    config.keepalive_time = short(&at("keepalive_time"), proto.keepalive_time)?;
    config.reflector_client = proto.route_reflector_client;
    config.enforce_first_as = proto.enforce_first_as;
    config.export_limit = Some(proto.export_limit).filter(|max| *max != 0);
    config.passive = proto.passive;
    config.families = families(&at("families"), &proto.families)?;
    config.groups.clone_from(&proto.groups);
    config.port = short(&at("port"), proto.port)?;
    config.import = proto.import.as_ref().map(chain);
    config.export = proto.export.as_ref().map(chain);
    let id = Some(&proto.router_id).filter(|id| !id.is_empty());
    config.router_id = id.map(|id| router_id(&at("router_id"), id)).transpose()?;
    Ok(config)
}

fn prefix_limit(at: &impl Fn(&str) -> String, proto: &v1::PrefixLimit) -> Result<PrefixLimit, Status> {
    let percent = u8::try_from(proto.warn_percent)
        .map_err(|_| invalid(&at("prefix_limit.warn_percent"), proto.warn_percent, "must be 1 to 100"))?;
    let mut limit = PrefixLimit::new(proto.max);
    if percent != 0 {
        limit.warn_percent = percent;
    }
    limit.restart = Some(proto.restart_seconds).filter(|seconds| *seconds != 0);
    Ok(limit)
}

pub(super) fn paths(protos: &[v1::LocalPath]) -> Result<Vec<LocalPath>, Status> {
    protos.iter().map(path).collect()
}

fn path(proto: &v1::LocalPath) -> Result<LocalPath, Status> {
    let mut path = LocalPath::new(prefix("paths[].prefix", &proto.prefix)?);
    path.origin = match v1::Origin::try_from(proto.origin) {
        Ok(v1::Origin::Igp) => Origin::Igp,
        Ok(v1::Origin::Egp) => Origin::Egp,
        Ok(v1::Origin::Incomplete) => Origin::Incomplete,
        Err(_) => {
            return Err(invalid(
                &format!("paths[{}].origin", proto.prefix),
                proto.origin,
                "is not an origin",
            ));
        }
    };
    path.local_pref = proto.local_pref;
    path.med = proto.med;
    path.communities.clone_from(&proto.communities);
    path.groups.clone_from(&proto.groups);
    Ok(path)
}
