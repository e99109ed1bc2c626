//! Puts the daemon together and reacts to signals. Must never run on a configuration that was refused.

use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sart_bgp::config::{Config, ConfigError, Global, ImportPolicy, TransitPolicy};
use sart_bgp::policy::PolicyConfig;
use sart_bgp::speaker::Speaker;
use sart_bgp::speaker::record::RecordEnd;
use sart_rpc::v1::bgp_service_server::BgpServiceServer;
use sart_rpc::v1::next_hop_service_server::NextHopServiceServer;
use sart_rpc::{Listener, socket_path};
use sart_telemetry::logs::LogError;
use sart_telemetry::{Health, LogOptions, Readiness, TelemetryServer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::allocator::AllocatorError;
use super::api::Api;
use super::args::Args;
use super::dial::SocketOptions;
use super::file::{self, FileError, Overrides};
use super::leave::{self, Farewell};
use super::listen::Listeners;
use super::metrics::Metrics;
use super::owner::{Handle, Owner, Stopped};
use super::record::{self, RecordError, Recording, ReplayFileError};
use super::reload::{self, Reloader};

/// How long API calls under way may take when the daemon stops.
const API_STOP_TIME: Duration = Duration::from_secs(1);

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Flags(#[from] ConfigError),
    #[error("--as and --router-id: give both, or a file with the other one")]
    HalfIdentity,
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("--api: {0}")]
    Endpoint(#[from] sart_rpc::EndpointError),
    #[error(transparent)]
    Bind(#[from] sart_rpc::BindError),
    #[error("cannot serve HTTP on {address}: {source}")]
    Http { address: SocketAddr, source: std::io::Error },
    #[error("cannot watch signals: {0}")]
    Signals(std::io::Error),
    #[error("--record: {0}")]
    Record(#[from] RecordError),
    #[error("the speaker stopped while starting")]
    Stopped(#[from] Stopped),
}

impl StartError {
    /// 2 is the user's mistake, 1 the machine's state.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::File(_) | Self::Flags(_) | Self::HalfIdentity | Self::Log(_) | Self::Endpoint(_) => {
                ExitCode::from(2)
            }
            _ => ExitCode::FAILURE,
        }
    }
}

/// Runs the daemon until SIGTERM or SIGINT; `allocator` tells how its memory is given out.
pub async fn run(args: Args, allocator: Result<(), AllocatorError>) -> ExitCode {
    if let Some(path) = &args.replay {
        return replay(path);
    }
    match try_run(args, allocator).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            error.exit_code()
        }
    }
}

