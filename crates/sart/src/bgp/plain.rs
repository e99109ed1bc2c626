//! The speaker's answers for a person.

use std::fmt::Write as _;

use jiff::Timestamp;
use sart_rpc::v1;

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
    let policy = if global.ebgp_requires_policy { "required (RFC 8212)" } else { "not required" };
    let mut text = format!(
        "ASN:        {}\nRouter id:  {}\nPort:       {}\nMultipath:  {}\nTransit:    {}\nImport:     {import}\neBGP:       policy {policy}\n",
        global.asn,
        global.router_id,
        global.port,
        global.multipath(),
        transit(global.transit()),
    );
    if !global.protected_prefixes.is_empty() {
        text.push_str(&format!("Protected:  {}\n", global.protected_prefixes.join(", ")));
    }
    text
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
    line("Limit", config.prefix_limit.as_ref().map(limit).unwrap_or_default());
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
    let error = Some(&neighbor.last_error).filter(|error| !error.is_empty());
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

pub(crate) fn paths(paths: &[v1::Path], shown: v1::Table) -> String {
    let header = ["BEST", "PREFIX", "NEXT HOP", "AS PATH", "ORIGIN", "LOCAL PREF", "MED", "FROM", "REFUSED"];
    // Only what a neighbor sent can be refused.
    let columns = if shown == v1::Table::AdjIn { header.len() } else { header.len() - 1 };
    let rows = paths.iter().map(|path| {
        let number = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        let mut row = vec![
            marks(path).to_owned(),
            path.prefix.clone(),
            or(&path.next_hops.join(" "), "-"),
            or(&as_path(path), "-"),
            origin(path.origin()).to_owned(),
            number(path.local_pref),
            number(path.med),
            or(&path.peer_address, "local"),
            or(&path.refused, "-"),
        ];
        row.truncate(columns);
        row
    });
    table(header.get(..columns).unwrap_or(&header), rows)
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
