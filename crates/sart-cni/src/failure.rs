//! Errors as the runtime reads them: a number, a sentence, details (CNI specification 1.1.0, section 5, "Error").

use serde::{Deserialize, Serialize};

/// An error of any verb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{msg} (code {code}){}{details}", if details.is_empty() { "" } else { ": " })]
pub struct Failure {
    /// One of [`code`].
    pub code: u32,
    /// What went wrong, short.
    pub msg: String,
    /// Numbers, names and the next step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

/// The specification's numbers, then ours from 100 on.
pub mod code {
    /// The configuration's version is not served, or the verb does not exist in it.
    pub const INCOMPATIBLE_VERSION: u32 = 1;
    /// A field is not supported.
    pub const UNSUPPORTED_FIELD: u32 = 2;
    /// The container is unknown or gone: the runtime need not clean up.
    pub const UNKNOWN_CONTAINER: u32 = 3;
    /// Environment variables are missing or malformed.
    pub const INVALID_ENVIRONMENT: u32 = 4;
    /// Reading or writing failed.
    pub const IO: u32 = 5;
    /// Not JSON, or JSON of another shape.
    pub const DECODE: u32 = 6;
    /// The network configuration is wrong.
    pub const INVALID_CONFIG: u32 = 7;
    /// The namespace is not a container's (libcni's number; not in the specification's table).
    pub const INVALID_NETNS: u32 = 8;
    /// A passing condition: try again.
    pub const TRY_AGAIN: u32 = 11;
    /// STATUS: ADD cannot succeed now.
    pub const NOT_AVAILABLE: u32 = 50;
    /// STATUS: ADD cannot succeed, and existing containers suffer too.
    pub const LIMITED: u32 = 51;
    /// A defect of ours.
    pub const INTERNAL: u32 = 100;
    /// The container has an interface of that name which is not ours.
    pub const INTERFACE_EXISTS: u32 = 101;
    /// No pool serves the pod.
    pub const NO_POOL: u32 = 102;
    /// The kernel refused a link, address or route.
    pub const KERNEL: u32 = 103;
    /// The journal cannot be written.
    pub const JOURNAL: u32 = 104;
    /// The kernel programs cannot be attached.
    pub const DATAPLANE: u32 = 105;
    /// Some stale attachments could not be removed.
    pub const GC: u32 = 106;
    /// CHECK: the agent knows no such attachment.
    pub const CHECK_UNKNOWN: u32 = 110;
    /// CHECK: the container's link is gone or of another kind.
    pub const CHECK_LINK: u32 = 111;
    /// CHECK: the container's link is down.
    pub const CHECK_DOWN: u32 = 112;
    /// CHECK: a MAC differs.
    pub const CHECK_MAC: u32 = 113;
    /// CHECK: the MTU differs.
    pub const CHECK_MTU: u32 = 114;
    /// CHECK: an address is missing in the container.
    pub const CHECK_ADDRESS: u32 = 115;
    /// CHECK: a route of ours is missing in the container.
    pub const CHECK_ROUTE: u32 = 116;
    /// CHECK: the gateway's neighbour entry is missing in the container.
    pub const CHECK_GATEWAY: u32 = 117;
    /// CHECK: the host's link is gone.
    pub const CHECK_HOST_LINK: u32 = 118;
    /// CHECK: the host's link is down.
    pub const CHECK_HOST_DOWN: u32 = 119;
    /// CHECK: the two links are not each other's peers.
    pub const CHECK_PEER: u32 = 120;
    /// CHECK: the host's route to the container is missing.
    pub const CHECK_HOST_ROUTE: u32 = 121;
    /// CHECK: the ledger does not say that the addresses are this attachment's.
    pub const CHECK_LEDGER: u32 = 122;
    /// CHECK: programs or map rows are missing.
    pub const CHECK_DATAPLANE: u32 = 123;
    /// CHECK: `prevResult` speaks of something else.
    pub const CHECK_RESULT: u32 = 124;
    /// CHECK: the host's neighbour entry is missing.
    pub const CHECK_NEIGHBOUR: u32 = 125;
    /// Not typed (libcni's number for a plugin that panics).
    pub const UNTYPED: u32 = 999;
}

impl Failure {
    /// An error without details.
    #[must_use]
    pub fn new(code: u32, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }

    /// The same with details.
    #[must_use]
    pub fn detailed(code: u32, msg: impl Into<String>, details: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: details.into() }
    }

    /// What goes to standard output.
    #[must_use]
    pub fn document(&self, version: &str) -> String {
        let mut document = serde_json::json!({"cniVersion": version, "code": self.code, "msg": self.msg});
        if !self.details.is_empty() {
            document["details"] = self.details.clone().into();
        }
        document.to_string()
    }
}
