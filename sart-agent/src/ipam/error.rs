//! What can go wrong between the ledger and the API server or the kernel.

use sart_netlink::{ActionFailure, OpenError, RequestError};

/// Why a request of this node is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum RequestFailure {
    /// The API server refused.
    #[error("cannot write BlockRequest {name}: {source}")]
    Api {
        /// The request.
        name: String,
        /// The refusal.
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("cannot write BlockRequest {name}: the API server did not answer within 10 s")]
    Timeout {
        /// The request.
        name: String,
    },
}

/// Why the covering routes are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum RouteFailure {
    /// No socket.
    #[error("cannot reach the routing tables: {0}")]
    Open(#[from] OpenError),
    /// A dump or write failed.
    #[error("cannot change the covering routes of this node's blocks: {0}")]
    Request(#[from] RequestError),
    /// The kernel refused some.
    #[error("the kernel refused {count} of the covering routes, first: {first}")]
    Refused {
        /// How many.
        count: usize,
        /// The first.
        first: ActionFailure,
    },
}
