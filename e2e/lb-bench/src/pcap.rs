//! Reads the classic pcap stream that tcpdump writes (`pcap-savefile(5)`), nanosecond timestamps, link type LINUX_SLL, and
//! yields TCP payloads. Reads only; a packet that is not IPv4 TCP is passed over.

use std::io::Read;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::ensure;

/// `pcap-savefile(5)`: magic of a little-endian file with nanosecond timestamps.
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// `LINKTYPE_LINUX_SLL`, with a 16-byte header.
const LINUX_SLL: u32 = 113;
const SLL_HEADER: usize = 16;

/// One TCP segment that carries data.
pub(crate) struct Segment {
    /// Since the Unix epoch, by the kernel's timestamp.
    pub(crate) at: Duration,
    /// Sender.
    pub(crate) source: (Ipv4Addr, u16),
    /// Receiver.
    pub(crate) target: (Ipv4Addr, u16),
    /// Sequence number of the first byte.
    pub(crate) sequence: u32,
    /// The data.
    pub(crate) payload: Vec<u8>,
}

/// A stream of segments.
pub(crate) struct Reader<R> {
    input: R,
}

impl<R: Read> Reader<R> {
    /// Reads the file header; an error names what is not as asked of tcpdump.
    pub(crate) fn new(mut input: R) -> anyhow::Result<Self> {
        let mut header = [0_u8; 24];
        input.read_exact(&mut header)?;
        let [m0, m1, m2, m3, .., l0, l1, l2, l3] = header;
        let magic = u32::from_le_bytes([m0, m1, m2, m3]);
        let link = u32::from_le_bytes([l0, l1, l2, l3]) & 0xffff;
        ensure!(magic == MAGIC_NANOSECONDS, "tcpdump did not write nanosecond timestamps (magic {magic:#x})");
        ensure!(link == LINUX_SLL, "tcpdump wrote link type {link}, not LINUX_SLL");
        Ok(Self { input })
    }

    /// The next segment with data; none at the end of the stream.
    pub(crate) fn next_segment(&mut self) -> anyhow::Result<Option<Segment>> {
        loop {
            let mut header = [0_u8; 16];
            if self.input.read_exact(&mut header).is_err() {
                return Ok(None);
            }
            let [s0, s1, s2, s3, n0, n1, n2, n3, c0, c1, c2, c3, ..] = header;
            let seconds = u32::from_le_bytes([s0, s1, s2, s3]);
            let nanos = u32::from_le_bytes([n0, n1, n2, n3]);
            let captured = u32::from_le_bytes([c0, c1, c2, c3]);
            ensure!(captured <= 262_144, "a packet of {captured} bytes: the stream is out of step");
            let mut packet = vec![0; usize::try_from(captured)?];
            self.input.read_exact(&mut packet)?;
            if let Some(segment) = segment(Duration::new(u64::from(seconds), nanos), &packet) {
                return Ok(Some(segment));
            }
        }
    }
}

/// RFC 791 and RFC 9293 headers behind the capture's own.
fn segment(at: Duration, packet: &[u8]) -> Option<Segment> {
    let ip = packet.get(SLL_HEADER..)?;
    let first = *ip.first()?;
    if first >> 4 != 4 || *ip.get(9)? != 6 {
        return None;
    }
    let total = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
    let ip_header = usize::from(first & 0x0f) * 4;
    let tcp = ip.get(ip_header..total)?;
    let payload = tcp.get(usize::from(*tcp.get(12)? >> 4) * 4..)?;
    if payload.is_empty() {
        return None;
    }
    let port = |at: usize| Some(u16::from_be_bytes([*tcp.get(at)?, *tcp.get(at + 1)?]));
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
    Some(Segment {
        at,
        source: (address(12)?, port(0)?),
        target: (address(16)?, port(2)?),
        sequence: u32::from_be_bytes(tcp.get(4..8)?.try_into().ok()?),
        payload: payload.to_vec(),
    })
}
