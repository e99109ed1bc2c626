//! The speaker's answers for a person.

use std::fmt::Write as _;

use jiff::Timestamp;
use sart_rpc::v1;

use super::json::{given, number};
use crate::output::{duration, table};

pub(crate) fn transit(policy: v1::TransitPolicy) -> &'static str {
    match policy {
        v1::TransitPolicy::Unspecified | v1::TransitPolicy::LocalOnly => "local_only",
        v1::TransitPolicy::Full => "full",
    }
}

pub(crate) fn state(state: v1::SessionState) -> &'static str {
    match state {
        v1::SessionState::Unspecified => "Unknown",
        v1::SessionState::Idle => "Idle",
        v1::SessionState::Connect => "Connect",
        v1::SessionState::Active => "Active",
        v1::SessionState::OpenSent => "OpenSent",
        v1::SessionState::OpenConfirm => "OpenConfirm",
        v1::SessionState::Established => "Established",
    }
}

pub(crate) fn origin(origin: v1::Origin) -> &'static str {
    match origin {
        v1::Origin::Igp => "igp",
        v1::Origin::Egp => "egp",
        v1::Origin::Incomplete => "incomplete",
    }
}

pub(crate) fn global(global: &v1::Global) -> String {
    if global.asn == 0 {
        return "no configuration has been applied yet\n".to_owned();
    }
    let import = match (global.import_all, global.import_ranges.is_empty()) {
        (true, _) => "everything".to_owned(),
        (false, true) => "nothing".to_owned(),
        (false, false) => global.import_ranges.join(", "),
    };
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "{:<12}{value}", format!("{name}:"));
        }
    };
    let said = |holds: bool, text: &str| if holds { text.to_owned() } else { String::new() };
    line("ASN", global.asn.to_string());
    line("Router id", global.router_id.clone());
    line("Port", global.port.to_string());
    line("Multipath", multipath(global));
    line(
        "MED",
        med(global).to_owned()
            + if global.missing_med_as_worst { ", a missing one is the worst" } else { "" },
    );
    line("Oldest", said(global.prefer_oldest, "preferred among equal eBGP paths"));
    line("Cluster id", global.cluster_id.clone());
    line("Next hops", next_hops(global));
    line("Tracking", said(global.track_next_hops, "a path counts only while its next hop can be reached"));
    line("Transit", transit(global.transit()).to_owned());
    line("Import", import);
    line("AS sets", said(global.reject_as_sets, "refused (RFC 9774)"));
    line(
        "eBGP",
        format!(
            "policy {}",
            if global.ebgp_requires_policy { "required (RFC 8212)" } else { "not required" }
        ),
    );
    line("Protected", global.protected_prefixes.join(", "));
    line("Leaving", said(global.graceful_shutdown, "everything is announced as a last resort (RFC 8326)"));
    text
}

fn multipath(global: &v1::Global) -> String {
    if !global.multipath() {
        return "false".to_owned();
    }
    let alike = if global.multipath_relax.unwrap_or(true) { "equally long" } else { "equal" };
    format!("true, at most {} paths, AS paths {alike}", global.max_paths)
}

fn med(global: &v1::Global) -> &'static str {
    match (global.always_compare_med, global.deterministic_med.unwrap_or(true)) {
        (true, _) => "compared between all ASes",
        (false, true) => "compared within each AS",
        (false, false) => "compared in pairs of one AS, the newest first",
    }
}

fn next_hops(global: &v1::Global) -> String {
    let far = global.next_hop_metrics.iter().map(|hop| format!("{} at {}", hop.address, hop.metric));
    far.collect::<Vec<_>>().join(", ")
}

pub(crate) fn neighbors(neighbors: &[v1::Neighbor]) -> String {
    let header = ["NAME", "ADDRESS", "ASN", "STATE", "UPTIME", "RECEIVED", "ACCEPTED", "SENT", "LAST ERROR"];
    table(&header, neighbors.iter().map(row))
}

fn row(neighbor: &v1::Neighbor) -> Vec<String> {
    let config = neighbor.config.clone().unwrap_or_default();
    let established = neighbor.state() == v1::SessionState::Established;
    vec![
        config.name,
        config.address,
        config.asn.to_string(),
        state(neighbor.state()).to_owned(),
        if established { duration(neighbor.uptime_seconds) } else { "-".to_owned() },
        neighbor.prefixes_received.to_string(),
        neighbor.prefixes_accepted.to_string(),
        neighbor.prefixes_sent.to_string(),
        neighbor.last_error.clone(),
    ]
}

