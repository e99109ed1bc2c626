//! How a node's BGP speaker is reached and set up; shared by ClusterBGP, NodeBGP and BGPPeer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Seconds an agent keeps trying to reach its speaker when the resource does not say.
pub const DEFAULT_TIMEOUT_SECONDS: u64 = 10;

/// The speaker of a node.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerConfig {
    /// Where the speaker listens. `127.0.0.1:5000` means the Unix socket `/run/sart/bgpd.sock`.
    #[schemars(length(min = 1, max = 253))]
    pub path: String,
    /// Seconds to keep retrying the connection before the node counts as unavailable.
    #[serde(default = "default_timeout", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout: Option<u64>,
    /// Install every equally good path instead of one; unset leaves the speaker as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipath: Option<bool>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde's default needs the type of the field")]
fn default_timeout() -> Option<u64> {
    Some(DEFAULT_TIMEOUT_SECONDS)
}
