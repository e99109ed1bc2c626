//! `BgpService` over the owner's handle. Translates; must never keep state or wait for a neighbour.

mod filter;
mod from_proto;
mod paths;
mod policy;
mod session;
mod to_proto;
mod track;

use std::net::IpAddr;
use std::time::Duration;

use futures::StreamExt as _;
use sart_bgp::config::{Config, ConfigError};
use sart_bgp::family::Family;
use sart_bgp::speaker::{Speaker, Table};
use sart_rpc::v1;
use sart_rpc::v1::bgp_service_server::BgpService;
use sart_telemetry::logs::{self, LogError};
use tonic::{Request, Response, Status, Streaming};

use self::filter::RowFilter;
use super::leave;
use super::owner::{Handle, Stopped};
use super::policy as text;
use super::reload::{ReloadError, Reloader};
use super::watch::WatchStream;

/// The service; clones share the owner.
#[derive(Clone, Debug)]
pub struct Api {
    handle: Handle,
    reloader: Option<Reloader>,
}

impl Api {
    /// Serves what `handle` leads to. `reloader` reads the configuration file again, if there is one.
    #[must_use]
    pub const fn new(handle: Handle, reloader: Option<Reloader>) -> Self {
        Self { handle, reloader }
    }
}

/// The longest time between the request to use other routes and the end of the sessions.
const LONGEST_DRAIN_SECONDS: u32 = 3600;

impl Api {
    /// Does something to one neighbour and shows it as it is then.
    async fn act(
        &self,
        peer: IpAddr,
        act: impl FnOnce(&mut Speaker, Duration) -> Result<(), ConfigError> + Send + 'static,
    ) -> Result<Response<v1::Neighbor>, Status> {
        let call = move |speaker: &mut Speaker, now| act(speaker, now).map(|()| speaker.neighbor(peer, now));
        let view = self.handle.call(call).await.map_err(stopped)?.map_err(refused)?;
        let view = view.ok_or_else(|| refused(ConfigError::UnknownNeighbor { address: peer }))?;
        Ok(Response::new(to_proto::neighbor(&view)))
    }
}

fn stopped(_: Stopped) -> Status {
    Status::unavailable("the speaker is shutting down; try again")
}

fn refused(error: ConfigError) -> Status {
    let text = error.to_string();
    match error {
        ConfigError::Invalid { .. } | ConfigError::Duplicate { .. } => Status::invalid_argument(text),
        ConfigError::NoGlobal => Status::failed_precondition(text),
        ConfigError::UnknownNeighbor { .. } => Status::not_found(text),
        ConfigError::NeighborExists { .. } => Status::already_exists(text),
    }
}

/// A request that leaves the switch alone keeps it.
fn multipath(speaker: &Speaker) -> bool {
    speaker.global().is_some_and(|global| global.decision.multipath)
}

fn address(field: &str, text: &str) -> Result<IpAddr, Status> {
    text.parse().map_err(|_| from_proto::invalid(field, text, "is not an IPv4 or IPv6 address"))
}

#[tonic::async_trait]
impl BgpService for Api {
    type WatchNeighborsStream = WatchStream<v1::NeighborEvent>;
    type WatchBestPathsStream = WatchStream<v1::BestPathEvent>;
    type ListPathsStream = WatchStream<v1::Path>;
    type StreamPathsStream = WatchStream<v1::UpdatePathsResponse>;

    async fn get_global(&self, _: Request<v1::GetGlobalRequest>) -> Result<Response<v1::Global>, Status> {
        let global =
            self.handle.call(|speaker, _| speaker.global().map(to_proto::global)).await.map_err(stopped)?;
        Ok(Response::new(global.unwrap_or_default()))
    }

    async fn apply_config(
        &self,
        request: Request<v1::ApplyConfigRequest>,
    ) -> Result<Response<v1::ApplyConfigResponse>, Status> {
        let request = request.into_inner();
        let global = request.global.ok_or_else(|| Status::invalid_argument("global: missing"))?;
        let config = Config {
            global: from_proto::global(&global)?,
            neighbors: from_proto::neighbors(&request.neighbors)?,
            paths: from_proto::paths(&request.paths)?,
            policy: policy::read(request.policy.as_ref())?,
        };
        let keep_multipath = global.multipath.is_none();
        let mut config = config;
        let call = move |speaker: &mut Speaker, now| {
            if keep_multipath {
                config.global.decision.multipath = multipath(speaker);
            }
            speaker.apply_config(config, now)
        };
        let applied = self.handle.call(call).await;
        let applied = applied.map_err(stopped)?.map_err(refused)?;
        tracing::info!(?applied, "applied a configuration");
        Ok(Response::new(to_proto::applied(&applied)))
    }

