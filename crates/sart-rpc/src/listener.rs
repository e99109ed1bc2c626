//! Server side of a Unix socket: who may connect. Never takes over a socket that somebody serves.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::net::{UnixListener, UnixStream};
use tokio_stream::Stream;

/// A bound socket; as a stream it yields the connections of root and of our own user, and drops all others.
///
/// Hand it to `tonic::transport::Server::serve_with_incoming_shutdown`. Dropping it removes the socket file.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    path: PathBuf,
    inode: u64,
    own_uid: u32,
}

/// Why a socket could not be served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process answers on the socket.
    #[error("`{path}` is served by another process; stop it, or choose another socket")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The path holds something that is not ours to remove.
    #[error("`{path}` exists and is not a socket; remove it, or choose another path")]
    NotASocket {
        /// The file in the way.
        path: PathBuf,
    },
    /// The operating system refused a step.
    #[error("cannot {step} `{path}`: {source}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// Socket or folder it was tried on.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl BindError {
    /// Label for metrics and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "SocketInUse",
            Self::NotASocket { .. } => "NotASocket",
            Self::Io { .. } => "SocketError",
        }
    }
}

impl Listener {
    /// Binds `path` with mode 0600, making its folder if needed and replacing the file of a dead server.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, BindError> {
        let path = path.as_ref().to_owned();
        let fail = |step| {
            let path = path.clone();
            move |source| BindError::Io { step, path, source }
        };
        let bound = bind_socket(&path)?;
        bound.set_nonblocking(true).map_err(fail("configure"))?;
        let inner = UnixListener::from_std(bound).map_err(fail("watch"))?;
        let inode = fs::symlink_metadata(&path).map_err(fail("inspect"))?.ino();
        Ok(Self { inner, path, inode, own_uid: nix::unistd::geteuid().as_raw() })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Binds `path` with mode 0600, making its folder if needed and replacing the file of a dead server. For servers without a
/// runtime: whoever accepts checks the callers' credentials.
///
/// # Errors
/// See [`BindError`].
pub fn bind_socket(path: &Path) -> Result<std::os::unix::net::UnixListener, BindError> {
    let fail = |step| move |source| BindError::Io { step, path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755).create(folder).map_err(fail("make the folder of"))?;
    }
    remove_stale(path)?;
    let bound = std::os::unix::net::UnixListener::bind(path).map_err(fail("bind"))?;
    // Between bind and this line the umask decides; whoever slips in still fails the credential check.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(fail("restrict"))?;
    Ok(bound)
}

/// Removes the socket file of a server that is gone. unix(7): connecting to a file that no process has bound gives
/// ECONNREFUSED, so only that answer proves it stale.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let fail = |step| move |source| BindError::Io { step, path: path.to_owned(), source };
    let found = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(fail("inspect"))?,
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket { path: path.to_owned() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(fail("remove the stale socket"))
        }
        Err(source) => Err(fail("probe")(source)),
    }
}

/// Root may do everything on the machine anyway; our own user runs the daemons and their command line.
fn is_allowed(peer_uid: u32, own_uid: u32) -> bool {
    peer_uid == 0 || peer_uid == own_uid
}

impl Stream for Listener {
    type Item = io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let stream = match ready!(self.inner.poll_accept(cx)) {
                Ok((stream, _)) => stream,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            match stream.peer_cred() {
                Ok(peer) if is_allowed(peer.uid(), self.own_uid) => return Poll::Ready(Some(Ok(stream))),
                Ok(peer) => {
                    tracing::warn!(socket = %self.path.display(), uid = peer.uid(), "refused a connection: wrong user");
                }
                Err(error) => {
                    tracing::warn!(socket = %self.path.display(), %error, "refused a connection: no credentials");
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "socket file left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_our_own_user_are_served() {
        assert!(is_allowed(0, 1000));
        assert!(is_allowed(1000, 1000));
        assert!(!is_allowed(1001, 1000));
        assert!(!is_allowed(1000, 0));
    }

    #[tokio::test]
    async fn a_socket_somebody_serves_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/x.sock");
        let first = Listener::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Listener::bind(&path).unwrap_err().reason(), "SocketInUse");
        assert!(path.exists());
        drop(first);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_server_is_replaced_but_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let stale = folder.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        assert!(stale.exists());
        Listener::bind(&stale).unwrap();

        let file = folder.path().join("precious");
        fs::write(&file, "text").unwrap();
        assert_eq!(Listener::bind(&file).unwrap_err().reason(), "NotASocket");
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
    }
}
