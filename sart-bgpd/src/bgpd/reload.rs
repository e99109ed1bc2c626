//! Reads the configuration file again, for SIGHUP and for the API. A file that is refused leaves the last good
//! configuration in force; must never apply half of one.

use std::path::PathBuf;

use sart_bgp::speaker::Applied;
use sart_telemetry::logs;

use super::file::{self, Overrides};
use super::metrics::Metrics;
use super::owner::{Handle, Stopped};

/// What is needed to read the file again; clones do the same.
#[derive(Clone, Debug)]
pub struct Reloader {
    file: PathBuf,
    overrides: Overrides,
    handle: Handle,
    metrics: Metrics,
    level: Option<String>,
}

/// Why the file is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It was refused; the sentence names file, line and field.
    #[error("{0}")]
    Refused(String),
    /// The speaker has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The command line's level, else the file's, else what suffices to see what happens.
#[must_use]
pub(super) fn effective_level<'a>(flag: Option<&'a str>, file: Option<&'a str>) -> &'a str {
    flag.or(file).unwrap_or("info")
}

impl Reloader {
    /// Reads `file` with what the command line says in place of it; `level` is its log level.
    #[must_use]
    pub fn new(
        file: PathBuf,
        (overrides, level): (Overrides, Option<String>),
        handle: Handle,
        metrics: Metrics,
    ) -> Self {
        Self { file, overrides, handle, metrics, level }
    }

    /// Makes the running configuration equal to the file's; what is unchanged is not touched.
    ///
    /// # Errors
    /// If the file is refused; then nothing has changed.
    pub async fn reload(&self) -> Result<Applied, ReloadError> {
        let loaded = match file::load(&self.file, self.overrides) {
            Ok(loaded) => loaded,
            Err(error) => return Err(self.refused(error.reason(), &error)),
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let config = loaded.config;
        let applied = self.handle.call(move |speaker, now| speaker.apply_config(config, now)).await?;
        let applied = applied.map_err(|error| self.refused(error.reason(), &error))?;
        self.metrics.reload("Applied");
        let level = effective_level(self.level.as_deref(), loaded.log_level.as_deref());
        if let Err(error) = logs::set_level(level) {
            tracing::warn!(%error, "the log level stays as it is");
        }
        tracing::info!(?applied, "applied the file again");
        Ok(applied)
    }

    fn refused(&self, reason: &'static str, error: &dyn std::error::Error) -> ReloadError {
        self.metrics.reload(reason);
        tracing::error!(%error, "the file was refused; the last good configuration stays in force");
        ReloadError::Refused(error.to_string())
    }
}
