//! What the agent runs with: a flag wins over the file, the file over the default. Checks everything before anything starts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::{Args, Mode};

/// Port of the health pages, as upstream's.
const HTTP_PORT: u16 = 8000;
/// kube-proxy's `--healthz-bind-address`, on this node.
const KUBE_PROXY_HEALTH: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10256);

/// Checked settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the node.
    pub node: String,
    /// Which half runs.
    pub mode: Mode,
    /// Port of the health pages.
    pub http_port: u16,
    /// Socket of the speaker.
    pub speaker: PathBuf,
    /// Pin folder.
    pub bpf_root: PathBuf,
    /// Named uplinks; empty looks for them.
    pub uplinks: Vec<String>,
    /// kube-proxy's health endpoint.
    pub kube_proxy_health: SocketAddr,
    /// Lock file.
    pub lock_file: PathBuf,
}

/// The file's keys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mode: Option<Mode>,
    http_port: Option<u16>,
    speaker: Option<String>,
    bpf_root: Option<PathBuf>,
    #[serde(default)]
    uplinks: Vec<String>,
    kube_proxy_health: Option<SocketAddr>,
    lock_file: Option<PathBuf>,
}

/// Why the agent cannot start with what it was given.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Nobody said which node this is.
    #[error("the node has no name: set NODE_NAME from spec.nodeName, or give --node-name")]
    NoNodeName,
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file makes no sense.
    #[error("{path} is not a configuration of sart-agent: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line and cause.
        message: String,
    },
    /// The speaker's endpoint makes no sense.
    #[error("speaker: {0}")]
    Speaker(#[from] sart_rpc::EndpointError),
}

impl Settings {
    /// Puts flags, file and environment together.
    pub fn resolve(args: Args, environment: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let file = args.file.as_deref().map(read).transpose()?.unwrap_or_default();
        let filled = |name| environment(name).filter(|value| !value.is_empty());
        let node = args.node_name.or_else(|| filled("NODE_NAME")).or_else(|| filled("HOSTNAME"));
        let speaker = args.speaker.or(file.speaker);
        Ok(Self {
            node: node.ok_or(SettingsError::NoNodeName)?,
            mode: args.mode.or(file.mode).unwrap_or_default(),
            http_port: args.http_port.or(file.http_port).unwrap_or(HTTP_PORT),
            speaker: sart_rpc::socket_path(speaker.as_deref().unwrap_or(sart_rpc::BGPD_SOCKET))?,
            bpf_root: args.bpf_root.or(file.bpf_root).unwrap_or_else(|| "/sys/fs/bpf/sart/v1".into()),
            uplinks: if args.uplinks.is_empty() { file.uplinks } else { args.uplinks },
            kube_proxy_health: args.kube_proxy_health.or(file.kube_proxy_health).unwrap_or(KUBE_PROXY_HEALTH),
            lock_file: args.lock_file.or(file.lock_file).unwrap_or_else(|| "/run/sart/agent.lock".into()),
        })
    }
}

fn read(path: &Path) -> Result<File, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    serde_saphyr::from_str(&text)
        .map_err(|error| SettingsError::Parse { path: path.to_owned(), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        (name == "HOSTNAME").then(|| "node7".to_owned())
    }

    fn with_file(text: &str, args: Args) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.yaml");
        std::fs::write(&path, text).unwrap();
        Settings::resolve(Args { file: Some(path), ..args }, environment)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let args = Args { http_port: Some(9000), ..Args::default() };
        let settings = with_file("http_port: 8100\nspeaker: /tmp/s.sock\n", args).unwrap();
        assert_eq!((settings.http_port, settings.speaker), (9000, "/tmp/s.sock".into()));
        assert_eq!(settings.bpf_root, Path::new("/sys/fs/bpf/sart/v1"));
        assert_eq!(settings.node, "node7");
    }

    #[test]
    fn bad_input_is_refused_by_name() {
        let unknown = with_file("htp_port: 1\n", Args::default()).unwrap_err().to_string();
        assert!(unknown.contains("htp_port") && unknown.contains("agent.yaml"), "{unknown}");
        let tcp = Args { speaker: Some("10.0.0.1:5000".into()), ..Args::default() };
        let tcp = Settings::resolve(tcp, environment).unwrap_err().to_string();
        assert!(tcp.contains("10.0.0.1:5000"), "{tcp}");
        let nameless = Settings::resolve(Args::default(), |_| None).unwrap_err();
        assert!(matches!(nameless, SettingsError::NoNodeName));
        let missing = Args { file: Some("/none/agent.yaml".into()), ..Args::default() };
        let missing = Settings::resolve(missing, environment).unwrap_err().to_string();
        assert!(missing.contains("/none/agent.yaml"), "{missing}");
    }

    #[test]
    fn the_command_line_knows_upstreams_flags_and_refuses_unknown_ones() {
        use clap::Parser;
        let args =
            Args::try_parse_from(["sart-agent", "-f", "x", "--mode", "dual", "--http-port=8001"]).unwrap();
        assert_eq!((args.mode, args.http_port), (Some(Mode::Dual), Some(8001)));
        assert!(Args::try_parse_from(["sart-agent", "--nope"]).unwrap_err().to_string().contains("--nope"));
    }
}