/// Prints what the speaker of a recording had to do. 0 if it did the same again, else 1.
#[expect(clippy::print_stderr, reason = "standard output is for the outputs")]
fn replay(path: &Path) -> ExitCode {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let replayed = record::replay(path, &mut out);
    match replayed.and_then(|replay| out.flush().map(|()| replay).map_err(ReplayFileError::Write)) {
        Ok(replay) => {
            let (outputs, checks) = replay.compared();
            let end = replay.end().map_or("cut off", RecordEnd::reason);
            eprintln!("sart-bgpd: {outputs} outputs, equal at {checks} checks; the recording ends: {end}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("sart-bgpd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One sentence on standard error, whatever the log's format and place.
#[expect(clippy::print_stderr, reason = "the daemon did not start: standard error is all there is")]
fn say(error: &StartError) {
    eprintln!("sart-bgpd: {error}");
}

async fn try_run(args: Args, allocator: Result<(), AllocatorError>) -> Result<(), StartError> {
    // Everything that can be wrong with the command line and the file is found before anything is touched.
    let first = first_config(&args)?;
    let api_path = socket_path(&args.api)?;
    sart_telemetry::logs::init(&log_options(&args, first.log_level.as_deref()))?;
    for warning in args.ignored().iter().chain(&first.warnings) {
        tracing::warn!("{warning}");
    }
    if let Err(error) = allocator {
        tracing::warn!("{error}");
    }
    let metrics = Metrics::default();
    let health = Health::new();
    let api_ready = health.require("api");
    let http = http(&args, &health, &metrics).await?;
    // Before the first packet: a second speaker on this socket must not disturb the first one's sessions.
    let listener = Listener::bind(&api_path)?;
    let (speaker, recording) = speaker(args.record.as_deref())?;
    let (owner, handle, inbox) = owner(speaker, &args, &metrics, health.require("listener"));
    let (stop, stopping) = oneshot::channel();
    let owning = tokio::spawn(owner.run(inbox, async move {
        // The sender going away means stop as well.
        stopping.await.unwrap_or(Farewell::Shutdown(String::new()))
    }));
    if let Some(config) = first.config {
        handle.call(move |speaker, now| speaker.apply_config(config, now)).await??;
    }
    api_ready.ready();
    tracing::info!(socket = %api_path.display(), "serving the API");
    let (api_stop, api_stopping) = oneshot::channel::<()>();
    let reloader = reloader(&args, &handle, &metrics);
    let serving = serve_api(listener, Api::new(handle.clone(), reloader.clone()), async move {
        let _asked = api_stopping.await;
    });
    wait_for_end(reloader.as_ref()).await?;
    let drain_time = Duration::from_secs(u64::from(args.drain_time));
    let farewell = leave::prepare(args.on_term, drain_time, &handle).await;
    let _running = stop.send(farewell);
    if let Err(error) = owning.await {
        tracing::error!(%error, "the speaker's task failed");
    }
    if let Some(recording) = recording {
        recording.finish();
    }
    let _serving = api_stop.send(());
    if tokio::time::timeout(API_STOP_TIME, serving).await.is_err() {
        tracing::debug!("an API client kept its connection open");
    }
    if let Some(http) = http {
        http.abort();
    }
    Ok(())
}

/// The speaker and, if it is recorded, what has to be waited for in the end.
fn speaker(record: Option<&Path>) -> Result<(Speaker, Option<Recording>), RecordError> {
    // RandomState is seeded from the system's entropy; that is enough to spread timers.
    let seed = std::hash::RandomState::new().build_hasher().finish();
    let Some(path) = record else { return Ok((Speaker::new(seed), None)) };
    let (recorder, recording) = record::start(path)?;
    tracing::info!(path = %path.display(), "recording what the speaker is fed");
    Ok((Speaker::recorded(seed, Box::new(recorder)), Some(recording)))
}

fn owner(
    speaker: Speaker,
    args: &Args,
    metrics: &Metrics,
    ready: Readiness,
) -> (Owner, Handle, super::owner::Inbox) {
    let options = SocketOptions { sources: args.source.clone(), ttl: args.ttl };
    let (mut owner, handle, inbox) = Owner::new(speaker, options.clone(), metrics.clone());
    let listeners = Listeners::new(args.listen.clone(), options, owner.events(), ready, metrics.clone());
    owner.listen_by(listeners);
    (owner, handle, inbox)
}

fn overrides(args: &Args) -> Overrides {
    Overrides { asn: args.asn, router_id: args.router_id }
}

fn reloader(args: &Args, handle: &Handle, metrics: &Metrics) -> Option<Reloader> {
    let said = (overrides(args), args.level.clone());
    args.file.clone().map(|file| Reloader::new(file, said, handle.clone(), metrics.clone()))
}

fn log_options(args: &Args, file: Option<&str>) -> LogOptions {
    let level = reload::effective_level(args.level.as_deref(), file).to_owned();
    LogOptions { level, format: args.format, file: args.log_file.clone() }
}

/// What to start with.
#[derive(Default)]
struct First {
    config: Option<Config>,
    log_level: Option<String>,
    warnings: Vec<String>,
}

/// The configuration to start with: the file's, the flags', or none.
fn first_config(args: &Args) -> Result<First, StartError> {
    if let Some(path) = &args.file {
        let file::Loaded { config, log_level, warnings } = file::load(path, overrides(args))?;
        return Ok(First { config: Some(config), log_level, warnings });
    }
    let global = match (args.asn, args.router_id) {
        (None, None) => return Ok(First::default()),
        (Some(asn), Some(router_id)) => Global::new(asn, router_id),
        _ => return Err(StartError::HalfIdentity),
    };
    // Standalone use keeps the RFC's behaviour.
    let import = ImportPolicy { accept_all: true, ..ImportPolicy::default() };
    let global = Global { transit: TransitPolicy::Full, import, ebgp_requires_policy: false, ..global };
    global.check()?;
    let policy = PolicyConfig::default();
    let config = Config { global, neighbors: Vec::new(), paths: Vec::new(), policy };
    Ok(First { config: Some(config), ..First::default() })
}

async fn http(args: &Args, health: &Health, metrics: &Metrics) -> Result<Option<JoinHandle<()>>, StartError> {
    let Some(port) = args.http_port else { return Ok(None) };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut registry = sart_telemetry::metrics::registry("sart_bgpd");
    metrics.register(&mut registry);
    let server = TelemetryServer::bind(address, health.clone(), Arc::new(registry))
        .await
        .map_err(|source| StartError::Http { address, source })?;
    Ok(Some(tokio::spawn(server.serve())))
}

fn serve_api(
    listener: Listener,
    api: Api,
    stop: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let next_hops = NextHopServiceServer::new(api.clone());
        let mut server = tonic::transport::Server::builder();
        let server = server.add_service(BgpServiceServer::new(api)).add_service(next_hops);
        if let Err(error) = server.serve_with_incoming_shutdown(listener, stop).await {
            tracing::error!(%error, "the API stopped");
        }
    })
}

/// Reloads on SIGHUP; returns on SIGTERM and SIGINT.
async fn wait_for_end(reloader: Option<&Reloader>) -> Result<(), StartError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    loop {
        tokio::select! {
            _ = hangup.recv() => hang_up(reloader).await,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("stopping");
    Ok(())
}

/// A refused file is logged and changes nothing.
async fn hang_up(reloader: Option<&Reloader>) {
    let Some(reloader) = reloader else {
        tracing::warn!("SIGHUP ignored: there is no --file to read again");
        return;
    };
    if let Err(error) = reloader.reload().await {
        tracing::debug!(%error, "the reload has been answered in the log");
    }
}
