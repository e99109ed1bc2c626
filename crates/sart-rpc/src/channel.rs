//! Client side of a Unix socket. Never speaks TCP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// A local daemon answers at once or is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why no channel could be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to `{path}`: {source}; is the daemon running, and are you its user or root?")]
pub struct ConnectError {
    path: PathBuf,
    source: std::io::Error,
}

impl ConnectError {
    /// Label for metrics and conditions.
    pub fn reason(&self) -> &'static str {
        match self.source.kind() {
            std::io::ErrorKind::PermissionDenied => "PermissionDenied",
            _ => "Unreachable",
        }
    }
}

/// Opens a channel to the daemon at `path`, failing if nobody answers there.
///
/// The channel reconnects by itself when the daemon restarts; calls made meanwhile fail with `UNAVAILABLE`.
pub async fn connect(path: impl AsRef<Path>) -> Result<Channel, ConnectError> {
    let path = path.as_ref();
    // The probe gives the operating system's own error, which the transport would hide behind "transport error".
    match UnixStream::connect(path).await {
        Ok(_) => Ok(connect_lazy(path)),
        Err(source) => Err(ConnectError { path: path.to_owned(), source }),
    }
}

/// A channel to `path` that connects on its first call, for callers that start before the daemon does.
pub fn connect_lazy(path: impl AsRef<Path>) -> Channel {
    let path = path.as_ref().to_owned();
    // The authority is a formality of HTTP/2: the connector dials the path.
    Endpoint::from(Uri::from_static("http://sart.invalid"))
        .connect_timeout(CONNECT_TIMEOUT)
        .connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        }))
}
