//! Packs routes into as few UPDATEs as fit the session's length, straight into the buffer they are sent from. Must never
//! write a message that a receiver has to refuse.

use core::net::IpAddr;

use ipnet::IpNet;

use super::attr::{AttrBlock, Attributes, NextHop, TooLong, family_octets, put_next_hop};
use super::code;
use super::message::{EXTENDED_MAX_LEN, HEADER_LEN, MARKER, MAX_LEN, MessageKind};
use super::nlri::{self, V4Route, V6Route};
use crate::family::Family;

/// The bits of MP_REACH_NLRI and MP_UNREACH_NLRI: optional, with two octets of length that are filled in at the end.
const MP_FLAGS: u8 = 0x90;
/// Where a message has its length.
const LENGTH_AT: usize = MARKER.len();
/// Where an UPDATE without withdrawn routes has the length of its attributes.
const ATTRIBUTES_LEN_AT: usize = HEADER_LEN + 2;
/// Where the attributes begin.
const ATTRIBUTES_AT: usize = HEADER_LEN + 4;
/// Where a multiprotocol attribute that comes first has its length, and where its value begins.
const MP_LEN_AT: usize = ATTRIBUTES_AT + 2;
const MP_VALUE_AT: usize = ATTRIBUTES_AT + 4;

/// How the UPDATEs of a session are written. Sessions that agree in it can be sent the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireForm {
    /// AS numbers have four octets (RFC 6793).
    pub as4: bool,
    /// Messages may have 65535 octets (RFC 8654), not only 4096.
    pub extended: bool,
    /// Routes of this family carry path identifiers (RFC 7911).
    pub path_ids: bool,
}

impl WireForm {
    /// The longest message, in octets.
    #[must_use]
    pub const fn max_len(self) -> usize {
        if self.extended { EXTENDED_MAX_LEN } else { MAX_LEN }
    }
}

/// Writes UPDATEs: routes of one family that are announced with the same attributes and next hop, or that are withdrawn.
/// Routes go into the message as they are handed over; a full message is closed and the next one begun with the same
/// head. Dropping it without [`UpdateWriter::finish`] leaves an unfinished message in the buffer.
#[derive(Debug)]
pub struct UpdateWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Where the open message begins.
    start: usize,
    /// Octets before the first route.
    head: usize,
    /// Octets of routes that fit.
    room: usize,
    /// What follows the routes.
    tail: Vec<u8>,
    /// Which lengths depend on the routes.
    body: Body,
    path_ids: bool,
    messages: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Withdrawn routes of IPv4.
    Withdrawn,
    /// NLRI of IPv4 behind all attributes.
    Classic,
    /// Routes inside the first attribute.
    Multiprotocol,
}

impl<'o> UpdateWriter<'o> {
    /// Begins to append messages to `out`. IPv4 routes with an IPv4 next hop go in the classic form, all others in
    /// MP_REACH_NLRI, which comes first (RFC 7606 section 5.1).
    ///
    /// # Errors
    /// If the attributes leave no room for a route: it must not be announced then (RFC 4271 section 9.2). Nothing is
    /// appended.
    pub fn announcing(
        out: &'o mut Vec<u8>,
        attributes: AttrBlock<'_>,
        next_hop: NextHop,
        family: Family,
        form: WireForm,
    ) -> Result<Self, TooLong> {
        let start = out.len();
        begin(out);
        let mut tail = Vec::new();
        let body = match (family, next_hop.address) {
            (Family::IPV4_UNICAST, IpAddr::V4(v4)) => {
                out.extend_from_slice(&[0, 0, 0, 0]);
                attributes.put(Some(v4), form.as4, out);
                Body::Classic
            }
            _ => {
                out.extend_from_slice(&[0, 0, 0, 0, MP_FLAGS, code::MP_REACH, 0, 0]);
                out.extend_from_slice(&family_octets(family));
                put_next_hop(next_hop, out);
                attributes.put(None, form.as4, &mut tail);
                Body::Multiprotocol
            }
        };
        Self::with_head(out, start, tail, body, (family, form))
    }

    /// Begins to append messages to `out`: IPv4 routes go in the classic form, all others in MP_UNREACH_NLRI.
    #[must_use]
    pub fn withdrawing(out: &'o mut Vec<u8>, family: Family, form: WireForm) -> Self {
        let start = out.len();
        begin(out);
        let body = if family == Family::IPV4_UNICAST {
            out.extend_from_slice(&[0, 0]);
            Body::Withdrawn
        } else {
            out.extend_from_slice(&[0, 0, 0, 0, MP_FLAGS, code::MP_UNREACH, 0, 0]);
            out.extend_from_slice(&family_octets(family));
            Body::Multiprotocol
        };
        // The length of no attributes.
        let tail = if body == Body::Withdrawn { vec![0, 0] } else { Vec::new() };
        let head = out.len() - start;
        let room = form.max_len() - head - tail.len();
        Self { out, start, head, room, tail, body, path_ids: form.path_ids, messages: 0 }
    }

    /// Adds an IPv4 route; the family must be that.
    pub fn push_v4(&mut self, route: V4Route) {
        self.put(|path_ids, out| route.encode(path_ids, out));
    }

    /// Adds an IPv6 route; the family must be that.
    pub fn push_v6(&mut self, route: V6Route) {
        self.put(|path_ids, out| route.encode(path_ids, out));
    }

