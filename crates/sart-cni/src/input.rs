//! Waiting, with an end: for standard input, for the agent, and for the signal that tells us to give up.

use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use sart_cni::failure::{Failure, code};

/// The catchable ways to tell a process to end; they become an error document instead.
pub struct Signals(SignalFd);

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The deadline.
    Late,
    /// A signal.
    Told,
    /// `poll` failed.
    Failed(Errno),
}

impl Signals {
    /// Blocks the signals for this (only) thread.
    pub fn take() -> Result<Self, Failure> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
            set.add(signal);
        }
        let fd = set.thread_block().and_then(|()| SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC));
        fd.map(Self).map_err(|error| Failure::detailed(code::IO, "cannot take signals", error.to_string()))
    }

    /// Waits until `fd` can be read (or its far end is gone).
    pub fn readable(&self, fd: BorrowedFd<'_>, deadline: Instant) -> Result<(), Ended> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Ended::Late);
            }
            let mut fds =
                [PollFd::new(fd, PollFlags::POLLIN), PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            let wait = PollTimeout::try_from(left.as_millis().max(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, wait) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Ended::Failed(errno)),
            }
            if fds[1].any() == Some(true) {
                return Err(Ended::Told);
            }
            if fds[0].any() == Some(true) {
                return Ok(());
            }
        }
    }

    /// All of standard input.
    pub fn standard_input(&self, deadline: Instant) -> Result<Vec<u8>, Failure> {
        let mut input = std::io::stdin().lock();
        let (mut bytes, mut buf) = (Vec::new(), [0; 16 * 1024]);
        loop {
            self.readable(input.as_fd(), deadline).map_err(|ended| ended.failure("standard input"))?;
            let read = input.read(&mut buf).map_err(|error| {
                Failure::detailed(code::IO, "cannot read standard input", error.to_string())
            })?;
            let Some(read) = buf.get(..read).filter(|read| !read.is_empty()) else { return Ok(bytes) };
            bytes.extend_from_slice(read);
            if bytes.len() > sart_cni::wire::LIMIT {
                return Err(Failure::new(
                    code::IO,
                    "standard input is longer than any network configuration",
                ));
            }
        }
    }
}

impl Ended {
    /// As an error document.
    pub fn failure(self, what: &str) -> Failure {
        match self {
            Self::Late => Failure::new(code::TRY_AGAIN, format!("waited too long for {what}")),
            Self::Told => Failure::new(code::TRY_AGAIN, format!("told to end while waiting for {what}")),
            Self::Failed(errno) => {
                Failure::detailed(code::IO, format!("cannot wait for {what}"), errno.desc())
            }
        }
    }
}
