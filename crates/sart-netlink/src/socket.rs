//! One netlink socket: sends requests, collects their answers, retries interrupted dumps. Not cancel-safe between a
//! request and its answer; the callers own their handle and wait.

use std::io;

use netlink_sys::{AsyncSocket, AsyncSocketExt, TokioSocket};
use nix::sys::socket::sockopt::RcvBufForce;

use crate::attr::{HEADER_LEN, Message, NLMSG_DONE, NLMSG_ERROR, Request, find, messages, text, u32_at};
use crate::error::{OpenError, Refusal, RequestError};

pub(crate) const NLM_F_REQUEST: u16 = 1;
pub(crate) const NLM_F_ACK: u16 = 4;
pub(crate) const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Larger than any datagram the kernel builds (32 KiB for dumps).
const DATAGRAM: usize = 64 * 1024;
/// Receive buffer asked for: enough for the notifications of a large transaction by another program.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;
/// Dumps tried before giving up on a table that never stands still.
pub(crate) const DUMP_ATTEMPTS: u32 = 16;

pub(crate) struct Connection {
    socket: TokioSocket,
    port: u32,
    seq: u32,
    buf: Vec<u8>,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) body: Vec<u8>,
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

    fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        let sent = self.socket.send(bytes).await;
        sent.map(drop).map_err(|source| RequestError::Io { step: "send", source })
    }

    /// Sends one request and collects what comes before its acknowledgement.
    pub(crate) async fn transact(
        &mut self,
        what: &'static str,
        mut request: Request,
    ) -> Result<Vec<Reply>, RequestError> {
        request.add_flags(NLM_F_REQUEST | NLM_F_ACK);
        let seq = self.next_seq();
        self.send(&request.finish(seq)).await?;
        self.collect(what, seq).await.map(|(replies, _)| replies)
    }

    /// Dumps, again if the kernel says that its tables changed under the dump.
    pub(crate) async fn dump(
        &mut self,
        what: &'static str,
        mut request: Request,
    ) -> Result<Vec<Reply>, RequestError> {
        request.add_flags(NLM_F_REQUEST | NLM_F_DUMP);
        for _ in 0..DUMP_ATTEMPTS {
            let seq = self.next_seq();
            self.send(&request.clone().finish(seq)).await?;
            let (replies, interrupted) = self.collect(what, seq).await?;
            if !interrupted {
                return Ok(replies);
            }
        }
        Err(RequestError::Interrupted(DUMP_ATTEMPTS))
    }

    async fn collect(&mut self, what: &'static str, seq: u32) -> Result<(Vec<Reply>, bool), RequestError> {
        let mut replies = Vec::new();
        let mut interrupted = false;
        loop {
            let datagram = self.receive().await?;
            for message in messages(datagram).filter(|message| message.seq == seq) {
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                if !matches!(message.kind, NLMSG_ERROR | NLMSG_DONE) {
                    replies.push(Reply { body: message.body.to_vec() });
                    continue;
                }
                return match refusal(&message) {
                    Some(refusal) => Err(RequestError::Refused { what, refusal }),
                    None => Ok((replies, interrupted)),
                };
            }
        }
    }

    /// Sends many requests in one datagram and returns the refusals by index. Only the last one is acknowledged; the
    /// kernel reports each failure anyway.
    pub(crate) async fn batch(
        &mut self,
        requests: Vec<Request>,
    ) -> Result<Vec<(usize, Refusal)>, RequestError> {
        let count = requests.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let first = self.seq.wrapping_add(1);
        let mut bytes = Vec::new();
        for (index, mut request) in requests.into_iter().enumerate() {
            request.add_flags(if index + 1 == count { NLM_F_REQUEST | NLM_F_ACK } else { NLM_F_REQUEST });
            let seq = self.next_seq();
            bytes.extend_from_slice(&request.finish(seq));
            bytes.resize(crate::attr::align(bytes.len()), 0);
        }
        let last = self.seq;
        self.send(&bytes).await?;
        let mut refused = Vec::new();
        loop {
            let datagram = self.receive().await?;
            for message in messages(datagram).filter(|message| message.kind == NLMSG_ERROR) {
                let index = message.seq.wrapping_sub(first) as usize;
                if index >= count {
                    continue;
                }
                refused.extend(refusal(&message).map(|refusal| (index, refusal)));
                if message.seq == last {
                    return Ok(refused);
                }
            }
        }
    }
}

/// The error of an `NLMSG_ERROR` or `NLMSG_DONE`, none for success (netlink(7): the number is a negative errno).
pub(crate) fn refusal(message: &Message<'_>) -> Option<Refusal> {
    let errno = u32_at(message.body, 0).map_or(0, u32::cast_signed).saturating_neg();
    if errno <= 0 {
        return None;
    }
    // The request's header follows, then its body unless capped, then the attributes.
    let skip = if message.kind == NLMSG_DONE {
        4
    } else if message.flags & NLM_F_CAPPED != 0 {
        4 + HEADER_LEN
    } else {
        4 + u32_at(message.body, 4).map_or(HEADER_LEN, |len| crate::attr::align(len as usize))
    };
    let tlvs = message.flags & NLM_F_ACK_TLVS != 0;
    let said = message.body.get(skip..).filter(|_| tlvs).and_then(|rest| find(rest, NLMSGERR_ATTR_MSG));
    Some(Refusal { errno, text: said.map(text).unwrap_or_default().to_owned() })
}
