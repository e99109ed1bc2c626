//! The command line. Only names and help; nothing here has an effect.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use sart_telemetry::{LogFormat, LogOptions};
use serde::Deserialize;

use crate::cni::install;

/// Which half of sart runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Load-balancer addresses.
    #[default]
    Lb,
    /// Pod network.
    Cni,
    /// Both.
    Dual,
}

/// Node agent of sart: announces this node's load-balancer addresses and programs its kernel.
#[derive(Debug, Default, Parser)]
#[command(name = "sart-agent", version, about, args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Something else than running
    #[command(subcommand)]
    pub command: Option<Command>,
    /// YAML file with the keys mode, http_port, speaker, bpf_root, uplinks, kube_proxy_health, lock_file; flags win over it
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    /// Name of this node [default: $NODE_NAME, else $HOSTNAME]
    #[arg(long)]
    pub node_name: Option<String>,
    /// Which half of sart runs [default: lb]
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Port of /healthz, /readyz and /metrics [default: 8000]
    #[arg(long)]
    pub http_port: Option<u16>,
    /// Endpoint of the speaker: a Unix socket, or upstream's 127.0.0.1:5000 for the default one [default: /run/sart/bgpd.sock]
    #[arg(long)]
    pub speaker: Option<String>,
    /// Folder on a bpffs for pinned maps, programs and links [default: /sys/fs/bpf/sart/v1]
    #[arg(long)]
    pub bpf_root: Option<PathBuf>,
    /// Link towards the routers; repeat for more [default: the links over which the BGP peers are reached]
    #[arg(long = "uplink", value_name = "INTERFACE")]
    pub uplinks: Vec<String>,
    /// Address of kube-proxy's health endpoint [default: 127.0.0.1:10256]
    #[arg(long)]
    pub kube_proxy_health: Option<SocketAddr>,
    /// File that lets only one agent of a node run [default: /run/sart/agent.lock]
    #[arg(long)]
    pub lock_file: Option<PathBuf>,
    /// Log level or filter, such as `info` or `info,sart_agent=debug`
    #[arg(long, default_value = "info")]
    pub log_level: String,
    /// Write log lines as JSON
    #[arg(long)]
    pub log_json: bool,
}

/// What the agent's binary does besides running.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Take the CNI plugin and its configuration off this node: the configuration first, nobody else's file
    UninstallCni(UninstallArgs),
}

/// Where the plugin was put.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct UninstallArgs {
    /// The runtime's folder of plugins
    #[arg(long, default_value = install::BINARIES)]
    pub binaries: PathBuf,
    /// The runtime's folder of configurations
    #[arg(long, default_value = install::CONFIGURATIONS)]
    pub configurations: PathBuf,
}

impl Args {
    /// How to log.
    pub fn log_options(&self) -> LogOptions {
        let format = if self.log_json { LogFormat::Json } else { LogFormat::default() };
        LogOptions { level: self.log_level.clone(), format, ..LogOptions::default() }
    }
}
