//! The flags of `sart-fibd`. Data only.

use std::path::PathBuf;

use clap::Parser;
use sart_telemetry::LogFormat;

/// Writes the best paths of BGP speakers into kernel tables, and keeps them there.
#[derive(Clone, Debug, Parser)]
#[command(name = "sart-fibd", version)]
pub struct Args {
    /// Configuration file (YAML); without it both families go from the local speaker to table 254.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Unix socket of the API; replaces the file's `endpoint`.
    #[arg(short = 'e', long = "api", visible_alias = "endpoint", value_name = "SOCKET")]
    pub api: Option<String>,
    /// Log level: error, warn, info, debug, trace, or a filter such as info,sart_bgpd=debug.
    #[arg(short, long, default_value = "info")]
    pub level: String,
    /// Log format: plain or json.
    #[arg(short = 'd', long, default_value = "plain")]
    pub format: LogFormat,
    /// Append the log to this file instead of writing it to standard error.
    #[arg(short = 'o', long)]
    pub log_file: Option<PathBuf>,
    /// Serve /healthz, /readyz and /metrics on this port of 127.0.0.1.
    #[arg(long)]
    pub http_port: Option<u16>,
}
