//! A BGP peer that says exactly what it is told and shows exactly what it hears. Must never behave by itself.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::netns::Namespace;
use crate::wait::wait_for;

/// Message types (RFC 4271 section 4.1).
pub const OPEN: u8 = 1;
/// UPDATE.
pub const UPDATE: u8 = 2;
/// NOTIFICATION.
pub const NOTIFICATION: u8 = 3;
/// KEEPALIVE.
pub const KEEPALIVE: u8 = 4;

const HEADER: usize = 19;

/// One end of a TCP connection that speaks BGP by hand.
#[derive(Debug)]
pub struct RawPeer {
    stream: TcpStream,
}

/// A message as it came, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub kind: u8,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// A message with a correct header.
#[must_use]
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![0xff; 16];
    bytes.extend(length.to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

/// The body of an OPEN with the capabilities for IPv4 unicast and four-octet AS numbers (RFC 5492, 4760, 6793).
#[must_use]
pub fn open_body(asn: u32, hold_time: u16, router_id: Ipv4Addr) -> Vec<u8> {
    Open::new(asn, hold_time, router_id).family(1, 1).four_octets().body()
}

/// An OPEN in the making; it says only what it is told to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    asn: u32,
    hold_time: u16,
    router_id: Ipv4Addr,
    capabilities: Vec<u8>,
}

impl Open {
    /// Without a capability.
    #[must_use]
    pub fn new(asn: u32, hold_time: u16, router_id: Ipv4Addr) -> Self {
        Self { asn, hold_time, router_id, capabilities: Vec::new() }
    }

    /// Adds a capability (RFC 5492 section 4).
    #[must_use]
    pub fn capability(mut self, code: u8, value: &[u8]) -> Self {
        self.capabilities.extend([code, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
        self.capabilities.extend(value);
        self
    }

    /// Adds the multiprotocol capability (RFC 4760 section 8).
    #[must_use]
    pub fn family(self, afi: u8, safi: u8) -> Self {
        self.capability(1, &[0, afi, 0, safi])
    }

    /// Adds the capability for four-octet AS numbers (RFC 6793 section 3).
    #[must_use]
    pub fn four_octets(self) -> Self {
        let asn = self.asn.to_be_bytes();
        self.capability(65, &asn)
    }

    /// What follows the header; by RFC 9072 if the capabilities need it.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut body = vec![4];
        // AS_TRANS (RFC 6793 section 9) for what does not fit.
        body.extend(u16::try_from(self.asn).unwrap_or(23_456).to_be_bytes());
        body.extend(self.hold_time.to_be_bytes());
        body.extend(self.router_id.octets());
        let long = u16::try_from(self.capabilities.len()).unwrap_or(u16::MAX);
        match u8::try_from(long) {
            Ok(0) => body.push(0),
            Ok(length) if length < 254 => body.extend([length + 2, 2, length]),
            _ => {
                // RFC 9072 section 2: 255 twice, the length of all, then parameters with lengths of two octets.
                body.extend([255, 255]);
                body.extend((long + 3).to_be_bytes());
                body.push(2);
                body.extend(long.to_be_bytes());
            }
        }
        body.extend(&self.capabilities);
        body
    }
}

/// The body of an UPDATE that announces `prefix` (a /24 by its first three octets) with ORIGIN, AS_PATH and NEXT_HOP.
#[must_use]
pub fn announce_body(prefix: [u8; 3], asn: u32, next_hop: Ipv4Addr) -> Vec<u8> {
    let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 6, 2, 1];
    attributes.extend(asn.to_be_bytes());
    attributes.extend([0x40, 3, 4]);
    attributes.extend(next_hop.octets());
    let mut body = vec![0, 0];
    body.extend(u16::try_from(attributes.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend(attributes);
    body.push(24);
    body.extend(prefix);
    body
}

impl RawPeer {
    /// Dials `to` from inside `namespace`, again until `limit` has passed.
    ///
    /// # Errors
    /// If nobody listens there by then.
    pub fn connect(namespace: &Namespace, to: SocketAddr, limit: Duration) -> anyhow::Result<Self> {
        let stream = wait_for("the listener", limit, || {
            namespace.enter(|| Ok(TcpStream::connect_timeout(&to, Duration::from_secs(1))?)).map(Some)
        })?;
        Ok(Self { stream })
    }

    /// A listener inside `namespace`.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn listen(namespace: &Namespace, at: SocketAddr) -> anyhow::Result<TcpListener> {
        namespace.enter(|| Ok(TcpListener::bind(at)?))
    }

    /// Takes the next connection of `listener`.
    ///
    /// # Errors
    /// If none comes within `limit`.
    pub fn accept(listener: &TcpListener, limit: Duration) -> anyhow::Result<Self> {
        listener.set_nonblocking(true)?;
        let stream = wait_for("a connection", limit, || match listener.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        })?;
        stream.set_nonblocking(false)?;
        Ok(Self { stream })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).context("send")
    }

    /// Reads one message.
    ///
    /// # Errors
    /// If none comes within `limit`, or the far end closes.
    pub fn receive(&mut self, limit: Duration) -> anyhow::Result<Message> {
        let end = Instant::now() + limit;
        let mut header = [0; HEADER];
        self.read_until(&mut header, end)?;
        ensure!(header[..16] == [0xff; 16], "marker {:?}", &header[..16]);
        let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
        let mut body = vec![0; length.checked_sub(HEADER).context("length below 19")?];
        self.read_until(&mut body, end)?;
        Ok(Message { kind: header[18], body })
    }

    fn read_until(&mut self, bytes: &mut [u8], end: Instant) -> anyhow::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            let left = end.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "nothing came in time");
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => bail!("the far end closed"),
                Ok(read) => filled += read,
                // A read with a time limit is not taken up again after a signal or a stop of the process (signal(7)).
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error).context("receive"),
            }
        }
        Ok(())
    }

    /// Reads until a message of `kind`.
    ///
    /// # Errors
    /// If a NOTIFICATION comes first, or nothing within `limit`.
    pub fn expect(&mut self, kind: u8, limit: Duration) -> anyhow::Result<Message> {
        let end = Instant::now() + limit;
        loop {
            let message = self.receive(end.saturating_duration_since(Instant::now()))?;
            if message.kind == kind {
                return Ok(message);
            }
            ensure!(message.kind != NOTIFICATION, "NOTIFICATION {:?} instead of type {kind}", message.body);
        }
    }

    /// Code and subcode of the NOTIFICATION that ends the connection.
    ///
    /// # Errors
    /// If none comes within `limit`.
    pub fn expect_notification(&mut self, limit: Duration) -> anyhow::Result<(u8, u8)> {
        let message = self.expect(NOTIFICATION, limit)?;
        match message.body[..] {
            [code, subcode, ..] => Ok((code, subcode)),
            _ => bail!("a NOTIFICATION of {} octets", message.body.len()),
        }
    }

    /// Goes through OPEN and KEEPALIVE up to Established.
    ///
    /// # Errors
    /// If the far end does not come along within `limit`.
    pub fn establish(&mut self, open: &[u8], limit: Duration) -> anyhow::Result<()> {
        self.send(&message(OPEN, open))?;
        self.expect(OPEN, limit)?;
        self.send(&message(KEEPALIVE, &[]))?;
        self.expect(KEEPALIVE, limit)?;
        Ok(())
    }

    /// The connection itself, for who reads and writes it in another way from here on.
    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Closes our direction of the connection: the far end reads FIN.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn finish(&self) -> anyhow::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write).context("shut down")
    }
}
