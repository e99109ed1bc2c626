//! The configuration file: upstream's keys, checked completely before anything starts. A refused file names its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use sart_rpc::{BGPD_SOCKET, EndpointError, FIBD_SOCKET, socket_path};
use serde::Deserialize;
use thiserror::Error;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Socket of our API.
    pub api: PathBuf,
    /// At least one.
    pub channels: Vec<ChannelConfig>,
    /// Prefixes never programmed, nor anything inside them.
    pub protected: Vec<IpNet>,
    /// Whether the default route may resolve a next hop.
    pub resolve_via_default: bool,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// Unique.
    pub name: String,
    /// Family of all its routes.
    pub family: Family,
    /// Where routes come from, in order of preference between equal distances.
    pub subscribers: Vec<Subscriber>,
    /// Kernel tables they go to.
    pub tables: Vec<u32>,
}

/// Address family of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `ipv4`.
    V4,
    /// `ipv6`.
    V6,
}

/// A source of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscriber {
    /// The best paths of the speaker behind a socket.
    Bgp(PathBuf),
    /// The routes that others wrote into kernel tables.
    Kernel(Vec<u32>),
}

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The YAML does not have the expected shape.
    #[error("{}: {message}", file.display())]
    Yaml {
        /// The file.
        file: PathBuf,
        /// Line, column and what is wrong there.
        message: String,
    },
    /// A value is wrong.
    #[error("{}: {field}: {problem}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// Path of the field.
        field: String,
        /// What is wrong, and with which value.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    endpoint: Option<String>,
    #[serde(default)]
    channels: Vec<RawChannel>,
    #[serde(default)]
    protected_prefixes: Vec<String>,
    #[serde(default)]
    resolve_via_default: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChannel {
    name: String,
    ip_version: String,
    #[serde(default)]
    subscribers: Vec<RawEnd>,
    #[serde(default)]
    publishers: Vec<RawEnd>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnd {
    protocol: String,
    endpoint: Option<String>,
    #[serde(default)]
    tables: Vec<u32>,
}

type Problem = (String, String);

impl ConfigError {
    /// Label for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            ConfigError::Read { .. } => "unreadable",
            ConfigError::Yaml { .. } => "yaml",
            ConfigError::Value { .. } => "value",
        }
    }
}

impl Default for Config {
    /// Both families from the local speaker to the main table.
    fn default() -> Self {
        let channel = |name: &str, family| ChannelConfig {
            name: name.to_owned(),
            family,
            subscribers: vec![Subscriber::Bgp(PathBuf::from(BGPD_SOCKET))],
            tables: vec![sart_fib::route::TABLE_MAIN],
        };
        Self {
            api: PathBuf::from(FIBD_SOCKET),
            channels: vec![channel("bgp-to-kernel", Family::V4), channel("bgp-to-kernel-ipv6", Family::V6)],
            protected: Vec::new(),
            resolve_via_default: false,
        }
    }
}

impl Config {
    /// Reads and checks a file.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Self::parse(file, &text)
    }

    /// Checks the text of a file; `file` is only named.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = serde_saphyr::from_str(text).map_err(|error| ConfigError::Yaml {
            file: file.to_owned(),
            message: first_line(&error.without_snippet().to_string()),
        })?;
        check(raw).map_err(|(field, problem)| ConfigError::Value { file: file.to_owned(), field, problem })
    }
}

impl Family {
    /// The word of the configuration and the API.
    pub fn word(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }

    /// True if a prefix is of this family.
    pub fn holds(self, prefix: &IpNet) -> bool {
        matches!((self, prefix), (Family::V4, IpNet::V4(_)) | (Family::V6, IpNet::V6(_)))
    }
}

