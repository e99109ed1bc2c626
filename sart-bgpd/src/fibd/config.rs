//! The configuration file: upstream's keys, checked completely before anything starts. A refused file names its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use sart_rpc::{BGPD_SOCKET, FIBD_SOCKET, socket_path};
use serde::Deserialize;
use serde_saphyr::Spanned;
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
    /// The YAML does not have the expected shape, or a value is wrong.
    #[error("{}:{line}: {problem}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The field and what is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    endpoint: Option<Spanned<String>>,
    #[serde(default)]
    channels: Vec<RawChannel>,
    #[serde(default)]
    protected_prefixes: Vec<Spanned<String>>,
    #[serde(default)]
    resolve_via_default: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChannel {
    name: Spanned<String>,
    ip_version: Spanned<String>,
    #[serde(default)]
    subscribers: Vec<RawEnd>,
    #[serde(default)]
    publishers: Vec<RawEnd>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnd {
    protocol: Spanned<String>,
    endpoint: Option<Spanned<String>>,
    #[serde(default)]
    tables: Vec<u32>,
}

/// A fault before it is known which file it is in.
#[derive(Debug)]
struct Fault {
    line: u64,
    field: String,
    problem: String,
}

impl ConfigError {
    /// Label for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            ConfigError::Read { .. } => "unreadable",
            ConfigError::Content { .. } => "content",
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
        let content = |line, problem| ConfigError::Content { file: file.to_owned(), line, problem };
        let options = serde_saphyr::options! { with_snippet: false };
        let raw: RawConfig = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(1, |at| at.line());
            content(line, error.to_string().lines().next().unwrap_or_default().trim().to_owned())
        })?;
        check(raw).map_err(|fault| content(fault.line, format!("{}: {}", fault.field, fault.problem)))
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

/// A fault in, or beside, a value of the file.
fn fault<T>(beside: &Spanned<T>, field: impl Into<String>, problem: impl Into<String>) -> Fault {
    Fault { line: beside.referenced.line(), field: field.into(), problem: problem.into() }
}

fn check(raw: RawConfig) -> Result<Config, Fault> {
    if raw.channels.is_empty() {
        let problem = "is empty, so no route would ever be written".to_owned();
        return Err(Fault { line: 1, field: "channels".into(), problem });
    }
    let api = match &raw.endpoint {
        None => PathBuf::from(FIBD_SOCKET),
        Some(text) => socket_path(&text.value).map_err(|error| fault(text, "endpoint", error.to_string()))?,
    };
    let mut names = BTreeSet::new();
    let mut channels = Vec::new();
    for (index, channel) in raw.channels.iter().enumerate() {
        if !names.insert(&channel.name.value) {
            let problem = format!("`{}` is the name of an earlier channel", channel.name.value);
            return Err(fault(&channel.name, format!("channels[{index}].name"), problem));
        }
        channels.push(check_channel(&format!("channels[{index}]"), channel)?);
    }
    let prefix = |(index, text): (usize, &Spanned<String>)| {
        text.value.parse::<IpNet>().map_err(|error| {
            let problem = format!("`{}` is not a prefix: {error}", text.value);
            fault(text, format!("protected_prefixes[{index}]"), problem)
        })
    };
    let protected = raw.protected_prefixes.iter().enumerate().map(prefix).collect::<Result<_, _>>()?;
    Ok(Config { api, channels, protected, resolve_via_default: raw.resolve_via_default })
}

fn check_channel(at: &str, raw: &RawChannel) -> Result<ChannelConfig, Fault> {
    let family = match raw.ip_version.value.as_str() {
        "ipv4" => Family::V4,
        "ipv6" => Family::V6,
        other => {
            let problem = format!("`{other}` is neither ipv4 nor ipv6");
            return Err(fault(&raw.ip_version, format!("{at}.ip_version"), problem));
        }
    };
    if raw.subscribers.is_empty() || raw.publishers.is_empty() {
        let field = if raw.subscribers.is_empty() { "subscribers" } else { "publishers" };
        return Err(fault(&raw.name, format!("{at}.{field}"), "is empty: a channel needs both ends"));
    }
    let mut subscribers = Vec::new();
    for (index, end) in raw.subscribers.iter().enumerate() {
        subscribers.push(check_subscriber(&format!("{at}.subscribers[{index}]"), end)?);
    }
    let mut tables = Vec::new();
    for (index, end) in raw.publishers.iter().enumerate() {
        tables.extend(check_publisher(&format!("{at}.publishers[{index}]"), end)?);
    }
    tables.sort_unstable();
    tables.dedup();
    Ok(ChannelConfig { name: raw.name.value.clone(), family, subscribers, tables })
}

fn check_publisher(at: &str, end: &RawEnd) -> Result<Vec<u32>, Fault> {
    if end.protocol.value != "kernel" {
        let problem = format!("`{}` is not kernel, the only publisher there is", end.protocol.value);
        return Err(fault(&end.protocol, format!("{at}.protocol"), problem));
    }
    let tables = check_tables(at, end)?;
    if tables.contains(&sart_fib::route::TABLE_LOCAL) {
        let problem = "table 255 holds the node's own addresses and is never written";
        return Err(fault(&end.protocol, format!("{at}.tables"), problem));
    }
    Ok(tables)
}

fn check_subscriber(at: &str, end: &RawEnd) -> Result<Subscriber, Fault> {
    match end.protocol.value.as_str() {
        "kernel" => check_tables(at, end).map(Subscriber::Kernel),
        "bgp" if !end.tables.is_empty() => {
            Err(fault(&end.protocol, format!("{at}.tables"), "belongs to kernel, not to bgp"))
        }
        "bgp" => speaker_socket(at, end.endpoint.as_ref()).map(Subscriber::Bgp),
        other => {
            let problem = format!("`{other}` is neither bgp nor kernel");
            Err(fault(&end.protocol, format!("{at}.protocol"), problem))
        }
    }
}

/// Upstream's `bgp` subscriber waited on 127.0.0.1:5010 for its speaker to call; ours calls the speaker.
fn speaker_socket(at: &str, endpoint: Option<&Spanned<String>>) -> Result<PathBuf, Fault> {
    let Some(endpoint) = endpoint else { return Ok(PathBuf::from(BGPD_SOCKET)) };
    match endpoint.value.as_str() {
        "127.0.0.1:5010" | "localhost:5010" => Ok(PathBuf::from(BGPD_SOCKET)),
        text => {
            socket_path(text).map_err(|error| fault(endpoint, format!("{at}.endpoint"), error.to_string()))
        }
    }
}

fn check_tables(at: &str, end: &RawEnd) -> Result<Vec<u32>, Fault> {
    if let Some(endpoint) = &end.endpoint {
        return Err(fault(endpoint, format!("{at}.endpoint"), "belongs to bgp, not to kernel"));
    }
    if end.tables.is_empty() || end.tables.contains(&0) {
        let problem = "must name tables, 1 to 4294967295 (254 is main)";
        return Err(fault(&end.protocol, format!("{at}.tables"), problem));
    }
    Ok(end.tables.clone())
}

#[cfg(test)]
mod tests;
