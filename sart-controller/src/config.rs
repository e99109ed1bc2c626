//! Command line and configuration file of the controller. A flag that is given wins over the file; upstream's flags are kept.

use core::time::Duration;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use serde::Deserialize;

use crate::lease::state::Terms;

/// Which half of sart this cluster uses.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Virtual addresses of Services.
    Lb,
    /// Pod networking.
    Cni,
    /// Both.
    #[default]
    Dual,
}

/// The controller of sart: pools, virtual addresses, BGP topology, advertisements.
#[derive(Debug, Parser)]
#[command(name = "sart-controller", version)]
pub struct Args {
    /// Configuration file (YAML) with the keys of the long flags, in snake case.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Port of /healthz, /readyz and /metrics on 127.0.0.1. [default: 8080]
    #[arg(long)]
    pub http_port: Option<u16>,
    /// What the cluster uses. [default: dual]
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Namespace of the leader's Lease. [default: kube-system]
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: Option<String>,
    /// Name of this replica in the Lease; the process id is added. [default: sart-controller]
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
    /// Seconds after which a silent leader is replaced; at least 2. [default: 5]
    #[arg(long, value_name = "SECONDS")]
    pub lease_seconds: Option<u64>,
    /// Seconds for which a block of a lost node stays unused, after its Node is gone or carries the taint
    /// node.kubernetes.io/out-of-service. [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    pub lost_node_quarantine_seconds: Option<u64>,
}

/// What the file may say; unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileConfig {
    http_port: Option<u16>,
    mode: Option<Mode>,
    namespace: Option<String>,
    identity: Option<String>,
    lease_seconds: Option<u64>,
    lost_node_quarantine_seconds: Option<u64>,
}

/// Everything settled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Port on loopback.
    pub http_port: u16,
    /// What the cluster uses.
    pub mode: Mode,
    /// Namespace of the Lease.
    pub namespace: String,
    /// Unique name of this process.
    pub identity: String,
    /// Lease duration.
    pub lease_seconds: u64,
    /// How long a block of a lost node stays unused.
    pub quarantine: Duration,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no such configuration.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// Too short a lease.
    #[error("lease_seconds is {0}; give at least 2")]
    Lease(u64),
}

impl Config {
    /// Settles flags and file.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or a value is out of range.
    pub fn load(args: Args) -> Result<Self, ConfigError> {
        let file = args.file.as_deref().map_or_else(|| Ok(FileConfig::default()), read)?;
        let name = args.identity.or(file.identity).unwrap_or_else(|| "sart-controller".to_owned());
        let lease_seconds = args.lease_seconds.or(file.lease_seconds).unwrap_or(5);
        if lease_seconds < 2 {
            return Err(ConfigError::Lease(lease_seconds));
        }
        Ok(Self {
            http_port: args.http_port.or(file.http_port).unwrap_or(8080),
            mode: args.mode.or(file.mode).unwrap_or_default(),
            namespace: args.namespace.or(file.namespace).unwrap_or_else(|| "kube-system".to_owned()),
            // A restarted process is another candidate: it must not take an old process's lease for its own.
            identity: format!("{name}_{}", std::process::id()),
            lease_seconds,
            quarantine: Duration::from_secs(
                args.lost_node_quarantine_seconds.or(file.lost_node_quarantine_seconds).unwrap_or(3600),
            ),
        })
    }

    /// Durations of the election: a leader stops at three fifths, looks every fifth.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let lease = Duration::from_secs(self.lease_seconds);
        Terms { lease, renew: lease * 3 / 5, retry: lease / 5 }
    }
}

fn read(path: &Path) -> Result<FileConfig, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
    serde_saphyr::from_str(&text)
        .map_err(|error| ConfigError::Parse { path: path.to_path_buf(), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn load(text: &str, flags: &[&str]) -> Result<Config, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap();
        let args = [&["sart-controller", "-f", path], flags].concat();
        Config::load(Args::try_parse_from(args).unwrap())
    }

    #[test]
    fn a_flag_that_is_given_wins_over_the_file_and_one_that_is_not_does_not() {
        let config = load("http_port: 9000\nmode: lb\n", &["--http-port=9001"]).unwrap();
        assert_eq!((config.http_port, config.mode), (9001, Mode::Lb));
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        let error = load("http_prot: 1\n", &[]).unwrap_err().to_string();
        assert!(error.contains("http_prot"), "{error}");
        let error = load("mode: loud\n", &[]).unwrap_err().to_string();
        assert!(error.contains("loud"), "{error}");
        assert!(matches!(load("lease_seconds: 1\n", &[]), Err(ConfigError::Lease(1))));
        assert!(Args::try_parse_from(["sart-controller", "--nosuch"]).is_err());
    }
}
