//! A route socket for threads of their own: every call blocks, with an end. It may have been made in another network
//! namespace and handed over, so that nobody here ever has to enter one.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{MsgFlags, recv, send, setsockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};
use rustix::net::{AddressFamily, sockopt};

use crate::attr::{NLMSG_DONE, NLMSG_ERROR, Request, messages};
use crate::error::{OpenError, Refusal, RequestError};
use crate::socket::{DUMP_ATTEMPTS, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, Reply, refusal};

/// The kernel answers at once, but a request may wait for the routing lock behind a crowd of others.
const PATIENCE_SECONDS: i64 = 60;
/// Larger than any datagram the kernel builds (32 KiB for dumps).
const DATAGRAM: usize = 64 * 1024;

/// A blocking route socket.
#[derive(Debug)]
pub struct BlockingHandle {
    fd: Descriptor,
    seq: u32,
    buf: Vec<u8>,
}

#[derive(Debug)]
enum Descriptor {
    Own(Socket),
    Adopted(OwnedFd),
}

/// What came of one request of several: its answers, or the refusal.
pub(crate) type Answer = Result<Vec<Reply>, Refusal>;

impl BlockingHandle {
    /// Opens a socket in the current thread's network namespace.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open() -> Result<Self, OpenError> {
        let failed = |step| move |source| OpenError::Socket { step, source };
        let socket = Socket::new(NETLINK_ROUTE).map_err(failed("open"))?;
        socket.set_cap_ack(true).and_then(|()| socket.set_ext_ack(true)).map_err(failed("configure"))?;
        Self::ready(Descriptor::Own(socket))
    }

    /// Takes a socket that somebody else made. It goes on speaking for the namespace it was made in.
    ///
    /// # Errors
    /// It is no route netlink socket.
    pub fn adopt(fd: OwnedFd) -> Result<Self, OpenError> {
        let unknown =
            |errno: rustix::io::Errno| OpenError::Socket { step: "recognise", source: errno.into() };
        let family = sockopt::socket_domain(&fd).map_err(unknown)?;
        // NETLINK_ROUTE is protocol 0 (linux/netlink.h), which reads as none.
        let protocol = sockopt::socket_protocol(&fd).map_err(unknown)?;
        if family != AddressFamily::NETLINK || protocol.is_some() {
            return Err(unknown(rustix::io::Errno::PROTONOSUPPORT));
        }
        Self::ready(Descriptor::Adopted(fd))
    }

    fn ready(fd: Descriptor) -> Result<Self, OpenError> {
        setsockopt(&fd, ReceiveTimeout, &TimeVal::seconds(PATIENCE_SECONDS))
            .map_err(|errno| OpenError::Socket { step: "configure", source: errno.into() })?;
        Ok(Self { fd, seq: 0, buf: vec![0; DATAGRAM] })
    }

    /// Sends one request and returns what comes before its acknowledgement.
    pub(crate) fn transact(
        &mut self,
        what: &'static str,
        request: Request,
    ) -> Result<Vec<Reply>, RequestError> {
        let mut answers = self.exchange(vec![request])?;
        let answer = answers.pop().ok_or(RequestError::Malformed(what))?;
        answer.map_err(|refusal| RequestError::Refused { what, refusal })
    }

    /// Sends requests in one datagram; the kernel carries out each, whatever became of the ones before it.
    pub(crate) fn exchange(&mut self, requests: Vec<Request>) -> Result<Vec<Answer>, RequestError> {
        let count = requests.len();
        let mut answers: Vec<Answer> = std::iter::repeat_with(|| Ok(Vec::new())).take(count).collect();
        if count == 0 {
            return Ok(answers);
        }
        let first = self.seq.wrapping_add(1);
        let mut bytes = Vec::new();
        for (index, mut request) in requests.into_iter().enumerate() {
            // Failures are reported anyway; the last acknowledgement says that all have been carried out.
            request.add_flags(if index + 1 == count { NLM_F_REQUEST | NLM_F_ACK } else { NLM_F_REQUEST });
            self.seq = self.seq.wrapping_add(1);
            bytes.extend_from_slice(&request.finish(self.seq));
            bytes.resize(crate::attr::align(bytes.len()), 0);
        }
        let last = self.seq;
        self.send(&bytes)?;
        loop {
            for message in messages(self.receive()?) {
                let index = message.seq.wrapping_sub(first) as usize;
                let Some(answer) = answers.get_mut(index) else { continue };
                match (message.kind, answer.as_mut()) {
                    (NLMSG_ERROR, _) => {
                        *answer = refusal(&message).map_or(std::mem::replace(answer, Ok(Vec::new())), Err)
                    }
                    (_, Ok(replies)) => replies.push(Reply { body: message.body.to_vec() }),
                    (_, Err(_)) => {}
                }
                if message.kind == NLMSG_ERROR && message.seq == last {
                    return Ok(answers);
                }
            }
        }
    }

    /// Dumps, again if the kernel says that its tables changed under the dump.
    pub(crate) fn dump(&mut self, what: &'static str, request: &Request) -> Result<Vec<Reply>, RequestError> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut request = request.clone();
            request.add_flags(NLM_F_REQUEST | NLM_F_DUMP);
            self.seq = self.seq.wrapping_add(1);
            let seq = self.seq;
            self.send(&request.finish(seq))?;
            if let Some(replies) = self.collect(what, seq)? {
                return Ok(replies);
            }
        }
        Err(RequestError::Interrupted(DUMP_ATTEMPTS))
    }

    /// None for a dump that was interrupted.
    fn collect(&mut self, what: &'static str, seq: u32) -> Result<Option<Vec<Reply>>, RequestError> {
        let (mut replies, mut interrupted) = (Vec::new(), false);
        loop {
            for message in messages(self.receive()?).filter(|message| message.seq == seq) {
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                if !matches!(message.kind, NLMSG_ERROR | NLMSG_DONE) {
                    replies.push(Reply { body: message.body.to_vec() });
                    continue;
                }
                return match refusal(&message) {
                    Some(refusal) => Err(RequestError::Refused { what, refusal }),
                    None => Ok((!interrupted).then_some(replies)),
                };
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), RequestError> {
        match send(self.fd.raw(), bytes, MsgFlags::empty()) {
            Ok(_) => Ok(()),
            Err(errno) => Err(RequestError::Io { step: "send", source: errno.into() }),
        }
    }

    fn receive(&mut self) -> Result<&[u8], RequestError> {
        loop {
            match recv(self.fd.raw(), &mut self.buf, MsgFlags::empty()) {
                Ok(length) => return Ok(self.buf.get(..length).unwrap_or_default()),
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return Err(RequestError::Overrun),
                Err(errno) => {
                    let source = if errno == Errno::EAGAIN { late() } else { errno.into() };
                    return Err(RequestError::Io { step: "receive", source });
                }
            }
        }
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer from the kernel within a minute")
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(socket) => socket.as_fd(),
            Self::Adopted(fd) => fd.as_fd(),
        }
    }
}

impl Descriptor {
    fn raw(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