    async fn set_global(
        &self,
        request: Request<v1::SetGlobalRequest>,
    ) -> Result<Response<v1::Global>, Status> {
        let global =
            request.into_inner().global.ok_or_else(|| Status::invalid_argument("global: missing"))?;
        let keep_multipath = global.multipath.is_none();
        let mut global = from_proto::global(&global)?;
        let call = move |speaker: &mut Speaker, now| {
            if keep_multipath {
                global.decision.multipath = multipath(speaker);
            }
            speaker.set_global(global, now).map(|()| speaker.global().map(to_proto::global))
        };
        let global = self.handle.call(call).await.map_err(stopped)?.map_err(refused)?;
        Ok(Response::new(global.unwrap_or_default()))
    }

    async fn add_neighbor(
        &self,
        request: Request<v1::AddNeighborRequest>,
    ) -> Result<Response<v1::Neighbor>, Status> {
        let neighbor = request.into_inner().neighbor;
        let neighbor = neighbor.ok_or_else(|| Status::invalid_argument("neighbor: missing"))?;
        let config = from_proto::neighbor(&neighbor)?;
        let peer = config.address;
        let call = move |speaker: &mut Speaker, now| {
            speaker.add_neighbor(config, now).map(|()| speaker.neighbor(peer, now))
        };
        let view = self.handle.call(call).await.map_err(stopped)?.map_err(refused)?;
        let view = view.ok_or_else(|| Status::internal("the neighbor was added but is not there"))?;
        Ok(Response::new(to_proto::neighbor(&view)))
    }

    async fn delete_neighbor(
        &self,
        request: Request<v1::DeleteNeighborRequest>,
    ) -> Result<Response<v1::DeleteNeighborResponse>, Status> {
        let peer = address("address", &request.into_inner().address)?;
        let deleted = self.handle.call(move |speaker, now| speaker.delete_neighbor(peer, now)).await;
        deleted.map_err(stopped)?.map_err(refused)?;
        Ok(Response::new(v1::DeleteNeighborResponse {}))
    }

    async fn shutdown_neighbor(
        &self,
        request: Request<v1::ShutdownNeighborRequest>,
    ) -> Result<Response<v1::Neighbor>, Status> {
        let v1::ShutdownNeighborRequest { address: peer, text } = request.into_inner();
        let peer = address("address", &peer)?;
        self.act(peer, move |speaker, now| speaker.set_shutdown(peer, Some(text), now)).await
    }

    async fn start_neighbor(
        &self,
        request: Request<v1::StartNeighborRequest>,
    ) -> Result<Response<v1::Neighbor>, Status> {
        let peer = address("address", &request.into_inner().address)?;
        self.act(peer, move |speaker, now| speaker.set_shutdown(peer, None, now)).await
    }

    async fn reset_neighbor(
        &self,
        request: Request<v1::ResetNeighborRequest>,
    ) -> Result<Response<v1::Neighbor>, Status> {
        let v1::ResetNeighborRequest { address: peer, text } = request.into_inner();
        let peer = address("address", &peer)?;
        from_proto::check_text(&text)?;
        self.act(peer, move |speaker, now| speaker.reset(peer, &text, now)).await
    }

    async fn refresh_neighbor(
        &self,
        request: Request<v1::RefreshNeighborRequest>,
    ) -> Result<Response<v1::Neighbor>, Status> {
        let peer = address("address", &request.into_inner().address)?;
        self.act(peer, move |speaker, now| speaker.ask_refresh(peer, now)).await
    }

    async fn decommission(
        &self,
        request: Request<v1::DecommissionRequest>,
    ) -> Result<Response<v1::DecommissionResponse>, Status> {
        let v1::DecommissionRequest { text, wait_seconds } = request.into_inner();
        from_proto::check_text(&text)?;
        if wait_seconds > LONGEST_DRAIN_SECONDS {
            return Err(from_proto::invalid("wait_seconds", wait_seconds, "is more than 3600"));
        }
        // A task of its own: half a farewell, because the caller went away, would be the worst of all.
        let wait = Duration::from_secs(u64::from(wait_seconds));
        let leaving = tokio::spawn(leave::decommission(self.handle.clone(), text, wait));
        let left = leaving.await.map_err(|error| Status::internal(error.to_string()))?;
        left.map_err(stopped)?.map_err(refused)?;
        Ok(Response::new(v1::DecommissionResponse {}))
    }

    async fn list_neighbors(
        &self,
        request: Request<v1::ListNeighborsRequest>,
    ) -> Result<Response<v1::ListNeighborsResponse>, Status> {
        let wanted = request.into_inner().address;
        let views = if wanted.is_empty() {
            self.handle.call(|speaker, now| speaker.neighbors(now)).await.map_err(stopped)?
        } else {
            let peer = address("address", &wanted)?;
            let view = self.handle.call(move |speaker, now| speaker.neighbor(peer, now)).await;
            let unknown = || refused(ConfigError::UnknownNeighbor { address: peer });
            vec![view.map_err(stopped)?.ok_or_else(unknown)?]
        };
        let neighbors = views.iter().map(to_proto::neighbor).collect();
        Ok(Response::new(v1::ListNeighborsResponse { neighbors }))
    }