pub(crate) fn neighbor(neighbor: &v1::Neighbor) -> String {
    let config = neighbor.config.clone().unwrap_or_default();
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "{:<14}{value}", format!("{name}:"));
        }
    };
    line("Name", config.name);
    line("Address", config.address);
    line("ASN", config.asn.to_string());
    line("Router id", neighbor.router_id.clone());
    line("State", state(neighbor.state()).to_owned());
    if neighbor.state() == v1::SessionState::Established {
        line("Uptime", duration(neighbor.uptime_seconds));
        line("Hold time", format!("{}s", neighbor.negotiated_hold_time));
        line("Keepalive", format!("{}s", neighbor.negotiated_keepalive_time));
    }
    line("Shut down", config.shutdown.as_ref().map(|text| format!("on purpose: {text}")).unwrap_or_default());
    line("Reached", config.transport.as_ref().map(transport).unwrap_or_default());
    line("Offered", config.features.as_ref().map(features).unwrap_or_default());
    line("Role", config.features.as_ref().map(role_line).unwrap_or_default());
    line(
        "Reflector",
        if config.route_reflector_client { "it is a client (RFC 4456)".to_owned() } else { String::new() },
    );
    line("First AS", if config.enforce_first_as { "has to be its own".to_owned() } else { String::new() });
    line("Limit", config.prefix_limit.as_ref().map(limit).unwrap_or_default());
    line("Export limit", export_limit(neighbor, config.export_limit));
    line("Groups", config.groups.join(", "));
    line("Import", chain(config.import.as_ref()));
    line("Export", chain(config.export.as_ref()));
    line("Capabilities", neighbor.capabilities.join(", "));
    line("Prefixes", prefixes(neighbor));
    line("Refused", refused(neighbor));
    line("Sent", counter(neighbor.sent.unwrap_or_default()));
    line("Received", counter(neighbor.received.unwrap_or_default()));
    line("Flaps", neighbor.flaps.to_string());
    line("Last error", neighbor.last_error.clone());
    text
}

