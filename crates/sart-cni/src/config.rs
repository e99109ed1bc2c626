//! The network configuration on standard input. Tolerates what it does not know (specification, section 1), refuses what
//! it would have to ignore although it was asked for.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::environment::{Verb, is_identifier};
use crate::failure::{Failure, code};
use crate::key::AttachmentKey;
use crate::result::Dns;
use crate::version::Version;

/// Where the agent serves.
pub const SOCKET: &str = "/run/sart/cni.sock";
/// Where the agent and we keep what must survive a crash.
pub const STATE: &str = "/var/lib/sart/cni";
/// Kubelet gives a sandbox 4 minutes; an answer must come well before.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `cniVersion`.
    pub version: Version,
    /// `name`.
    pub name: String,
    /// Socket of the agent (`endpoint`).
    pub socket: PathBuf,
    /// `stateDir`.
    pub state: PathBuf,
    /// How long the agent may take (`timeout`, in seconds).
    pub timeout: Duration,
    /// `mtu`; the uplink's if absent.
    pub mtu: Option<u32>,
    /// `dns`, handed through.
    pub dns: Option<Dns>,
    /// `runtimeConfig.mac`.
    pub mac: Option<String>,
    /// A later plugin limits the pod's rates: `runtimeConfig.bandwidth`, or `shaped` where that plugin has fixed ones.
    pub shaped: bool,
    /// `prevResult` as it came.
    pub previous: Option<Value>,
    /// GC: `cni.dev/valid-attachments` and the older `cni.dev/attachments`, joined; none if neither is there.
    pub valid: Option<Vec<AttachmentKey>>,
}

/// Reads the version alone, for the error documents of everything else.
#[must_use]
pub fn version_of(input: &[u8]) -> &'static str {
    let value: Option<Value> = serde_json::from_slice(input).ok();
    let text = value.as_ref().and_then(|value| value.get("cniVersion")).and_then(Value::as_str);
    Version::parse(text).unwrap_or(Version::NEWEST).text()
}

/// Reads and checks.
///
/// # Errors
/// Code 6 for what is no JSON object, 7 for wrong values, 1 for a version we do not speak.
pub fn parse(input: &[u8], verb: Verb) -> Result<Config, Failure> {
    let value: Value = serde_json::from_slice(input).map_err(|error| {
        Failure::detailed(code::DECODE, "the network configuration is not JSON", error.to_string())
    })?;
    if !value.is_object() {
        return Err(Failure::new(code::DECODE, "the network configuration is not a JSON object"));
    }
    let version = Version::parse(text(&value, "cniVersion")?)?;
    let name = text(&value, "name")?.unwrap_or_default().to_owned();
    if !is_identifier(&name) {
        return Err(wrong(
            "name",
            &name,
            "must begin with a letter or digit and hold only those, `_`, `.`, `-`",
        ));
    }
    let runtime = value.get("runtimeConfig").unwrap_or(&Value::Null);
    if runtime.get("ips").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty()) {
        return Err(wrong("runtimeConfig.ips", "", "is not served: addresses come from the pod's pool"));
    }
    let previous = value.get("prevResult").filter(|previous| !previous.is_null()).cloned();
    if verb == Verb::Add && previous.is_some() {
        return Err(wrong("prevResult", "", "must be absent: sart-cni is the first plugin of its chain"));
    }
    let dns = value.get("dns").or_else(|| value.pointer("/ipam/dns")).filter(|dns| !dns.is_null());
    Ok(Config {
        version,
        socket: socket(text(&value, "endpoint")?)?,
        state: folder(text(&value, "stateDir")?)?,
        timeout: number(&value, "timeout")?
            .map_or(TIMEOUT, |seconds| Duration::from_secs(seconds.clamp(1, 220))),
        mtu: mtu(&value)?,
        dns: dns.map(|dns| decode(dns, "dns")).transpose()?,
        mac: text(runtime, "mac")?.filter(|mac| !mac.is_empty()).map(str::to_owned),
        shaped: flag(&value, "shaped")? || is_limited(runtime),
        previous,
        valid: valid(&value, &name)?,
        name,
    })
}

/// What the bandwidth plugin acts on; zeros are none.
fn is_limited(runtime: &Value) -> bool {
    let rate = |name| runtime.get("bandwidth").and_then(|limits| limits.get(name)).and_then(Value::as_u64);
    ["ingressRate", "egressRate"].into_iter().any(|name| rate(name).is_some_and(|rate| rate > 0))
}

fn mtu(value: &Value) -> Result<Option<u32>, Failure> {
    match number(value, "mtu")? {
        None | Some(0) => Ok(None),
        // 1280 is what IPv6 asks of every link (RFC 8200, section 5).
        Some(mtu @ 1280..=65535) => Ok(u32::try_from(mtu).ok()),
        Some(mtu) => Err(wrong("mtu", &mtu.to_string(), "must be 1280 to 65535")),
    }
}

/// Upstream's endpoints are loopback ports; they mean the node's socket.
fn socket(endpoint: Option<&str>) -> Result<PathBuf, Failure> {
    let Some(text) = endpoint.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(SOCKET.into());
    };
    let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")).unwrap_or(text);
    if path.starts_with('/') {
        return Ok(path.into());
    }
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    if matches!(address, "localhost:6000" | "127.0.0.1:6000" | "[::1]:6000") {
        return Ok(SOCKET.into());
    }
    Err(wrong("endpoint", text, "must be a Unix socket, or http://localhost:6000 for the default one"))
}

fn folder(state: Option<&str>) -> Result<PathBuf, Failure> {
    match state {
        None | Some("") => Ok(STATE.into()),
        Some(path) if path.starts_with('/') => Ok(path.into()),
        Some(path) => Err(wrong("stateDir", path, "must be an absolute path")),
    }
}

/// libcni 1.1 sends both keys; missing differs from empty (specification, section 2, "GC").
fn valid(value: &Value, network: &str) -> Result<Option<Vec<AttachmentKey>>, Failure> {
    let mut keys = None;
    for name in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        let Some(list) = value.get(name).filter(|list| !list.is_null()) else { continue };
        let list: Vec<Attachment> = decode(list, name)?;
        let list = list.into_iter().map(|item| AttachmentKey {
            network: network.to_owned(),
            container: item.container,
            ifname: item.ifname,
        });
        keys.get_or_insert_with(Vec::new).extend(list);
    }
    Ok(keys)
}

#[derive(serde::Deserialize)]
struct Attachment {
    #[serde(rename = "containerID")]
    container: String,
    ifname: String,
}

fn decode<T: serde::de::DeserializeOwned>(value: &Value, name: &str) -> Result<T, Failure> {
    T::deserialize(value).map_err(|error| {
        Failure::detailed(code::INVALID_CONFIG, format!("`{name}` has another shape"), error.to_string())
    })
}

fn text<'a>(value: &'a Value, name: &str) -> Result<Option<&'a str>, Failure> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(name, &other.to_string(), "must be a string")),
    }
}

fn flag(value: &Value, name: &str) -> Result<bool, Failure> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(wrong(name, &other.to_string(), "must be true or false")),
    }
}

fn number(value: &Value, name: &str) -> Result<Option<u64>, Failure> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(number) => number
            .as_u64()
            .map(Some)
            .ok_or_else(|| wrong(name, &number.to_string(), "must be a whole number, not negative")),
    }
}

fn wrong(name: &str, value: &str, must: &str) -> Failure {
    let shown = if value.is_empty() { String::new() } else { format!(" `{value}`") };
    Failure::new(code::INVALID_CONFIG, format!("network configuration: {name}{shown} {must}"))
}