    async fn watch_neighbors(
        &self,
        _: Request<v1::WatchNeighborsRequest>,
    ) -> Result<Response<Self::WatchNeighborsStream>, Status> {
        let events = self.handle.watch_neighbors().await.map_err(stopped)?;
        Ok(Response::new(Box::pin(events.map(|event| event.map(to_proto::neighbor_event)))))
    }

    async fn update_paths(
        &self,
        request: Request<v1::UpdatePathsRequest>,
    ) -> Result<Response<v1::UpdatePathsResponse>, Status> {
        paths::update(&self.handle, request.into_inner()).await.map(Response::new)
    }

    async fn stream_paths(
        &self,
        requests: Request<Streaming<v1::UpdatePathsRequest>>,
    ) -> Result<Response<Self::StreamPathsStream>, Status> {
        Ok(Response::new(paths::answers(self.handle.clone(), requests.into_inner())))
    }

    async fn get_policy(
        &self,
        _: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        self.handle.call(|speaker, _| policy::answer(speaker)).await.map_err(stopped).map(Response::new)
    }

    async fn set_policy(
        &self,
        request: Request<v1::SetPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        let config = policy::read(request.into_inner().policy.as_ref())?;
        let call = move |speaker: &mut sart_bgp::speaker::Speaker, now| {
            speaker.set_policy(config, now).map(|()| policy::answer(speaker))
        };
        self.handle.call(call).await.map_err(stopped)?.map_err(refused).map(Response::new)
    }

    async fn set_neighbor_policy(
        &self,
        request: Request<v1::SetNeighborPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        let request = request.into_inner();
        let peer = address("address", &request.address)?;
        let chains = (request.import.as_ref().map(text::chain), request.export.as_ref().map(text::chain));
        let call = move |speaker: &mut sart_bgp::speaker::Speaker, now| {
            speaker.set_neighbor_policy(peer, chains, now).map(|()| policy::answer(speaker))
        };
        self.handle.call(call).await.map_err(stopped)?.map_err(refused).map(Response::new)
    }

    async fn reload(
        &self,
        _: Request<v1::ReloadRequest>,
    ) -> Result<Response<v1::ApplyConfigResponse>, Status> {
        let reloader = self.reloader.as_ref();
        let reloader =
            reloader.ok_or_else(|| Status::failed_precondition("there is no --file to read again"))?;
        let applied = reloader.reload().await.map_err(|error| match error {
            ReloadError::Stopped(gone) => stopped(gone),
            ReloadError::Refused(refused) => Status::invalid_argument(refused),
        })?;
        Ok(Response::new(to_proto::applied(&applied)))
    }

    async fn set_log_level(
        &self,
        request: Request<v1::SetLogLevelRequest>,
    ) -> Result<Response<v1::SetLogLevelResponse>, Status> {
        let level = request.into_inner().level;
        logs::set_level(&level).map_err(|error| match error {
            LogError::NotSetUp => Status::failed_precondition(error.to_string()),
            _ => Status::invalid_argument(format!("level: {error}")),
        })?;
        tracing::info!(level, "changed the log level");
        Ok(Response::new(v1::SetLogLevelResponse {}))
    }

    async fn list_paths(
        &self,
        request: Request<v1::ListPathsRequest>,
    ) -> Result<Response<Self::ListPathsStream>, Status> {
        let request = request.into_inner();
        let table = match request.table() {
            v1::Table::Unspecified | v1::Table::Local => Table::LocRib,
            v1::Table::AdjIn => Table::AdjRibIn(address("neighbor", &request.neighbor)?),
            v1::Table::AdjOut => Table::AdjRibOut(address("neighbor", &request.neighbor)?),
        };
        let filter = RowFilter::read(&request)?;
        let coarse = filter.coarse();
        let rows = self.handle.list_paths(table, coarse).await;
        let rows = rows.map_err(stopped)?.map_err(|error| Status::not_found(error.to_string()))?;
        let wanted = move |row| std::future::ready(filter.takes(&row).then(|| Ok(to_proto::path(&row))));
        Ok(Response::new(Box::pin(rows.filter_map(wanted))))
    }

    async fn watch_best_paths(
        &self,
        request: Request<v1::WatchBestPathsRequest>,
    ) -> Result<Response<Self::WatchBestPathsStream>, Status> {
        let families = from_proto::families("families", &request.into_inner().families)?;
        let families = if families.is_empty() { Family::SUPPORTED.to_vec() } else { families };
        let events = self.handle.watch_best_paths(families).await.map_err(stopped)?;
        Ok(Response::new(Box::pin(events.map(|event| event.map(to_proto::best_path_event)))))
    }
}
