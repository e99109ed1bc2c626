//! Client of the speaker: keeps its configuration and paths equal to the newest order over one connection, and tells the
//! engine what it runs. After any loss it applies the whole order again at once; it never decides what to announce.

mod message;
mod paths;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sart_rpc::v1::bgp_service_client::BgpServiceClient;
use sart_rpc::v1::{
    AddressFamily, GetGlobalRequest, ListPathsRequest, Table, UpdatePathsRequest, WatchNeighborsRequest,
    neighbor_event,
};
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tracing::{info, warn};

use self::paths::PathStream;
use crate::engine::SpeakerOrder;
use crate::event::{Event, SpeakerEvent};
use crate::metrics::Metrics;
use crate::node::{Announced, Paths, SpeakerConfig};

/// First wait after a failed connection; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(5);
/// A speaker that starts is noticed within this time.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// A local daemon answers a call long before that.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

type Client = BgpServiceClient<Channel>;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum SpeakerError {
    /// Nobody answers on the socket.
    #[error(transparent)]
    Connect(#[from] sart_rpc::ConnectError),
    /// A call failed.
    #[error("{call} on the speaker at {socket} failed: {source}")]
    Call { call: &'static str, socket: String, source: Box<Status> },
    /// The stream of sessions ended.
    #[error("the speaker at {0} closed the connection")]
    Closed(String),
}

/// What one connection has confirmed.
#[derive(Debug, Default)]
struct Applied {
    config: Option<Arc<SpeakerConfig>>,
    refused: Option<(Arc<SpeakerConfig>, String)>,
    /// `None` until a call of this connection has set the paths: groups of recovered ones are unknown.
    paths: Option<Paths>,
    recovered: BTreeSet<ipnet::IpNet>,
    running: (u32, String),
}

/// The task's own state.
#[derive(Debug)]
pub struct SpeakerClient {
    socket: PathBuf,
    orders: watch::Receiver<Option<SpeakerOrder>>,
    events: Sender<Event>,
    metrics: Metrics,
}

impl SpeakerClient {
    /// A client for the speaker at `socket`.
    pub fn new(
        socket: PathBuf,
        orders: watch::Receiver<Option<SpeakerOrder>>,
        events: Sender<Event>,
        metrics: Metrics,
    ) -> Self {
        Self { socket, orders, events, metrics }
    }

    /// Runs until the engine is gone.
    pub async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        while !self.events.is_closed() {
            let mut connected = false;
            let Err(error) = self.connection(&mut connected).await else { return };
            self.metrics.speaker_losses.inc();
            self.tell(SpeakerEvent::Down(error.to_string())).await;
            wait = if connected { FIRST_WAIT } else { (wait * 2).min(LONGEST_WAIT) };
            tokio::time::sleep(wait).await;
        }
    }

    /// Serves one connection; `Ok` means that the engine is gone.
    async fn connection(&mut self, connected: &mut bool) -> Result<(), SpeakerError> {
        let mut client = BgpServiceClient::new(sart_rpc::connect(&self.socket).await?);
        let mut applied = self.recover(&mut client).await?;
        *connected = true;
        let sessions = client.watch_neighbors(WatchNeighborsRequest {}).await;
        let mut sessions = sessions.map_err(|status| self.failed("WatchNeighbors", status))?.into_inner();
        let stream = PathStream::open(&mut client).await;
        let mut stream = stream.map_err(|status| self.failed("StreamPaths", status))?;
        self.orders.mark_changed();
        loop {
            tokio::select! {
                biased;
                order = self.orders.changed() => {
                    if order.is_err() {
                        return Ok(());
                    }
                    self.follow((&mut client, &mut stream), &mut applied).await?;
                }
                event = sessions.message() => {
                    let event = event.map_err(|status| self.failed("WatchNeighbors", status))?;
                    let Some(event) = event else { return Err(SpeakerError::Closed(self.name())) };
                    self.pass_on(event.event).await;
                }
            }
        }
    }

    /// Asks the speaker what it runs and originates: after a restart of this agent that is the truth to start from.
    async fn recover(&self, client: &mut Client) -> Result<Applied, SpeakerError> {
        let global = client.get_global(GetGlobalRequest {}).await;
        let global = global.map_err(|status| self.failed("GetGlobal", status))?.into_inner();
        let mut recovered = BTreeSet::new();
        for family in [AddressFamily::Ipv4Unicast, AddressFamily::Ipv6Unicast] {
            recovered.extend(self.originated(client, family).await?);
        }
        let running = (global.asn, global.router_id);
        let known = (running.0 != 0).then(|| running.clone());
        self.tell(SpeakerEvent::Up { running: known, announced: recovered.clone() }).await;
        Ok(Applied { recovered, running, ..Applied::default() })
    }

    async fn originated(
        &self,
        client: &mut Client,
        family: AddressFamily,
    ) -> Result<Vec<ipnet::IpNet>, SpeakerError> {
        let request = ListPathsRequest {
            table: Table::Local.into(),
            family: family.into(),
            ..ListPathsRequest::default()
        };
        let mut prefixes = Vec::new();
        let mut stream = match client.list_paths(request).await {
            Ok(stream) => stream.into_inner(),
            // A family this speaker does not know holds nothing of ours.
            Err(status) if matches!(status.code(), Code::Unimplemented | Code::InvalidArgument) => {
                return Ok(prefixes);
            }
            Err(status) => return Err(self.failed("ListPaths", status)),
        };
        while let Some(path) = stream.message().await.map_err(|status| self.failed("ListPaths", status))? {
            if path.peer_address.is_empty() {
                prefixes.extend(path.prefix.parse::<ipnet::IpNet>());
            }
        }
        Ok(prefixes)
    }

    /// Brings the speaker to the newest order by the smallest call that does it.
    async fn follow(
        &mut self,
        (client, stream): (&mut Client, &mut PathStream),
        applied: &mut Applied,
    ) -> Result<(), SpeakerError> {
        let Some(order) = self.orders.borrow_and_update().clone() else { return Ok(()) };
        let wanted = &order.plan;
        let refused = applied.refused.as_ref().is_some_and(|(config, _)| *config == wanted.config);
        if applied.config.as_ref() != Some(&wanted.config) && !refused {
            self.configure(client, applied, &order).await?;
        }
        if applied.paths.as_ref() != Some(&wanted.paths) {
            self.update(stream, applied, &wanted.paths).await?;
        }
        if let Some(since) = order.since {
            self.metrics.endpoint_to_ack.observe(since.elapsed().as_secs_f64());
        }
        let ours = |(prefix, groups): (&ipnet::IpNet, &Arc<[String]>)| {
            (*prefix, Announced::Ours { groups: groups.clone() })
        };
        self.tell(SpeakerEvent::Confirmed {
            running: applied.running.clone(),
            announced: wanted.paths.iter().map(ours).collect(),
            refusal: applied.refused.as_ref().map(|(_, message)| message.clone()),
        })
        .await;
        Ok(())
    }

    /// Applies configuration and paths as one. A refusal leaves the last good configuration in force (and is not tried
    /// again until the order changes).
    async fn configure(
        &self,
        client: &mut Client,
        applied: &mut Applied,
        order: &SpeakerOrder,
    ) -> Result<(), SpeakerError> {
        let wanted = &order.plan;
        let request = message::apply_config(&wanted.config, &wanted.paths);
        match call(client.apply_config(timed(request))).await {
            Ok(done) => {
                info!(asn = wanted.config.asn, ?done, "configured the speaker");
                self.metrics.configs.inc();
                applied.config = Some(wanted.config.clone());
                applied.refused = None;
                applied.running = (wanted.config.asn, wanted.config.router_id.clone());
                self.metrics.paths_changed.inc_by(u64::from(done.paths_changed));
                applied.paths = Some(wanted.paths.clone());
                Ok(())
            }
            Err(status) if status.code() == Code::InvalidArgument => {
                warn!(reason = status.message(), "the speaker refused the configuration; the last one stays");
                self.metrics.configs_refused.inc();
                applied.refused = Some((wanted.config.clone(), status.message().to_owned()));
                Ok(())
            }
            Err(status) => Err(self.failed("ApplyConfig", status)),
        }
    }

    async fn update(
        &self,
        stream: &mut PathStream,
        applied: &mut Applied,
        wanted: &Paths,
    ) -> Result<(), SpeakerError> {
        let none = Paths::new();
        let known = applied.paths.as_ref().unwrap_or(&none);
        let held = known.keys().chain(applied.recovered.iter().filter(|_| applied.paths.is_none()));
        let request = UpdatePathsRequest {
            withdrawals: held
                .filter(|prefix| !wanted.contains_key(prefix))
                .map(ToString::to_string)
                .collect(),
            upserts: wanted
                .iter()
                .filter(|(prefix, groups)| known.get(prefix) != Some(groups))
                .map(message::local_path)
                .collect(),
        };
        let done = stream.update(request).await;
        let done = done.map_err(|status| self.failed("StreamPaths", status))?;
        self.metrics.paths_changed.inc_by(u64::from(done.changed));
        applied.paths = Some(wanted.clone());
        Ok(())
    }

    async fn pass_on(&self, event: Option<neighbor_event::Event>) {
        let event = match event {
            Some(neighbor_event::Event::Neighbor(neighbor)) => message::session(&neighbor),
            Some(neighbor_event::Event::DeletedAddress(text)) => {
                text.parse().ok().map(SpeakerEvent::SessionGone)
            }
            Some(neighbor_event::Event::Synced(_)) => Some(SpeakerEvent::SessionsListed),
            None => None,
        };
        if let Some(event) = event {
            self.tell(event).await;
        }
    }

    /// A closed channel means that the engine is gone; the next turn of the loop sees it.
    async fn tell(&self, event: SpeakerEvent) {
        if self.events.send(Event::Speaker(event)).await.is_err() {
            info!("the engine is gone; the speaker keeps what it has");
        }
    }

    fn name(&self) -> String {
        self.socket.display().to_string()
    }

    fn failed(&self, call: &'static str, source: Status) -> SpeakerError {
        SpeakerError::Call { call, socket: self.name(), source: Box::new(source) }
    }
}

fn timed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// The deadline travels with the request; this one holds even if the speaker hangs.
async fn call<T>(answer: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Status> {
    in_time(answer).await.map(tonic::Response::into_inner)
}

async fn in_time<T>(answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(CALL_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::deadline_exceeded("no answer within 5 s")),
    }
}
