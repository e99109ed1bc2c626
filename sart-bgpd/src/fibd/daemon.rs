//! Starts the parts and stops them on a signal. Routes stay in the kernel at the end: forwarding outlives the daemon.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use sart_rpc::v1::fib_service_server::FibServiceServer;
use sart_rpc::{Listener, socket_path};
use sart_telemetry::{Health, TelemetryServer, metrics};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::api::Api;
use super::args::Args;
use super::config::Config;
use super::engine::{Engine, Outputs, Snapshot};
use super::metrics::Metrics;

/// The configuration that the flags name.
pub fn configuration(args: &Args) -> anyhow::Result<Config> {
    let mut config = match &args.file {
        Some(file) => Config::load(file)?,
        None => Config::default(),
    };
    if let Some(api) = &args.api {
        config.api = socket_path(api).context("--api")?;
    }
    Ok(config)
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: Args, config: Config) -> anyhow::Result<()> {
    let mut registry = metrics::registry("sart_fibd");
    let counters = Metrics::register(&mut registry);
    let health = Health::new();
    let ready = health.require("kernel");
    if let Some(port) = args.http_port {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let server = TelemetryServer::bind(address, health, Arc::new(registry)).await;
        tokio::spawn(server.with_context(|| format!("--http-port {port}"))?.serve());
    }
    let (snapshot, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let listener = Listener::bind(&config.api)?;
    let engine = Engine::start(&config, Outputs { snapshot, metrics: counters, ready })?;
    tracing::info!(api = %config.api.display(), channels = config.channels.len(), "sart-fibd runs");
    let (stop, stopped) = watch::channel(false);
    let api = FibServiceServer::new(Api::new(config, snapshots));
    let mut api_stop = stopped.clone();
    let server = tonic::transport::Server::builder().add_service(api).serve_with_incoming_shutdown(
        listener,
        async move {
            // An error means that the sender is gone, which is a stop too.
            let _gone = api_stop.wait_for(|stop| *stop).await;
        },
    );
    let server = tokio::spawn(server);
    let engine = tokio::spawn(engine.run(stopped));
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; the routes stay");
    stop.send_replace(true);
    engine.await.context("the engine ended badly")?;
    server.await.context("the API ended badly")?.context("the API failed")
}
