//! A netlink socket, of routes mostly, for threads of their own: every call blocks, with an end. It may have been made in
//! another network namespace and handed over, so that nobody here ever has to enter one.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{MsgFlags, recv, send, setsockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};
use rustix::net::{AddressFamily, sockopt};

use crate::attr::Request;
use crate::error::{OpenError, RequestError};
use crate::exchange::{Answer, DUMP_ATTEMPTS, Exchange, Reply};

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

impl BlockingHandle {
    /// Opens a socket in the current thread's network namespace.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open() -> Result<Self, OpenError> {
        Self::open_protocol(NETLINK_ROUTE)
    }

    pub(crate) fn open_protocol(protocol: isize) -> Result<Self, OpenError> {
        let failed = |step| move |source| OpenError::Socket { step, source };
        let socket = Socket::new(protocol).map_err(failed("open"))?;
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
        let asked = Exchange::of(vec![request], &mut self.seq);
        self.carry_out(asked)?.only(what)
    }

    /// Sends requests in one datagram; the kernel carries out each, whatever became of the ones before it.
    pub(crate) fn exchange(&mut self, requests: Vec<Request>) -> Result<Vec<Answer>, RequestError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Exchange::of(requests, &mut self.seq);
        self.carry_out(asked).map(Exchange::answers)
    }

    /// Dumps, again if the kernel says that its tables changed under the dump.
    pub(crate) fn dump(&mut self, what: &'static str, request: &Request) -> Result<Vec<Reply>, RequestError> {
        for _ in 0..DUMP_ATTEMPTS {
            let asked = Exchange::dump(request.clone(), &mut self.seq);
            if let Some(replies) = self.carry_out(asked)?.dumped(what)? {
                return Ok(replies);
            }
        }
        Err(RequestError::Interrupted(DUMP_ATTEMPTS))
    }

    /// Dumps once and hands over each body as it arrives: for tables that are too large to keep, and whose dumps the kernel
    /// never calls interrupted.
    pub(crate) fn dump_each(
        &mut self,
        what: &'static str,
        request: &Request,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), RequestError> {
        let (bytes, mut exchange) = Exchange::dump(request.clone(), &mut self.seq);
        self.send(&bytes)?;
        loop {
            let last = exchange.take(self.receive()?);
            exchange.so_far().iter().for_each(|reply| each(&reply.body));
            if last {
                return exchange.dumped(what)?.map(drop).ok_or(RequestError::Interrupted(1));
            }
        }
    }

    fn carry_out(&mut self, (bytes, mut exchange): (Vec<u8>, Exchange)) -> Result<Exchange, RequestError> {
        self.send(&bytes)?;
        while !exchange.take(self.receive()?) {}
        Ok(exchange)
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
