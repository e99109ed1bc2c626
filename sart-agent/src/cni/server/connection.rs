//! One caller: who it is, its question with the descriptors that came along, and the answer.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use sart_cni::failure::{Failure, code};
use sart_cni::wire::{self, Reply, Request};
use sart_netlink::BlockingHandle;

use super::super::network::Sandbox;

/// A question is written at once, an answer is read at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// A caller that was let in.
pub(super) struct Connection {
    stream: UnixStream,
    descriptors: Vec<OwnedFd>,
}

impl Connection {
    /// Checks the caller and reads its question.
    pub(super) fn read(mut stream: UnixStream) -> io::Result<(Self, Request)> {
        let peer = getsockopt(&stream, PeerCredentials)?.uid();
        if peer != 0 {
            let text = format!("user {peer} may not ask; only root may");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut head = [0; 4];
        let mut descriptors = Vec::new();
        let mut have = 0;
        while have < head.len() {
            let read = receive(&stream, &mut head[have..], &mut descriptors)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            have += read;
        }
        let request = wire::body(&mut stream, wire::length(head)?)?;
        Ok((Self { stream, descriptors }, request))
    }

    /// The pod's namespace and the socket in it.
    pub(super) fn sandbox(&mut self) -> Result<Sandbox, Failure> {
        let mut descriptors = std::mem::take(&mut self.descriptors).into_iter();
        let (Some(namespace), Some(socket), None) =
            (descriptors.next(), descriptors.next(), descriptors.next())
        else {
            return Err(Failure::new(code::INTERNAL, "the question came without the container's namespace"));
        };
        let socket = BlockingHandle::adopt(socket).map_err(|error| {
            Failure::detailed(
                code::INTERNAL,
                "the question came with another kind of socket",
                error.to_string(),
            )
        })?;
        Ok(Sandbox { namespace, socket })
    }

    pub(super) fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        wire::write(&mut self.stream, reply)
    }
}

/// Descriptors come with the byte they were sent with, and are closed with their owner whatever happens next.
fn receive(stream: &UnixStream, into: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let read = recvmsg(stream, &mut [IoSliceMut::new(into)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    Ok(read.bytes)
}
