//! The frames between plugin and agent: a length in four little-endian bytes, then JSON. Descriptors travel with the first
//! byte. A length is never trusted with memory.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::environment::Verb;
use crate::failure::Failure;
use crate::key::AttachmentKey;
use crate::result::Attached;

/// Longest frame: a GC that names every attachment of a node is far shorter.
pub const LIMIT: usize = 4 << 20;

/// What the plugin asks. With ADD travel two descriptors, the container's network namespace and a route netlink socket
/// made in it; with CHECK the same two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The verb.
    pub verb: Verb,
    /// Network, container, interface; the latter two are empty for GC and STATUS.
    pub key: AttachmentKey,
    /// `CNI_NETNS` as it came.
    #[serde(default)]
    pub netns: String,
    /// `CNI_ARGS`.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// MTU asked for by the configuration.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// MAC asked for by the runtime.
    #[serde(default)]
    pub mac: Option<String>,
    /// A later plugin limits the pod's rates.
    #[serde(default)]
    pub shaped: bool,
    /// For CHECK.
    #[serde(default)]
    pub previous: Option<Value>,
    /// For GC.
    #[serde(default)]
    pub valid: Option<Vec<AttachmentKey>>,
    /// Milliseconds the plugin will wait from now on.
    pub patience_ms: u64,
}

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// ADD.
    Attached(Attached),
    /// Every other verb.
    Done,
    /// The verb failed.
    Failed(Failure),
}

/// The bytes of a frame.
///
/// # Errors
/// The message is longer than [`LIMIT`] or cannot be written as JSON.
pub fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - 4;
    if length > LIMIT {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too long for one frame"));
    }
    bytes[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    Ok(bytes)
}

/// Length of the frame that begins with `head`.
///
/// # Errors
/// It is longer than [`LIMIT`].
pub fn length(head: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(head) as usize;
    if length > LIMIT {
        let text = format!("a frame of {length} bytes is longer than {LIMIT}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(length)
}

/// Reads the rest of a frame of `length` bytes; memory grows with what arrives.
///
/// # Errors
/// It is cut short or of another shape.
pub fn body<T: DeserializeOwned>(from: &mut impl Read, length: usize) -> io::Result<T> {
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

/// Reads a whole frame.
///
/// # Errors
/// See [`length`] and [`body`].
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut head = [0; 4];
    from.read_exact(&mut head)?;
    let length = length(head)?;
    body(from, length)
}

/// Writes a frame.
///
/// # Errors
/// See [`frame`].
pub fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&frame(message)?)
}
