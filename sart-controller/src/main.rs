//! Starts the controller: configuration, client, watches, election, engine, health. Ends on SIGTERM or SIGINT.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use sart_controller::config::{Args, Config};
use sart_controller::engine::{Inputs, Scope};
use sart_controller::health::Health;
use sart_controller::lease::{Campaign, Fence};
use sart_controller::write::Writer;
use sart_controller::{engine, health, watch};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch as shared};

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(config))
}

async fn run(config: Config) -> anyhow::Result<()> {
    let listener = health::listen(config.http_port).await.with_context(|| {
        format!("cannot listen on 127.0.0.1:{}; choose another --http-port", config.http_port)
    })?;
    let client = kube::Client::try_default()
        .await
        .context("no way to the API server: neither a service account nor a kubeconfig")?;
    let state = Arc::new(Health::default());
    tokio::spawn(health::serve(listener, Arc::clone(&state)));
    let (stop, stopped) = shared::channel(false);
    let (changes_in, changes) = mpsc::channel(4096);
    let (leading, leads) = shared::channel(false);
    let fence = Arc::new(Fence::default());
    let campaign = Campaign {
        client: client.clone(),
        namespace: config.namespace.clone(),
        identity: config.identity.clone(),
        terms: config.terms(),
        fence: Arc::clone(&fence),
        leading,
    };
    watch::spawn(&client, &changes_in);
    let campaign = tokio::spawn(campaign.run(stopped.clone()));
    let scope = Scope { mode: config.mode, quarantine: config.quarantine };
    let inputs = Inputs { changes, leading: leads, stop: stopped };
    let engine = tokio::spawn(engine::run(scope, Writer { client, fence }, state, inputs));
    terminated().await?;
    stop.send_replace(true);
    engine.await.context("the engine ended by a panic")?;
    campaign.await.context("the election ended by a panic")
}

async fn terminated() -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
