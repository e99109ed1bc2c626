//! Gives the file's values their meaning. Names line and field of each value it refuses; must never repair one.

mod neighbor;
mod session;

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::IpNet;
use sart_bgp::config::DecisionRules;
use sart_bgp::config::{Config, Global, ImportPolicy, LocalPath, NeighborConfig, TransitPolicy};
use sart_bgp::wire::attr::Origin;
use serde_saphyr::Spanned;

use super::raw::{RawAttribute, RawConfig, RawPaths};
use super::{Fault, Loaded, Marks, Overrides, policy};
use crate::bgpd::args::{EXPORTER_REPLACED, FIB_REPLACED};

pub(super) fn convert(raw: RawConfig, overrides: Overrides) -> Result<(Loaded, Marks), Fault> {
    let mut marks = Marks::default();
    let mut warnings = warnings(&raw);
    let log_level = raw.log_level.as_ref().map(log_level).transpose()?;
    let mut global = global(&raw, overrides, &mut marks)?;
    global.ebgp_requires_policy = requires_policy(&raw);
    let policy =
        policy::policy(raw.defined_sets.unwrap_or_default(), raw.policies.unwrap_or_default(), &mut marks)?;
    let neighbors: Vec<_> =
        raw.neighbors.into_iter().map(|raw| neighbor::neighbor(raw, &mut marks)).collect::<Result<_, _>>()?;
    let mut paths = Vec::new();
    for raw in raw.paths {
        local_paths(raw, &mut paths, &mut marks)?;
    }
    if raw.ebgp_requires_policy.is_none() && !global.ebgp_requires_policy {
        warnings.extend(without_policy(&global, &neighbors));
    }
    Ok((Loaded { config: Config { global, neighbors, paths, policy }, log_level, warnings }, marks))
}

fn log_level(raw: &Spanned<String>) -> Result<String, Fault> {
    let known = sart_telemetry::logs::check_level(&raw.value).map(|()| raw.value.clone());
    known.map_err(|_| {
        refused("log_level", raw, "one of error, warn, info, debug, trace, nor a filter of them")
    })
}

/// RFC 8212 unless the file says otherwise, or is one of upstream's, which know no policy and mean what they say.
fn requires_policy(raw: &RawConfig) -> bool {
    let names_policy = raw.defined_sets.is_some()
        || raw.policies.is_some()
        || raw.neighbors.iter().any(|neighbor| neighbor.import.is_some() || neighbor.export.is_some());
    raw.ebgp_requires_policy.unwrap_or(names_policy)
}

/// What RFC 8212 would have refused.
fn without_policy(global: &Global, neighbors: &[NeighborConfig]) -> Option<String> {
    let open = global.import.accept_all || global.transit == TransitPolicy::Full;
    let external = neighbors.iter().filter(|neighbor| neighbor.asn != global.asn).count();
    (open && external > 0).then(|| {
        format!(
            "neighbors of other ASes without policy: {external}; they exchange every route, where RFC 8212 wants none \
             exchanged: set ebgp_requires_policy to true and give them policies, or to false to keep it so"
        )
    })
}

fn warnings(raw: &RawConfig) -> Vec<String> {
    let fib_endpoint = raw.fib_endpoint.as_ref().map(|key| ("fib_endpoint", line(key), FIB_REPLACED));
    let fib_table = raw.fib_table.as_ref().map(|key| ("fib_table", line(key), FIB_REPLACED));
    let exporter = raw.exporter.as_ref().map(|key| ("exporter", line(key), EXPORTER_REPLACED));
    [fib_endpoint, fib_table, exporter]
        .into_iter()
        .flatten()
        .map(|(key, line, instead)| format!("line {line}: {key} is ignored: {instead}"))
        .collect()
}

fn global(raw: &RawConfig, overrides: Overrides, marks: &mut Marks) -> Result<Global, Fault> {
    if let Some(asn) = &raw.asn {
        marks.add("global.asn", asn.value, line(asn));
    }
    let asn = overrides.asn.or(raw.asn.as_ref().map(|asn| asn.value));
    let asn = asn.ok_or_else(|| missing("asn", "set the own AS number here or with --as"))?;
    let id = raw.router_id.as_ref().map(|id| value::<Ipv4Addr>("router_id", id, A_ROUTER_ID)).transpose()?;
    if let (Some(at), Some(id)) = (&raw.router_id, id) {
        marks.add("global.router_id", id, line(at));
    }
    let id = overrides.router_id.or(id);
    let id = id.ok_or_else(|| missing("router_id", "set the own router id here or with --router-id"))?;
    let mut global = Global::new(asn, id);
    global.port = raw.port.unwrap_or_default();
    global.decision = decision(raw, marks);
    if let Some(at) = &raw.cluster_id {
        let id = value("cluster_id", at, A_ROUTER_ID)?;
        marks.add("global.cluster_id", id, line(at));
        global.cluster_id = Some(id);
    }
    global.transit = transit(raw.transit.as_ref())?;
    global.import = import(raw, marks)?;
    global.reject_as_sets = raw.reject_as_sets;
    global.graceful_shutdown = raw.graceful_shutdown;
    global.track_next_hops = raw.track_next_hops;
    for raw in &raw.next_hop_metrics {
        let address: IpAddr = value("next_hop_metrics[].address", &raw.address, "an IPv4 or IPv6 address")?;
        if global.next_hop_metrics.insert(address, raw.metric).is_some() {
            let problem = format!("`{address}` is given twice; remove one");
            let field = "next_hop_metrics[].address".to_owned();
            return Err(Fault { line: line(&raw.address), field, problem });
        }
    }
    Ok(global)
}

