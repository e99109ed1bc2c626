//! How the speaker leaves its neighbours: for good, or to come back. Only the order of steps; must never leave one half done.

use std::time::Duration;

use clap::ValueEnum;
use sart_bgp::config::ConfigError;

use super::owner::{Handle, Stopped};

/// What SIGTERM means to the neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnTerm {
    /// Cease/Administrative Shutdown at once: they drop our routes.
    #[default]
    Shutdown,
    /// Close without a NOTIFICATION: we come back, and neighbours that know graceful restart keep our routes.
    Restart,
    /// Ask for other routes (GRACEFUL_SHUTDOWN, RFC 8326), wait, then Cease/Administrative Shutdown.
    Decommission,
}

/// The last word to every neighbour when the daemon ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Cease/Administrative Shutdown with this text, which may be empty.
    Shutdown(String),
    /// None: the connections are closed.
    Restart,
}

/// Makes ready for the end that SIGTERM asks for, and says how to end.
pub async fn prepare(on_term: OnTerm, drain_time: Duration, handle: &Handle) -> Farewell {
    match on_term {
        OnTerm::Shutdown => Farewell::Shutdown(String::new()),
        OnTerm::Restart => Farewell::Restart,
        OnTerm::Decommission => {
            // Without a configuration there is nobody to ask.
            if let Ok(Ok(())) = drain(handle).await {
                tokio::time::sleep(drain_time).await;
            }
            Farewell::Shutdown(String::from("decommissioned"))
        }
    }
}

async fn drain(handle: &Handle) -> Result<Result<(), ConfigError>, Stopped> {
    let drained = handle.call(|speaker, now| speaker.drain(true, now)).await?;
    if drained.is_ok() {
        tracing::info!("asked the neighbors to use other routes");
    }
    Ok(drained)
}

/// Asks every neighbour to use other routes, waits, then ends every session with `text`.
///
/// # Errors
/// The outer one if the speaker is gone, the inner one if it has no configuration.
pub async fn decommission(
    handle: Handle,
    text: String,
    wait: Duration,
) -> Result<Result<(), ConfigError>, Stopped> {
    if let Err(error) = drain(&handle).await? {
        return Ok(Err(error));
    }
    tokio::time::sleep(wait).await;
    handle.call(move |speaker, now| speaker.shutdown(&text, now)).await?;
    tracing::info!("ended every session for good");
    Ok(Ok(()))
}
