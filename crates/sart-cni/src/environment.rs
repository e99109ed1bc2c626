//! What the runtime says in environment variables (CNI specification 1.1.0, section 2, "Parameters"). Checks all of them
//! before anything happens.

use std::collections::BTreeMap;

use crate::failure::{Failure, code};

/// A verb that has work to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// Attach.
    Add,
    /// Detach.
    Del,
    /// Compare.
    Check,
    /// Remove what no runtime knows.
    Gc,
    /// Whether ADD would work.
    Status,
}

/// The checked variables; what a verb does not need is empty unless given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `CNI_COMMAND`.
    pub verb: Verb,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_NETNS`; empty is allowed for DEL.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub arguments: BTreeMap<String, String>,
    /// `CNI_NETNS_OVERRIDE`: the plugin's own namespace is meant.
    pub own_netns_allowed: bool,
}

/// What `CNI_COMMAND` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: a person started us.
    About,
    /// The versions.
    Version,
    /// Work.
    Work(Box<Environment>),
}

type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads and checks.
///
/// # Errors
/// Code 4, naming every variable that is missing.
pub fn read(get: Get<'_>) -> Result<Asked, Failure> {
    let verb = match get("CNI_COMMAND").as_deref() {
        None | Some("") => return Ok(Asked::About),
        Some("VERSION") => return Ok(Asked::Version),
        Some("ADD") => Verb::Add,
        Some("DEL") => Verb::Del,
        Some("CHECK") => Verb::Check,
        Some("GC") => Verb::Gc,
        Some("STATUS") => Verb::Status,
        Some(other) => return Err(wrong(format!("unknown CNI_COMMAND `{other}`"))),
    };
    let value = |name: &str| get(name).unwrap_or_default();
    let missing: Vec<_> = needed(verb).iter().filter(|name| value(name).is_empty()).copied().collect();
    if !missing.is_empty() {
        let details = format!("{} needs {}", value("CNI_COMMAND"), needed(verb).join(", "));
        let msg = format!("missing environment variables: {}", missing.join(", "));
        return Err(Failure::detailed(code::INVALID_ENVIRONMENT, msg, details));
    }
    let environment = Environment {
        verb,
        container: value("CNI_CONTAINERID"),
        netns: value("CNI_NETNS"),
        ifname: value("CNI_IFNAME"),
        arguments: arguments(&value("CNI_ARGS"))?,
        own_netns_allowed: matches!(value("CNI_NETNS_OVERRIDE").to_ascii_uppercase().as_str(), "1" | "TRUE"),
    };
    if !matches!(verb, Verb::Gc | Verb::Status) {
        checked(&environment)?;
    }
    Ok(Asked::Work(Box::new(environment)))
}

/// `CNI_PATH` is for plugins that call others; we call none.
const fn needed(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Add | Verb::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
        Verb::Del => &["CNI_CONTAINERID", "CNI_IFNAME"],
        Verb::Gc | Verb::Status => &[],
    }
}

fn checked(environment: &Environment) -> Result<(), Failure> {
    if !is_identifier(&environment.container) {
        return Err(wrong(format!("CNI_CONTAINERID `{}` is no identifier", environment.container)));
    }
    if !is_interface_name(&environment.ifname) {
        return Err(wrong(format!("CNI_IFNAME `{}` is no interface name", environment.ifname)));
    }
    Ok(())
}

/// Specification, section 2: a letter or digit, then letters, digits, `_`, `.`, `-`.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    let rest = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && text.as_bytes().iter().all(rest)
}

/// What the kernel takes (`dev_valid_name`), and libcni's rule against `:`.
fn is_interface_name(text: &str) -> bool {
    let bad = |byte: &u8| byte.is_ascii_whitespace() || b"/:\x0b".contains(byte);
    (1..=15).contains(&text.len()) && text != "." && text != ".." && !text.as_bytes().iter().any(bad)
}

/// `K=V;K=V`. Unknown keys never hurt here, so that `IgnoreUnknown` is honoured whatever it says.
fn arguments(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let pairs = text.split(';').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(wrong(format!("CNI_ARGS: `{pair}` is not KEY=VALUE"))),
        })
        .collect()
}

fn wrong(msg: String) -> Failure {
    Failure::new(code::INVALID_ENVIRONMENT, msg)
}
