//! The route manager's answers as JSON. Keys may be added, never renamed.

use sart_rpc::v1;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Channels<'a> {
    channels: Vec<Channel<'a>>,
}

impl<'a> From<&'a [v1::Channel]> for Channels<'a> {
    fn from(channels: &'a [v1::Channel]) -> Self {
        Self { channels: channels.iter().map(Channel::from).collect() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Channel<'a> {
    name: &'a str,
    ip_version: &'a str,
    subscribers: Vec<Endpoint<'a>>,
    publishers: Vec<Endpoint<'a>>,
    desired_routes: u64,
    installed_routes: u64,
    unresolved_routes: u64,
    refused_routes: u64,
    synced: bool,
}

impl<'a> From<&'a v1::Channel> for Channel<'a> {
    fn from(channel: &'a v1::Channel) -> Self {
        Self {
            name: &channel.name,
            ip_version: &channel.ip_version,
            subscribers: channel.subscribers.iter().map(Endpoint::from).collect(),
            publishers: channel.publishers.iter().map(Endpoint::from).collect(),
            desired_routes: channel.desired_routes,
            installed_routes: channel.installed_routes,
            unresolved_routes: channel.unresolved_routes,
            refused_routes: channel.refused_routes,
            synced: channel.synced,
        }
    }
}

#[derive(Debug, Serialize)]
struct Endpoint<'a> {
    protocol: &'a str,
    endpoint: &'a str,
    tables: &'a [u32],
}

impl<'a> From<&'a v1::ChannelEndpoint> for Endpoint<'a> {
    fn from(endpoint: &'a v1::ChannelEndpoint) -> Self {
        Self { protocol: &endpoint.protocol, endpoint: &endpoint.endpoint, tables: &endpoint.tables }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Routes<'a> {
    routes: Vec<Route<'a>>,
}

impl<'a> From<&'a [v1::FibRoute]> for Routes<'a> {
    fn from(routes: &'a [v1::FibRoute]) -> Self {
        Self { routes: routes.iter().map(Route::from).collect() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Route<'a> {
    destination: &'a str,
    next_hops: Vec<NextHop<'a>>,
    protocol: u32,
    ad: u32,
    priority: u32,
    table: u32,
    source: &'a str,
    state: &'a str,
    reason: &'a str,
}

impl<'a> From<&'a v1::FibRoute> for Route<'a> {
    fn from(route: &'a v1::FibRoute) -> Self {
        Self {
            destination: &route.prefix,
            next_hops: route.next_hops.iter().map(NextHop::from).collect(),
            protocol: route.protocol,
            ad: route.distance,
            priority: route.metric,
            table: route.table,
            source: &route.source,
            state: &route.state,
            reason: &route.reason,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NextHop<'a> {
    gateway: &'a str,
    resolved_gateway: &'a str,
    interface: &'a str,
    weight: u32,
}

impl<'a> From<&'a v1::FibNextHop> for NextHop<'a> {
    fn from(hop: &'a v1::FibNextHop) -> Self {
        Self {
            gateway: &hop.gateway,
            resolved_gateway: &hop.resolved_gateway,
            interface: &hop.interface,
            weight: hop.weight,
        }
    }
}
