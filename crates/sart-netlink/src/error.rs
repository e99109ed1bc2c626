//! What can go wrong between us and the kernel, with the errno and what the kernel said about it.

use std::io;

use thiserror::Error;

/// Opening a netlink socket.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The socket could not be made, bound or joined to its multicast groups.
    #[error(
        "cannot {step} a netlink socket: {source}; the process needs CAP_NET_ADMIN in its network namespace"
    )]
    Socket {
        /// What was tried.
        step: &'static str,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
}

/// A request or a dump.
#[derive(Debug, Error)]
pub enum RequestError {
    /// Sending or receiving failed.
    #[error("netlink {step} failed: {source}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// The kernel dropped answers because the receive buffer was full: nothing is known about the requests in flight.
    #[error("netlink answers were lost because the receive buffer overran; dump again before going on")]
    Overrun,
    /// The kernel refused.
    #[error("the kernel refused to {what}: {refusal}")]
    Refused {
        /// The request, in words.
        what: &'static str,
        /// Its answer.
        refusal: Refusal,
    },
    /// A dump kept being interrupted by changes.
    #[error("the kernel's tables changed during each of {0} dumps; try again")]
    Interrupted(u32),
    /// The kernel's bytes make no sense to us.
    #[error("netlink message cut short while reading {0}")]
    Malformed(&'static str),
}

/// The kernel's own words for a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Positive errno.
    pub errno: i32,
    /// The extended acknowledgement; empty if the kernel gave none.
    pub text: String,
}

/// A route write that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("route write {index} refused: {refusal}")]
pub struct ActionFailure {
    /// Index into the actions given.
    pub index: usize,
    /// The kernel's answer.
    pub refusal: Refusal,
}

impl OpenError {
    /// Label for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            OpenError::Socket { .. } => "socket",
        }
    }
}

impl RequestError {
    /// Label for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            RequestError::Io { .. } => "io",
            RequestError::Overrun => "overrun",
            RequestError::Refused { .. } => "refused",
            RequestError::Interrupted(_) => "interrupted",
            RequestError::Malformed(_) => "malformed",
        }
    }

    /// The errno of a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            RequestError::Refused { refusal, .. } => Some(refusal.errno),
            _ => None,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let errno = io::Error::from_raw_os_error(self.errno);
        if self.text.is_empty() { write!(f, "{errno}") } else { write!(f, "{errno}: {}", self.text) }
    }
}
