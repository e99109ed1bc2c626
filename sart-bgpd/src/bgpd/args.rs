//! The flags of `sart-bgpd`. Data only.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Parser;
use sart_rpc::BGPD_SOCKET;
use sart_telemetry::LogFormat;

use super::leave::OnTerm;

/// BGP speaker with a gRPC API on a Unix socket. Without --file (or --as and --router-id) it waits to be configured over
/// that API.
#[derive(Clone, Debug, Parser)]
#[command(name = "sart-bgpd", version)]
pub struct Args {
    /// Configuration file (YAML); SIGHUP reads it again.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Own AS number; replaces the file's.
    #[arg(short, long = "as", value_name = "ASN")]
    pub asn: Option<u32>,
    /// Own router id; replaces the file's.
    #[arg(short, long)]
    pub router_id: Option<Ipv4Addr>,
    /// Log level: error, warn, info, debug, trace, or a filter such as info,sart_bgpd=debug; replaces the file's. info if neither
    /// says one.
    #[arg(short, long)]
    pub level: Option<String>,
    /// Log format: plain or json.
    #[arg(short = 'd', long, default_value = "plain")]
    pub format: LogFormat,
    /// Append the log to this file instead of writing it to standard error.
    #[arg(short = 'o', long)]
    pub log_file: Option<PathBuf>,
    /// Unix socket of the API.
    #[arg(long, default_value = BGPD_SOCKET)]
    pub api: String,
    /// Address to accept neighbors on; may be repeated.
    #[arg(long, default_values = ["0.0.0.0", "::"])]
    pub listen: Vec<IpAddr>,
    /// Address to dial from, at most one of each family; the kernel chooses otherwise.
    #[arg(long)]
    pub source: Vec<IpAddr>,
    /// TTL (hop limit) of outgoing packets; 1 keeps sessions on the link. The system's default otherwise.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: Option<u8>,
    /// Serve /healthz, /readyz and /metrics on this port of 127.0.0.1.
    #[arg(long)]
    pub http_port: Option<u16>,
    /// What SIGTERM means to the neighbors.
    #[arg(long, value_enum, default_value_t)]
    pub on_term: OnTerm,
    /// With --on-term decommission: seconds between the request to use other routes and the end of the sessions.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(..=3600))]
    pub drain_time: u16,
    /// Write everything that the speaker is fed to this file, as JSON lines; keys are left out. A file of that name is kept
    /// as FILE.old.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Feed a recording to a speaker without sockets, print what it would do, compare that with what was recorded, and end.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "asn", "record"])]
    pub replay: Option<PathBuf>,
    /// Accepted for upstream's command lines and ignored.
    #[arg(long, hide = true)]
    pub fib: Option<String>,
    /// Accepted for upstream's command lines and ignored.
    #[arg(long, hide = true)]
    pub table_id: Option<u32>,
    /// Accepted for upstream's command lines and ignored.
    #[arg(long, hide = true)]
    pub exporter: Option<String>,
}

impl Args {
    /// One sentence for each flag that was given and does nothing any more.
    #[must_use]
    pub fn ignored(&self) -> Vec<String> {
        let mut ignored = Vec::new();
        if self.fib.is_some() {
            ignored.push(format!("--fib is ignored: {FIB_REPLACED}"));
        }
        if self.table_id.is_some() {
            ignored.push(format!("--table-id is ignored: {FIB_REPLACED}"));
        }
        if self.exporter.is_some() {
            ignored.push(format!("--exporter is ignored: {EXPORTER_REPLACED}"));
        }
        ignored
    }
}

/// What replaced pushing routes to a route manager.
pub(crate) const FIB_REPLACED: &str =
    "sart-fibd reads the best paths from this speaker's API; configure the table in its channels";
/// What replaced pushing states to an exporter endpoint.
pub(crate) const EXPORTER_REPLACED: &str = "watch the neighbors over this speaker's API instead";
