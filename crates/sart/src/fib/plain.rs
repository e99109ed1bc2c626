//! The route manager's answers for a person.

use sart_rpc::v1;

use crate::output::table;

pub(crate) fn channels(channels: &[v1::Channel]) -> String {
    let header = ["NAME", "VERSION", "FROM", "TO", "DESIRED", "INSTALLED", "UNRESOLVED", "REFUSED", "SYNCED"];
    let rows = channels.iter().map(|channel| {
        vec![
            channel.name.clone(),
            channel.ip_version.clone(),
            endpoints(&channel.subscribers),
            endpoints(&channel.publishers),
            channel.desired_routes.to_string(),
            channel.installed_routes.to_string(),
            channel.unresolved_routes.to_string(),
            channel.refused_routes.to_string(),
            channel.synced.to_string(),
        ]
    });
    table(&header, rows)
}

fn endpoints(endpoints: &[v1::ChannelEndpoint]) -> String {
    let texts = endpoints.iter().map(|endpoint| {
        let tables = endpoint.tables.iter().map(|table| format!("table {table}"));
        let tables: Vec<String> = tables.collect();
        let detail = if tables.is_empty() { endpoint.endpoint.clone() } else { tables.join(", ") };
        format!("{} ({detail})", endpoint.protocol)
    });
    texts.collect::<Vec<_>>().join(" ")
}

pub(crate) fn routes(routes: &[v1::FibRoute]) -> String {
    let header = ["DESTINATION", "NEXT HOPS", "SOURCE", "PROTOCOL", "AD", "PRIORITY", "STATE", "REASON"];
    let rows = routes.iter().map(|route| {
        vec![
            route.prefix.clone(),
            route.next_hops.iter().map(next_hop).collect::<Vec<_>>().join(" "),
            route.source.clone(),
            route.protocol.to_string(),
            route.distance.to_string(),
            route.metric.to_string(),
            route.state.clone(),
            route.reason.clone(),
        ]
    });
    table(&header, rows)
}

/// `10.9.0.1@10.0.0.2%eth0` is gateway, the gateway it resolved to, and the interface.
fn next_hop(hop: &v1::FibNextHop) -> String {
    let mut text = hop.gateway.clone();
    if !hop.resolved_gateway.is_empty() && hop.resolved_gateway != hop.gateway {
        text = format!("{text}@{}", hop.resolved_gateway);
    }
    if !hop.interface.is_empty() {
        text = format!("{text}%{}", hop.interface);
    }
    text
}
