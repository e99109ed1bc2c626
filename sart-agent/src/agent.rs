//! Puts the agent together: takes the lock, starts every task, and ends when one of them does or a signal comes. Ending
//! leaves paths, maps and routes as they are: forwarding outlives the agent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use kube::{Client, Config};
use sart_telemetry::{Health, TelemetryServer};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinSet;
use tracing::info;

use crate::cli::Mode;
use crate::dataplane::PodPath;
use crate::engine::{Engine, Orders, orders};
use crate::event::Event;
use crate::ipam::Wiring;
use crate::lock::{self, LockError};
use crate::metrics::Metrics;
use crate::node::Observed;
use crate::pods::{self, Places};
use crate::proxy::ProxyWatch;
use crate::settings::Settings;
use crate::speaker::SpeakerClient;
use crate::status::StatusWriter;
use crate::uplinks::UplinkWatch;
use crate::{dataplane, forwarding, stoppers, watch};

/// Events in flight. A full queue slows the watches down, never the engine.
const EVENTS: usize = 1024;

/// Why the agent cannot run (any longer).
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No way to the API server.
    #[error("no way to the API server: {0}; run in a pod with a ServiceAccount, or set KUBECONFIG")]
    Config(#[from] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("cannot make a client for the API server: {0}")]
    Client(#[source] Box<kube::Error>),
    /// The health port.
    #[error("cannot serve health pages on port {port}: {source}; choose another --http-port")]
    Http {
        /// The port.
        port: u16,
        /// The cause.
        source: std::io::Error,
    },
    /// A thread or signal handler cannot be made.
    #[error("cannot {step}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// A task ended that never should.
    #[error("a task of the agent ended; see the log above")]
    TaskEnded,
}

/// Runs until a signal or an error; what is not on the way from a watch event to the speaker runs on `background`.
pub async fn run(settings: Settings, background: &Handle) -> Result<(), AgentError> {
    let health = Health::new();
    let readiness = health.require("sync");
    let mut registry = sart_telemetry::metrics::registry("sart_agent");
    let metrics = Metrics::new(&mut registry);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.http_port));
    let http = TelemetryServer::bind(address, health, Arc::new(registry)).await;
    let http = http.map_err(|source| AgentError::Http { port: settings.http_port, source })?;
    let mut tasks = JoinSet::new();
    tasks.spawn_on(http.serve(), background);
    let _lock = lock::take(&settings.lock_file).await?;

    let config = Config::infer().await?;
    let mut observed = Observed::new(&settings.node);
    observed.api_servers.extend(api_server(&config));
    let watcher = client(config.clone())?;
    let (events, inbox) = mpsc::channel(EVENTS);
    let (outputs, orders) = orders();
    tasks.spawn(Engine::new(observed, outputs, readiness).run(inbox));
    watch::spawn(&mut tasks, &watcher, &settings.node, &events);
    let (socket, order) = (settings.speaker.clone(), orders.speaker.clone());
    tasks.spawn(SpeakerClient::new(socket, order, events.clone(), metrics.clone()).run());
    // What is spawned from here on, connections of a new client included, belongs to the other runtime.
    let entered = background.enter();
    let client = client(config)?;
    let path = PodPath::default();
    if settings.mode != Mode::Lb {
        let wiring = Wiring {
            client: client.clone(),
            node: settings.node.clone(),
            events: events.clone(),
            announced: orders.announced.clone(),
        };
        pods::spawn(&mut tasks, wiring, path.clone(), Places::default(), metrics.pods.clone());
    }
    spawn_executors(&mut tasks, (settings, path), client, (orders, events, metrics))?;
    drop(entered);
    wait(tasks).await
}

fn client(config: Config) -> Result<Client, AgentError> {
    Client::try_from(config).map_err(|error| AgentError::Client(Box::new(error)))
}

fn spawn_executors(
    tasks: &mut JoinSet<()>,
    (settings, path): (Settings, PodPath),
    client: Client,
    (orders, events, metrics): (Orders, Sender<Event>, Metrics),
) -> Result<(), AgentError> {
    let pins = dataplane::Config { pin_root: settings.bpf_root };
    let thread = forwarding::spawn(pins, path, orders.forwarding, events.clone());
    thread.map_err(|source| AgentError::System { step: "start the dataplane's thread", source })?;
    tasks.spawn(ProxyWatch::new(settings.kube_proxy_health, events.clone()).run());
    tasks.spawn(UplinkWatch::new(settings.uplinks, orders.peers, events).run());
    tasks.spawn(stoppers::run(orders.stoppers, metrics.clone()));
    tasks.spawn(StatusWriter::new(client, settings.node, orders.status, metrics).run());
    Ok(())
}

/// The API server as this process dials it, if that is an address.
fn api_server(config: &Config) -> Option<IpAddr> {
    config.cluster_url.host()?.trim_matches(['[', ']']).parse().ok()
}

async fn wait(mut tasks: JoinSet<()>) -> Result<(), AgentError> {
    let handler =
        |kind| signal(kind).map_err(|source| AgentError::System { step: "install a signal handler", source });
    let (mut terminate, mut interrupt) =
        (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => info!("terminated; paths, maps and routes stay"),
        _ = interrupt.recv() => info!("interrupted; paths, maps and routes stay"),
        _ = tasks.join_next() => return Err(AgentError::TaskEnded),
    }
    Ok(())
}
