//! One question to the node agent and its answer, before a deadline.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use sart_cni::failure::{Failure, code};
use sart_cni::wire::{self, Reply, Request};

use crate::input::{Ended, Signals};

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// The question did not arrive whole, or nobody took it.
    Unreachable(std::io::Error),
    /// The agent has the question; what became of it is not known.
    Unanswered(Ended),
    /// The agent went away, or its answer makes no sense.
    Broken(std::io::Error),
}

impl AskError {
    /// As an error document: a passing condition, not a broken pod.
    pub fn failure(&self, socket: &Path) -> Failure {
        let at = socket.display();
        match self {
            Self::Unreachable(error) => Failure::detailed(
                code::TRY_AGAIN,
                "the sart agent of this node does not answer",
                format!("{at}: {error}; see the pods of DaemonSet sartd-agent"),
            ),
            Self::Unanswered(ended) => ended.failure("the sart agent of this node"),
            Self::Broken(error) => Failure::detailed(
                code::TRY_AGAIN,
                "the sart agent of this node went away before it answered",
                format!("{at}: {error}"),
            ),
        }
    }
}

/// Asks, and waits until `deadline`.
pub fn ask(
    socket: &Path,
    request: &mut Request,
    descriptors: &[BorrowedFd<'_>],
    (signals, deadline): (&Signals, Instant),
) -> Result<Reply, AskError> {
    let stream = connect(socket, request, descriptors, deadline).map_err(AskError::Unreachable)?;
    receive(stream, signals, deadline)
}

fn connect(
    socket: &Path,
    request: &mut Request,
    descriptors: &[BorrowedFd<'_>],
    deadline: Instant,
) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    stream.set_write_timeout(Some(left))?;
    request.patience_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    let bytes = wire::frame(request)?;
    let raw: Vec<_> = descriptors.iter().map(BorrowedFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    let parts = [std::io::IoSlice::new(&bytes)];
    let sent = sendmsg::<()>(stream.as_raw_fd(), &parts, control, MsgFlags::MSG_NOSIGNAL, None)?;
    stream.write_all(bytes.get(sent..).unwrap_or_default())?;
    Ok(stream)
}

fn receive(mut stream: UnixStream, signals: &Signals, deadline: Instant) -> Result<Reply, AskError> {
    let mut bytes = Vec::new();
    let mut buf = [0; 16 * 1024];
    loop {
        signals.readable(stream.as_fd(), deadline).map_err(AskError::Unanswered)?;
        let read = stream.read(&mut buf).map_err(AskError::Broken)?;
        let Some(read) = buf.get(..read).filter(|read| !read.is_empty()) else { break };
        bytes.extend_from_slice(read);
    }
    wire::read(&mut bytes.as_slice()).map_err(AskError::Broken)
}
