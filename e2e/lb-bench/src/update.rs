//! Reads prefixes out of captured UPDATE messages (RFC 4271 section 4.3), IPv4 only. Written apart from `sart-bgp` on
//! purpose: the judge of the speaker's output must not share the speaker's decoder.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::pcap::Segment;

const HEADER: usize = 19;
const TYPE_UPDATE: u8 = 2;

/// A host route seen on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Since the Unix epoch, by the kernel's timestamp of the packet.
    pub(crate) at: Duration,
    /// The /32.
    pub(crate) address: Ipv4Addr,
    /// Announced, or withdrawn.
    pub(crate) announced: bool,
}

/// Address and port of one side of a connection.
type Endpoint = (Ipv4Addr, u16);

/// Reassembles every flow and yields what it announces.
#[derive(Default)]
pub(crate) struct Flows {
    /// By sender and receiver.
    flows: HashMap<(Endpoint, Endpoint), Flow>,
}

#[derive(Default)]
struct Flow {
    next: Option<u32>,
    buffer: Vec<u8>,
}

impl Flows {
    /// Feeds one segment; a retransmitted one (sequence already seen) is passed over.
    pub(crate) fn feed(&mut self, segment: &Segment) -> Vec<Seen> {
        let flow = self.flows.entry((segment.source, segment.target)).or_default();
        let length = u32::try_from(segment.payload.len()).unwrap_or(u32::MAX);
        if flow.next.is_some_and(|next| next.wrapping_sub(segment.sequence).wrapping_sub(1) < u32::MAX / 2) {
            return Vec::new();
        }
        flow.next = Some(segment.sequence.wrapping_add(length));
        flow.buffer.extend_from_slice(&segment.payload);
        let mut seen = Vec::new();
        while let Some(message) = flow.take_message() {
            seen.extend(routes(&message, segment.at));
        }
        seen
    }
}

impl Flow {
    /// One whole message. A capture that began inside a message is skipped up to the next marker.
    fn take_message(&mut self) -> Option<Vec<u8>> {
        let start = self.buffer.windows(16).position(|window| window.iter().all(|byte| *byte == 0xff))?;
        self.buffer.drain(..start);
        let length = usize::from(u16::from_be_bytes([*self.buffer.get(16)?, *self.buffer.get(17)?]));
        (self.buffer.len() >= length.max(HEADER)).then(|| self.buffer.drain(..length.max(HEADER)).collect())
    }
}

fn routes(message: &[u8], at: Duration) -> Vec<Seen> {
    if message.get(18) != Some(&TYPE_UPDATE) {
        return Vec::new();
    }
    parts(message.get(HEADER..).unwrap_or_default()).map_or_else(Vec::new, |(withdrawn, announced)| {
        let gone = hosts(withdrawn).into_iter().map(|address| Seen { at, address, announced: false });
        let here = hosts(announced).into_iter().map(|address| Seen { at, address, announced: true });
        gone.chain(here).collect()
    })
}

fn parts(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = |at: usize| Some(usize::from(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?])));
    let withdrawn_end = 2 + length(0)?;
    let attributes_end = withdrawn_end + 2 + length(withdrawn_end)?;
    Some((body.get(2..withdrawn_end)?, body.get(attributes_end..)?))
}

fn hosts(mut prefixes: &[u8]) -> Vec<Ipv4Addr> {
    let mut hosts = Vec::new();
    while let Some((bits, rest)) = prefixes.split_first() {
        let octets = usize::from(bits.div_ceil(8));
        let Some((prefix, rest)) = rest.split_at_checked(octets) else { break };
        if let (32, Ok(address)) = (*bits, <[u8; 4]>::try_from(prefix)) {
            hosts.push(Ipv4Addr::from(address));
        }
        prefixes = rest;
    }
    hosts
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::{Flows, Seen};
    use crate::pcap::Segment;

    fn update() -> Vec<u8> {
        let mut message = vec![0xff; 16];
        let body = [0, 5, 32, 10, 0, 1, 7, 0, 4, 0x40, 1, 1, 0, 32, 10, 0, 1, 8, 24, 10, 0, 2];
        message.extend_from_slice(&u16::try_from(19 + body.len()).unwrap().to_be_bytes());
        message.push(2);
        message.extend_from_slice(&body);
        message
    }

    fn segment(sequence: u32, payload: &[u8]) -> Segment {
        let at = Duration::from_secs(9);
        let (source, target) = ((Ipv4Addr::LOCALHOST, 1), (Ipv4Addr::LOCALHOST, 179));
        Segment { at, source, target, sequence, payload: payload.to_vec() }
    }

    #[test]
    fn an_update_cut_into_two_segments_and_sent_twice_is_seen_once() {
        let bytes = update();
        let mut flows = Flows::default();
        assert!(flows.feed(&segment(100, &bytes[..20])).is_empty());
        let seen = flows.feed(&segment(120, &bytes[20..]));
        let at = Duration::from_secs(9);
        let gone = Seen { at, address: Ipv4Addr::new(10, 0, 1, 7), announced: false };
        let here = Seen { at, address: Ipv4Addr::new(10, 0, 1, 8), announced: true };
        assert_eq!(seen, [gone, here]);
        assert!(flows.feed(&segment(120, &bytes[20..])).is_empty());
    }
}