    /// Adds a route, which must be of the family. `path_id` is left out if the form has none.
    pub fn push(&mut self, path_id: u32, prefix: &IpNet) {
        self.put(|path_ids, out| nlri::encode(prefix, path_ids.then_some(path_id), out));
    }

    fn with_head(
        out: &'o mut Vec<u8>,
        start: usize,
        tail: Vec<u8>,
        body: Body,
        (family, form): (Family, WireForm),
    ) -> Result<Self, TooLong> {
        let head = out.len() - start;
        let room = form.max_len().checked_sub(head + tail.len());
        // The longest route has to fit, or a message could stay empty for ever.
        match room.filter(|room| *room >= nlri::longest(family, form.path_ids)) {
            Some(room) => {
                Ok(Self { out, start, head, room, tail, body, path_ids: form.path_ids, messages: 0 })
            }
            None => {
                out.truncate(start);
                Err(TooLong { octets: head + tail.len() })
            }
        }
    }

    fn put(&mut self, encode: impl FnOnce(bool, &mut Vec<u8>)) {
        let before = self.out.len();
        encode(self.path_ids, self.out);
        if self.out.len() - self.start - self.head <= self.room {
            return;
        }
        // The route goes into the next message: put what closes this one and the next one's head in front of it.
        let mut route = [0; 32];
        let len = self.out.len() - before;
        if let (Some(kept), Some(last)) = (route.get_mut(..len), self.out.get(before..)) {
            kept.copy_from_slice(last);
        }
        self.out.truncate(before);
        let closed = self.start;
        self.close();
        self.start = self.out.len();
        self.out.extend_from_within(closed..closed + self.head);
        self.out.extend_from_slice(route.get(..len).unwrap_or_default());
    }

    /// Completes the open message.
    fn close(&mut self) {
        let routes_end = self.out.len() - self.start;
        self.out.extend_from_slice(&self.tail);
        let end = self.out.len() - self.start;
        match self.body {
            Body::Withdrawn => self.set_u16(HEADER_LEN, routes_end - self.head),
            Body::Classic => self.set_u16(ATTRIBUTES_LEN_AT, self.head - ATTRIBUTES_AT),
            Body::Multiprotocol => {
                self.set_u16(MP_LEN_AT, routes_end - MP_VALUE_AT);
                self.set_u16(ATTRIBUTES_LEN_AT, end - ATTRIBUTES_AT);
            }
        }
        self.set_u16(LENGTH_AT, end);
        self.messages += 1;
    }

    /// Every length is below the message's, which fits two octets.
    fn set_u16(&mut self, at: usize, value: usize) {
        let place = self.out.get_mut(self.start + at..).and_then(|rest| rest.first_chunk_mut::<2>());
        if let Some(place) = place {
            *place = (value as u16).to_be_bytes();
        }
    }

    /// Closes the last message; how many were written, 0 if there was no route.
    pub fn finish(mut self) -> usize {
        if self.out.len() == self.start + self.head {
            self.out.truncate(self.start);
        } else {
            self.close();
        }
        self.messages
    }
}

/// Appends a header whose length is still open.
fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&[0, 0, MessageKind::Update.code()]);
}

/// Encoded messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// The bytes of all messages.
    pub bytes: Vec<u8>,
    /// How many messages.
    pub messages: u64,
    /// Prefixes left out because their attributes alone fill a message (RFC 4271 section 9.2 forbids to announce them).
    pub oversized: Vec<IpNet>,
}

/// Withdrawals of prefixes of any families, for a session without extended messages and path identifiers.
#[must_use]
pub fn pack_withdrawals(prefixes: &[IpNet]) -> Packed {
    let mut packed = Packed::default();
    for family in Family::SUPPORTED {
        let mut withdrawer = UpdateWriter::withdrawing(&mut packed.bytes, family, WireForm::default());
        for prefix in prefixes.iter().filter(|prefix| Family::of_prefix(prefix) == family) {
            withdrawer.push(0, prefix);
        }
        packed.messages += withdrawer.finish() as u64;
    }
    packed
}

/// Announcements of prefixes that share attributes and next hop, for a session without extended messages and path
/// identifiers. Prefixes of another family than the next hop's are left out.
#[must_use]
pub fn pack_announcements(
    attributes: &Attributes,
    next_hop: NextHop,
    prefixes: &[IpNet],
    as4: bool,
) -> Packed {
    let mut packed = Packed::default();
    let family = Family::of_address(&next_hop.address);
    let mut list = Vec::new();
    let announcer = attributes.encode(&mut list).and_then(|()| {
        let form = WireForm { as4, ..WireForm::default() };
        UpdateWriter::announcing(&mut packed.bytes, AttrBlock::new(&list), next_hop, family, form)
    });
    let Ok(mut announcer) = announcer else {
        packed.oversized = prefixes.to_vec();
        return packed;
    };
    for prefix in prefixes.iter().filter(|prefix| Family::of_prefix(prefix) == family) {
        announcer.push(0, prefix);
    }
    packed.messages = announcer.finish() as u64;
    packed
}

/// The End-of-RIB marker of a family (RFC 4724 section 2).
#[must_use]
pub fn end_of_rib(family: Family) -> Vec<u8> {
    let mut out = Vec::new();
    let mut marker = UpdateWriter::withdrawing(&mut out, family, WireForm::default());
    marker.close();
    out
}