fn check(raw: RawConfig) -> Result<Config, Problem> {
    if raw.channels.is_empty() {
        return Err(("channels".into(), "is empty, so no route would ever be written".into()));
    }
    let api = raw.endpoint.as_deref().map_or(Ok(PathBuf::from(FIBD_SOCKET)), socket_path);
    let api = api.map_err(|error| ("endpoint".to_owned(), error.to_string()))?;
    let mut names = BTreeSet::new();
    let mut channels = Vec::new();
    for (index, channel) in raw.channels.into_iter().enumerate() {
        let channel = check_channel(&format!("channels[{index}]"), channel)?;
        if !names.insert(channel.name.clone()) {
            let problem = format!("`{}` is the name of an earlier channel", channel.name);
            return Err((format!("channels[{index}].name"), problem));
        }
        channels.push(channel);
    }
    let prefix = |(index, text): (usize, &String)| {
        text.parse::<IpNet>().map_err(|error| {
            (format!("protected_prefixes[{index}]"), format!("`{text}` is not a prefix: {error}"))
        })
    };
    let protected = raw.protected_prefixes.iter().enumerate().map(prefix).collect::<Result<_, _>>()?;
    Ok(Config { api, channels, protected, resolve_via_default: raw.resolve_via_default })
}

fn check_channel(at: &str, raw: RawChannel) -> Result<ChannelConfig, Problem> {
    let wrong = |field: &str, problem: String| Err((format!("{at}.{field}"), problem));
    let family = match raw.ip_version.as_str() {
        "ipv4" => Family::V4,
        "ipv6" => Family::V6,
        other => return wrong("ip_version", format!("`{other}` is neither ipv4 nor ipv6")),
    };
    if raw.subscribers.is_empty() || raw.publishers.is_empty() {
        let field = if raw.subscribers.is_empty() { "subscribers" } else { "publishers" };
        return wrong(field, "is empty: a channel needs both ends".into());
    }
    let mut subscribers = Vec::new();
    for (index, end) in raw.subscribers.iter().enumerate() {
        subscribers.push(check_subscriber(&format!("{at}.subscribers[{index}]"), end)?);
    }
    let mut tables = Vec::new();
    for (index, end) in raw.publishers.iter().enumerate() {
        let at = format!("{at}.publishers[{index}]");
        if end.protocol != "kernel" {
            let problem = format!("`{}` is not kernel, the only publisher there is", end.protocol);
            return Err((format!("{at}.protocol"), problem));
        }
        tables.extend(check_tables(&at, end)?);
    }
    tables.sort_unstable();
    tables.dedup();
    if tables.contains(&sart_fib::route::TABLE_LOCAL) {
        return wrong("publishers", "table 255 holds the node's own addresses and is never written".into());
    }
    Ok(ChannelConfig { name: raw.name, family, subscribers, tables })
}

fn check_subscriber(at: &str, end: &RawEnd) -> Result<Subscriber, Problem> {
    match end.protocol.as_str() {
        "kernel" => check_tables(at, end).map(Subscriber::Kernel),
        "bgp" if !end.tables.is_empty() => {
            Err((format!("{at}.tables"), "belongs to kernel, not to bgp".to_owned()))
        }
        "bgp" => speaker_socket(end.endpoint.as_deref())
            .map(Subscriber::Bgp)
            .map_err(|error| (format!("{at}.endpoint"), error.to_string())),
        other => Err((format!("{at}.protocol"), format!("`{other}` is neither bgp nor kernel"))),
    }
}

/// Upstream's `bgp` subscriber waited on 127.0.0.1:5010 for its speaker to call; ours calls the speaker.
fn speaker_socket(endpoint: Option<&str>) -> Result<PathBuf, EndpointError> {
    match endpoint {
        None | Some("127.0.0.1:5010" | "localhost:5010") => Ok(PathBuf::from(BGPD_SOCKET)),
        Some(endpoint) => socket_path(endpoint),
    }
}

fn check_tables(at: &str, end: &RawEnd) -> Result<Vec<u32>, Problem> {
    if end.endpoint.is_some() {
        return Err((format!("{at}.endpoint"), "belongs to bgp, not to kernel".into()));
    }
    if end.tables.is_empty() || end.tables.contains(&0) {
        return Err((format!("{at}.tables"), "must name tables, 1 to 4294967295 (254 is main)".into()));
    }
    Ok(end.tables.clone())
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