fn transport(transport: &v1::Transport) -> String {
    let parts = [
        given(&transport.local_address).map(|address| format!("from {address}")),
        number(transport.ttl).map(|ttl| format!("TTL {ttl}")),
        number(transport.ttl_security).map(|hops| format!("GTSM up to {hops} hops")),
        transport.has_password.then(|| "TCP MD5".to_owned()),
        number(transport.send_hold_time).map(|seconds| format!("send hold time {seconds}s")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn features(features: &v1::Features) -> String {
    let parts = [
        features.extended_messages.then(|| "extended messages".to_owned()),
        features.extended_next_hop.then(|| "extended next hop".to_owned()),
        features.add_path_receive.then(|| "add-path receive".to_owned()),
        number(features.add_path_send).map(|count| format!("add-path send {count}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What we are to a neighbor (RFC 9234); none without a role.
pub(crate) fn role(features: &v1::Features) -> Option<&'static str> {
    match features.role() {
        v1::Role::Unspecified => None,
        v1::Role::Provider => Some("provider"),
        v1::Role::RouteServer => Some("route-server"),
        v1::Role::RouteServerClient => Some("route-server-client"),
        v1::Role::Customer => Some("customer"),
        v1::Role::Peer => Some("peer"),
    }
}

fn role_line(features: &v1::Features) -> String {
    let strict = if features.strict_role { ", it has to say its own" } else { "" };
    role(features).map(|role| format!("we are {role}{strict}")).unwrap_or_default()
}

fn export_limit(neighbor: &v1::Neighbor, limit: u32) -> String {
    match limit {
        0 => String::new(),
        limit => format!("{limit} routes of each family, {} prefixes withheld", neighbor.prefixes_withheld),
    }
}

fn limit(limit: &v1::PrefixLimit) -> String {
    let again = match limit.restart_seconds {
        0 => "stays down".to_owned(),
        seconds => format!("again after {seconds}s"),
    };
    format!("{} prefixes, warning from {}%, then {again}", limit.max, limit.warn_percent)
}

/// One line of a watch.
pub(crate) fn neighbor_line(neighbor: &v1::Neighbor, now: Timestamp) -> String {
    let config = neighbor.config.clone().unwrap_or_default();
    let error = given(&neighbor.last_error);
    format!(
        "{now} {} {} as {} {}: {}{}\n",
        config.address,
        config.name,
        config.asn,
        state(neighbor.state()),
        prefixes(neighbor),
        error.map(|error| format!(" ({error})")).unwrap_or_default()
    )
}

/// One line of a watch.
pub(crate) fn best_path_line(path: &v1::BestPath, now: Timestamp) -> String {
    let hops: Vec<&str> = path.next_hops.iter().map(|hop| hop.address.as_str()).collect();
    if hops.is_empty() {
        return format!("{now} {} withdrawn\n", path.prefix);
    }
    let internal = if path.internal { " (internal)" } else { "" };
    format!("{now} {} via {}{internal}\n", path.prefix, hops.join(", "))
}

/// A neighbor's own chain; empty without.
pub(crate) fn chain(chain: Option<&v1::PolicyChain>) -> String {
    let Some(chain) = chain else { return String::new() };
    let default = match chain.default() {
        v1::PolicyDefault::Reject => "reject",
        v1::PolicyDefault::Accept => "accept",
    };
    if chain.policies.is_empty() {
        default.to_owned()
    } else {
        format!("{}, then {default}", chain.policies.join(", "))
    }
}

fn prefixes(neighbor: &v1::Neighbor) -> String {
    format!(
        "{} received, {} accepted, {} sent",
        neighbor.prefixes_received, neighbor.prefixes_accepted, neighbor.prefixes_sent
    )
}

fn refused(neighbor: &v1::Neighbor) -> String {
    let reasons: Vec<String> =
        neighbor.import_refused.iter().map(|(why, count)| format!("{count} {why}")).collect();
    reasons.join(", ")
}

fn counter(counter: v1::MessageCounter) -> String {
    format!(
        "{} open, {} update, {} keepalive, {} notification, {} route refresh",
        counter.open, counter.update, counter.keepalive, counter.notification, counter.route_refresh
    )
}

/// What a table of paths shows of each. Only what a neighbor sent can be refused.
pub(crate) fn path_columns(shown: v1::Table) -> Vec<&'static str> {
    let mut columns =
        vec!["BEST", "PREFIX", "ID", "NEXT HOP", "AS PATH", "ORIGIN", "LOCAL PREF", "MED", "FROM"];
    columns.extend((shown == v1::Table::AdjIn).then_some("REFUSED"));
    columns
}

/// The first `columns` of [`path_columns`].
pub(crate) fn path_row(path: &v1::Path, columns: usize) -> Vec<String> {
    let or_dash = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    let mut row = vec![
        marks(path).to_owned(),
        path.prefix.clone(),
        or_dash(number(path.path_id)),
        or(&path.next_hops.join(" "), "-"),
        or(&as_path(path), "-"),
        origin(path.origin()).to_owned(),
        or_dash(path.local_pref),
        or_dash(path.med),
        or(&path.peer_address, "local"),
        or(&path.refused, "-"),
    ];
    row.truncate(columns);
    row
}

pub(crate) fn applied(applied: &v1::ApplyConfigResponse) -> String {
    format!(
        "neighbors added: {}, removed: {}, reset: {}; paths changed: {}\n",
        applied.neighbors_added, applied.neighbors_removed, applied.neighbors_reset, applied.paths_changed
    )
}

/// `*` best, `=` used together with the best.
fn marks(path: &v1::Path) -> &'static str {
    match (path.best, path.multipath) {
        (true, _) => "*",
        (false, true) => "=",
        (false, false) => "",
    }
}

fn as_path(path: &v1::Path) -> String {
    let segments: Vec<String> = path.segments.iter().map(segment).collect();
    segments.join(" ")
}

fn segment(segment: &v1::AsSegment) -> String {
    let asns: Vec<String> = segment.asns.iter().map(ToString::to_string).collect();
    match segment.kind() {
        v1::as_segment::Kind::Set => format!("{{{}}}", asns.join(",")),
        _ => asns.join(" "),
    }
}
