//! The gRPC service: shows the last decision. Changes nothing.

use std::net::IpAddr;
use std::sync::Arc;

use sart_fib::decide::{ResolvedHop, State, Verdict};
use sart_rpc::v1::fib_service_server::FibService;
use sart_rpc::v1::{
    Channel, ChannelEndpoint, FibNextHop, FibRoute, ListChannelsRequest, ListChannelsResponse,
    ListRoutesRequest,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::config::{ChannelConfig, Config, Subscriber};
use super::engine::Snapshot;

/// Serves snapshots.
pub struct Api {
    config: Config,
    protocol: u8,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

impl Api {
    /// A service over the engine's snapshots.
    pub fn new(config: Config, snapshot: watch::Receiver<Arc<Snapshot>>) -> Self {
        Self { config, protocol: sart_fib::route::PROTOCOL_FIBD, snapshot }
    }
}

#[tonic::async_trait]
impl FibService for Api {
    type ListRoutesStream = tokio_stream::Iter<std::vec::IntoIter<Result<FibRoute, Status>>>;

    async fn list_channels(
        &self,
        _request: Request<ListChannelsRequest>,
    ) -> Result<Response<ListChannelsResponse>, Status> {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let channels = self.config.channels.iter().enumerate();
        let channels = channels.map(|(index, config)| channel(index, config, &snapshot)).collect();
        Ok(Response::new(ListChannelsResponse { channels }))
    }

    async fn list_routes(
        &self,
        request: Request<ListRoutesRequest>,
    ) -> Result<Response<Self::ListRoutesStream>, Status> {
        let name = request.into_inner().channel;
        let wanted = self.config.channels.iter().position(|channel| channel.name == name);
        if wanted.is_none() && !name.is_empty() {
            let known: Vec<_> = self.config.channels.iter().map(|channel| channel.name.as_str()).collect();
            let known = known.join(", ");
            return Err(Status::not_found(format!("no channel `{name}`; there are: {known}")));
        }
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let verdicts = snapshot.decision.verdicts.iter();
        let verdicts = verdicts.filter(|verdict| wanted.is_none_or(|index| verdict.channel == index));
        let routes: Vec<_> = verdicts.map(|verdict| Ok(route(verdict, self.protocol, &snapshot))).collect();
        Ok(Response::new(tokio_stream::iter(routes)))
    }
}

fn channel(index: usize, config: &ChannelConfig, snapshot: &Snapshot) -> Channel {
    let count = |word: &str| {
        let verdicts = snapshot.decision.verdicts.iter().filter(|verdict| verdict.channel == index);
        verdicts.filter(|verdict| word.is_empty() || verdict.state.word() == word).count() as u64
    };
    let subscribers = config.subscribers.iter().map(|subscriber| match subscriber {
        Subscriber::Bgp(socket) => end("bgp", socket.display().to_string(), Vec::new()),
        Subscriber::Kernel(tables) => end("kernel", String::new(), tables.clone()),
    });
    Channel {
        name: config.name.clone(),
        ip_version: config.family.word().to_owned(),
        subscribers: subscribers.collect(),
        publishers: vec![end("kernel", String::new(), config.tables.clone())],
        desired_routes: count(""),
        installed_routes: count("installed"),
        unresolved_routes: count("unresolved"),
        refused_routes: count("refused"),
        synced: snapshot.synced.get(index).copied().unwrap_or(false),
    }
}

fn end(protocol: &str, endpoint: String, tables: Vec<u32>) -> ChannelEndpoint {
    ChannelEndpoint { protocol: protocol.to_owned(), endpoint, tables }
}

fn route(verdict: &Verdict, protocol: u8, snapshot: &Snapshot) -> FibRoute {
    let refused = snapshot.failures.get(&verdict.key).filter(|_| verdict.state != State::Installed);
    FibRoute {
        prefix: verdict.key.prefix.to_string(),
        table: verdict.key.table,
        source: verdict.source.name().to_owned(),
        distance: verdict.source.distance(),
        protocol: u32::from(protocol),
        metric: verdict.key.metric,
        next_hops: verdict.hops.iter().flat_map(|hop| next_hops(hop, snapshot)).collect(),
        state: verdict.state.word().to_owned(),
        reason: refused.cloned().unwrap_or_else(|| verdict.state.explain()),
    }
}

/// One entry per leg; an unresolved next hop is one entry without interface.
fn next_hops(hop: &ResolvedHop, snapshot: &Snapshot) -> Vec<FibNextHop> {
    let text = |address: Option<IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    let gateway = text(hop.address);
    if hop.legs.is_empty() {
        let weight = u32::from(hop.weight);
        return vec![FibNextHop { gateway, weight, ..FibNextHop::default() }];
    }
    let legs = hop.legs.iter().map(|leg| FibNextHop {
        gateway: gateway.clone(),
        resolved_gateway: text(leg.gateway),
        interface: snapshot.links.get(&leg.ifindex).cloned().unwrap_or_else(|| format!("#{}", leg.ifindex)),
        weight: u32::from(leg.weight),
    });
    legs.collect()
}