fn decision(raw: &RawConfig, marks: &mut Marks) -> DecisionRules {
    let mut rules = DecisionRules {
        multipath: raw.multi_path,
        prefer_oldest: raw.prefer_oldest,
        always_compare_med: raw.always_compare_med,
        missing_med_as_worst: raw.missing_med_as_worst,
        ..DecisionRules::default()
    };
    rules.relax = raw.multi_path_relax.unwrap_or(rules.relax);
    if let Some(paths) = &raw.max_paths {
        marks.add("global.max_paths", paths.value, line(paths));
        rules.max_paths = paths.value;
    }
    if let Some(deterministic) = &raw.deterministic_med {
        marks.add("global.deterministic_med", deterministic.value, line(deterministic));
        rules.deterministic_med = deterministic.value;
    }
    rules
}

/// Without the key a standalone speaker does what the RFC says.
fn transit(raw: Option<&Spanned<String>>) -> Result<TransitPolicy, Fault> {
    match raw.map(|raw| raw.value.as_str()) {
        None | Some("full") => Ok(TransitPolicy::Full),
        Some("local_only") => Ok(TransitPolicy::LocalOnly),
        Some(other) => Err(Fault {
            line: raw.map_or(1, line),
            field: "transit".to_owned(),
            problem: format!("`{other}` is not one of full, local_only"),
        }),
    }
}

/// Without `import_ranges` a standalone speaker accepts everything.
fn import(raw: &RawConfig, marks: &mut Marks) -> Result<ImportPolicy, Fault> {
    let mut list = |field: &str, raw: &[Spanned<String>]| -> Result<Vec<IpNet>, Fault> {
        raw.iter()
            .map(|prefix| {
                let net = value::<IpNet>(field, prefix, A_PREFIX)?;
                marks.add(format!("global.{field}"), net, line(prefix));
                Ok(net)
            })
            .collect()
    };
    Ok(ImportPolicy {
        accept_all: raw.import_ranges.is_none(),
        ranges: list("import_ranges", raw.import_ranges.as_deref().unwrap_or_default())?,
        protected: list("protected_prefixes", &raw.protected_prefixes)?,
    })
}

fn local_paths(raw: RawPaths, paths: &mut Vec<LocalPath>, marks: &mut Marks) -> Result<(), Fault> {
    for prefix in &raw.prefixes {
        let net: IpNet = value("paths[].prefixes", prefix, A_PREFIX)?;
        marks.add("paths[].prefix", net, line(prefix));
        let mut path = LocalPath::new(net);
        path.groups.clone_from(&raw.groups);
        for attribute in &raw.attributes {
            set(&mut path, attribute)?;
        }
        paths.push(path);
    }
    Ok(())
}

fn set(path: &mut LocalPath, attribute: &RawAttribute) -> Result<(), Fault> {
    if let Some(origin) = &attribute.origin {
        path.origin = match origin.value.to_ascii_lowercase().as_str() {
            "igp" => Origin::Igp,
            "egp" => Origin::Egp,
            "incomplete" => Origin::Incomplete,
            _ => return Err(refused("paths[].attributes[].origin", origin, "one of igp, egp, incomplete")),
        };
    }
    path.local_pref = attribute.local_pref.or(path.local_pref);
    path.med = attribute.med.or(path.med);
    Ok(())
}

const A_ROUTER_ID: &str = "a router id like 192.0.2.1";
const A_PREFIX: &str = "a prefix like 192.0.2.0/24";

fn value<T: FromStr>(field: &str, raw: &Spanned<String>, expected: &str) -> Result<T, Fault> {
    raw.value.parse().map_err(|_| refused(field, raw, expected))
}

fn refused(field: &str, raw: &Spanned<String>, expected: &str) -> Fault {
    let problem = format!("`{}` is not {expected}", raw.value);
    Fault { line: line(raw), field: field.to_owned(), problem }
}

fn missing(field: &str, hint: &str) -> Fault {
    Fault { line: 1, field: field.to_owned(), problem: format!("missing; {hint}") }
}

fn line<T>(raw: &Spanned<T>) -> u64 {
    raw.referenced.line()
}
