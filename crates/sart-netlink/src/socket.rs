//! One netlink socket: sends requests, waits for their answers, retries interrupted dumps. Not cancel-safe between a
//! request and its answer; the callers own their handle and wait.

use std::io;

use netlink_sys::{AsyncSocket, AsyncSocketExt, TokioSocket};
use nix::sys::socket::sockopt::RcvBufForce;

use crate::attr::Request;
use crate::error::{OpenError, Refusal, RequestError};
use crate::exchange::{DUMP_ATTEMPTS, Exchange, Reply};

/// Larger than any datagram the kernel builds (32 KiB for dumps).
const DATAGRAM: usize = 64 * 1024;
/// Receive buffer asked for: enough for the notifications of a large transaction by another program.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

pub(crate) struct Connection {
    socket: TokioSocket,
    port: u32,
    seq: u32,
    buf: Vec<u8>,
}

impl Connection {
    /// Opens a socket of a netlink family in the current network namespace and joins multicast groups.
    pub(crate) fn open(family: isize, groups: &[u32]) -> Result<Self, OpenError> {
        let failed = |step| move |source| OpenError::Socket { step, source };
        let mut socket = TokioSocket::new(family).map_err(failed("open"))?;
        let port = socket.socket_mut().bind_auto().map_err(failed("bind"))?.port_number();
        let raw = socket.socket_ref();
        raw.set_cap_ack(true).map_err(failed("configure"))?;
        raw.set_ext_ack(true).map_err(failed("configure"))?;
        if family == netlink_sys::protocols::NETLINK_ROUTE {
            raw.set_netlink_get_strict_chk(true).map_err(failed("configure"))?;
        }
        if let Err(error) = nix::sys::socket::setsockopt(raw, RcvBufForce, &RECEIVE_BUFFER) {
            // A smaller buffer only means that an overrun, which is handled, comes sooner.
            tracing::debug!(%error, "kept the default netlink receive buffer");
        }
        for group in groups {
            raw.add_membership(*group).map_err(failed("subscribe"))?;
        }
        Ok(Self { socket, port, seq: 0, buf: Vec::with_capacity(DATAGRAM) })
    }

    /// Our address: the kernel stamps it on the notifications our requests cause.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Waits for one datagram. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Result<&[u8], RequestError> {
        self.buf.clear();
        match self.socket.recv(&mut self.buf).await {
            Ok(()) => Ok(&self.buf),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Err(RequestError::Overrun),
            Err(source) => Err(RequestError::Io { step: "receive", source }),
        }
    }

    /// Takes a datagram that has already arrived, if there is one.
    pub(crate) fn try_receive(&mut self) -> Result<Option<&[u8]>, RequestError> {
        self.buf.clear();
        match self.socket.socket_ref().recv(&mut self.buf, libc::MSG_DONTWAIT) {
            Ok(_) => Ok(Some(&self.buf)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Err(RequestError::Overrun),
            Err(source) => Err(RequestError::Io { step: "receive", source }),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        let sent = self.socket.send(bytes).await;
        sent.map(drop).map_err(|source| RequestError::Io { step: "send", source })
    }

    /// Sends one request and collects what comes before its acknowledgement.
    pub(crate) async fn transact(
        &mut self,
        what: &'static str,
        request: Request,
    ) -> Result<Vec<Reply>, RequestError> {
        let asked = Exchange::of(vec![request], &mut self.seq);
        self.carry_out(asked).await?.only(what)
    }

    /// Dumps, again if the kernel says that its tables changed under the dump.
    pub(crate) async fn dump(
        &mut self,
        what: &'static str,
        request: Request,
    ) -> Result<Vec<Reply>, RequestError> {
        for _ in 0..DUMP_ATTEMPTS {
            let asked = Exchange::dump(request.clone(), &mut self.seq);
            if let Some(replies) = self.carry_out(asked).await?.dumped(what)? {
                return Ok(replies);
            }
        }
        Err(RequestError::Interrupted(DUMP_ATTEMPTS))
    }

    /// Sends many requests in one datagram and returns the refusals by index.
    pub(crate) async fn batch(
        &mut self,
        requests: Vec<Request>,
    ) -> Result<Vec<(usize, Refusal)>, RequestError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Exchange::of(requests, &mut self.seq);
        let answers = self.carry_out(asked).await?.answers().into_iter().enumerate();
        Ok(answers.filter_map(|(index, answer)| Some((index, answer.err()?))).collect())
    }

    async fn carry_out(
        &mut self,
        (bytes, mut exchange): (Vec<u8>, Exchange),
    ) -> Result<Exchange, RequestError> {
        self.send(&bytes).await?;
        while !exchange.take(self.receive().await?) {}
        Ok(exchange)
    }
}
