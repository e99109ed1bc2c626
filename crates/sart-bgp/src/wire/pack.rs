//! Packs routes into as few UPDATEs as fit 4096 octets each. Must never send a message that a receiver has to refuse.

use core::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::attr::{Attributes, NextHop, encode_list, encode_reach, encode_unreach};
use super::message::{HEADER_LEN, MAX_LEN, MessageKind, frame};
use super::nlri;
use crate::family::Family;

/// Octets of an UPDATE besides withdrawn prefixes, attributes and NLRI.
const UPDATE_OVERHEAD: usize = HEADER_LEN + 4;
/// Octets of MP_UNREACH_NLRI besides prefixes: flags, type, two of length, family.
const UNREACH_OVERHEAD: usize = 7;
/// Octets of MP_REACH_NLRI besides prefixes and next hop: the same, next hop length, reserved.
const REACH_OVERHEAD: usize = 9;

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

impl Packed {
    fn push(&mut self, withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) {
        let mut body = Vec::with_capacity(4 + withdrawn.len() + attributes.len() + nlri.len());
        for block in [withdrawn, attributes] {
            body.extend((block.len() as u16).to_be_bytes());
            body.extend_from_slice(block);
        }
        body.extend_from_slice(nlri);
        self.bytes.extend(frame(MessageKind::Update, &body));
        self.messages += 1;
    }
}

/// Withdrawals of prefixes of any families.
#[must_use]
pub fn pack_withdrawals(prefixes: &[IpNet]) -> Packed {
    let mut packed = Packed::default();
    for family in Family::SUPPORTED {
        let plain = family == Family::IPV4_UNICAST;
        let room = MAX_LEN - UPDATE_OVERHEAD - if plain { 0 } else { UNREACH_OVERHEAD };
        for block in blocks(prefixes, family, room) {
            if plain {
                packed.push(&block, &[], &[]);
            } else {
                let mut attributes = Vec::new();
                encode_unreach(&mut attributes, family, &block);
                packed.push(&[], &attributes, &[]);
            }
        }
    }
    packed
}

/// Announcements of prefixes that share attributes and next hop. The family of each prefix must be the next hop's.
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
    encode_list(attributes, v4_of(next_hop), as4, &mut list);
    let next_hop_len = if next_hop.link_local.is_some() { 32 } else { 16 };
    let reach = if v4_of(next_hop).is_some() { 0 } else { REACH_OVERHEAD + next_hop_len };
    // The longest prefix of the family has to fit, or a message could stay empty for ever.
    let longest = if family == Family::IPV4_UNICAST { 5 } else { 17 };
    let room = MAX_LEN.saturating_sub(UPDATE_OVERHEAD + reach + list.len());
    if room < longest {
        packed.oversized = prefixes.to_vec();
        return packed;
    }
    for block in blocks(prefixes, family, room) {
        if v4_of(next_hop).is_some() {
            packed.push(&[], &list, &block);
        } else {
            // RFC 7606 section 5.1: the prefixes come first.
            let mut with_reach = Vec::new();
            encode_reach(&mut with_reach, family, next_hop, &block);
            with_reach.extend_from_slice(&list);
            packed.push(&[], &with_reach, &[]);
        }
    }
    packed
}

const fn v4_of(next_hop: NextHop) -> Option<Ipv4Addr> {
    match next_hop.address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

/// The End-of-RIB marker of a family (RFC 4724 section 2).
#[must_use]
pub fn end_of_rib(family: Family) -> Vec<u8> {
    let mut packed = Packed::default();
    let mut attributes = Vec::new();
    if family != Family::IPV4_UNICAST {
        encode_unreach(&mut attributes, family, &[]);
    }
    packed.push(&[], &attributes, &[]);
    packed.bytes
}

/// The prefixes of a family, encoded, in blocks of at most `room` octets.
fn blocks(prefixes: &[IpNet], family: Family, room: usize) -> Vec<Vec<u8>> {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for prefix in prefixes.iter().filter(|prefix| Family::of_prefix(prefix) == family) {
        match blocks.last_mut() {
            Some(block) if block.len() + nlri::encoded_len(prefix) <= room => nlri::encode(prefix, block),
            _ => {
                let mut block = Vec::new();
                nlri::encode(prefix, &mut block);
                blocks.push(block);
            }
        }
    }
    blocks
}
