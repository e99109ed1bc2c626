//! What a receiver was told: counts messages and remembers, per prefix of the load, which attributes came last. Knows only
//! the load's prefixes; whatever else comes is counted as foreign, never guessed at.

use std::collections::HashSet;
use std::time::Instant;

use crate::load::{FIRST_ASN, index};
use crate::raw_peer::{NOTIFICATION, UPDATE};

const HEADER: usize = 19;

/// How many senders a table tells apart.
pub const SENDERS: usize = 16;

/// No route.
const ABSENT: u8 = u8::MAX;

/// A sender's paths whose AS number is none of the load's.
const STRANGER: u8 = u8::MAX - 1;

/// The receiver's memory.
#[derive(Clone, Debug)]
pub struct Table {
    /// UPDATEs with at least one prefix.
    pub updates: u64,
    /// Prefixes announced, repetitions counted.
    pub announced: u64,
    /// Prefixes withdrawn, repetitions and unknown ones counted.
    pub withdrawn: u64,
    /// Prefixes of the load that have a route now.
    pub present: u32,
    /// Routes by the sender whose path they have.
    pub owned: [u32; SENDERS],
    /// Prefixes outside the load.
    pub foreign: u64,
    /// End-of-RIB markers (RFC 4724 section 2).
    pub ends_of_rib: u64,
    /// KEEPALIVEs.
    pub keepalives: u64,
    /// Code and subcode of a NOTIFICATION.
    pub notification: Option<(u8, u8)>,
    /// When the last UPDATE with a prefix came.
    pub last_update: Option<Instant>,
    /// Longest time without any message since the session was up, in the reader's eyes.
    pub longest_silence: std::time::Duration,
    sets: Vec<u64>,
    owners: Vec<u8>,
    /// How many AS numbers stand before the sender's: one after an eBGP speaker, none in the sender's own messages.
    before: usize,
    last_message: Instant,
}

/// Why a stream cannot be read on.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// A header without the marker, or a length below 19.
    Header,
    /// An UPDATE whose parts do not fit into it.
    Update,
}

struct Parts<'a> {
    withdrawn: &'a [u8],
    attributes: &'a [u8],
    announced: &'a [u8],
}

impl Table {
    /// For a load of `prefixes`, where `before` AS numbers precede the sender's.
    #[must_use]
    pub fn new(prefixes: u32, before: usize) -> Self {
        Self {
            updates: 0,
            announced: 0,
            withdrawn: 0,
            present: 0,
            owned: [0; SENDERS],
            foreign: 0,
            ends_of_rib: 0,
            keepalives: 0,
            notification: None,
            last_update: None,
            longest_silence: std::time::Duration::ZERO,
            sets: vec![0; prefixes as usize],
            owners: vec![ABSENT; prefixes as usize],
            before,
            last_message: Instant::now(),
        }
    }

    /// Reads all whole messages at the start of `bytes` and says how many octets they were.
    ///
    /// # Errors
    /// If the bytes are no BGP.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let now = Instant::now();
        let mut at = 0;
        while let Some(header) = bytes.get(at..at + HEADER) {
            let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
            if header[..16] != [0xff; 16] || length < HEADER {
                return Err(Broken::Header);
            }
            let Some(body) = bytes.get(at + HEADER..at + length) else { break };
            self.message(header[18], body, now)?;
            at += length;
        }
        Ok(at)
    }

    fn message(&mut self, kind: u8, body: &[u8], now: Instant) -> Result<(), Broken> {
        self.longest_silence = self.longest_silence.max(now.saturating_duration_since(self.last_message));
        self.last_message = now;
        match kind {
            UPDATE => self.update(&parts(body).ok_or(Broken::Update)?, now),
            NOTIFICATION => self.notification = body.first().copied().zip(body.get(1).copied()),
            _ => self.keepalives += 1,
        }
        Ok(())
    }

    fn update(&mut self, parts: &Parts<'_>, now: Instant) {
        if parts.withdrawn.is_empty() && parts.announced.is_empty() {
            // Families other than IPv4 are not part of a load: their reach and unreach attributes count as the marker's.
            self.ends_of_rib += 1;
            return;
        }
        self.updates += 1;
        self.last_update = Some(now);
        self.each(parts.withdrawn, |table, index| {
            table.withdrawn += 1;
            table.set(index, 0, ABSENT);
        });
        if parts.announced.is_empty() {
            return;
        }
        let (set, owner) = (hash(parts.attributes), owner(parts.attributes, self.before));
        self.each(parts.announced, |table, index| {
            table.announced += 1;
            table.set(index, set, owner);
        });
    }

    fn each(&mut self, mut nlri: &[u8], mut act: impl FnMut(&mut Self, usize)) {
        while let Some((&bits, rest)) = nlri.split_first() {
            let octets = usize::from(bits).div_ceil(8).min(rest.len());
            let (prefix, rest) = rest.split_at(octets);
            nlri = rest;
            let known = (bits == 24).then(|| prefix.try_into().ok().and_then(index)).flatten();
            match known {
                Some(index) if (index as usize) < self.owners.len() => act(self, index as usize),
                _ => self.foreign += 1,
            }
        }
    }

    fn set(&mut self, index: usize, set: u64, owner: u8) {
        let before = std::mem::replace(&mut self.owners[index], owner);
        self.sets[index] = set;
        self.present += u32::from(before == ABSENT);
        self.present -= u32::from(owner == ABSENT);
        if let Some(count) = self.owned.get_mut(usize::from(before)) {
            *count -= 1;
        }
        if let Some(count) = self.owned.get_mut(usize::from(owner)) {
            *count += 1;
        }
    }

    /// How many distinct attribute sets the present routes have: the fewest UPDATEs that can announce them.
    #[must_use]
    pub fn sets(&self) -> usize {
        let present = self.sets.iter().zip(&self.owners).filter(|(_, owner)| **owner != ABSENT);
        present.map(|(set, _)| set).collect::<HashSet<_>>().len()
    }

    /// How many routes differ from `before`, and how few UPDATEs can say so.
    #[must_use]
    pub fn changed_since(&self, before: &Self) -> (u32, usize) {
        let (mut sets, mut routes, mut gone) = (HashSet::new(), 0, 0);
        for (at, set) in self.sets.iter().enumerate() {
            if *set == before.sets[at] {
                continue;
            }
            routes += 1;
            if self.owners[at] == ABSENT {
                gone += 1;
            } else {
                sets.insert(set);
            }
        }
        (routes, sets.len() + crate::load::fewest_withdrawals(gone) as usize)
    }
}

fn parts(body: &[u8]) -> Option<Parts<'_>> {
    let (withdrawn, rest) = counted(body)?;
    let (attributes, announced) = counted(rest)?;
    Some(Parts { withdrawn, attributes, announced })
}

/// Splits after a two-octet length and what it counts.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Which sender's path this is, by the AS number after those of the speakers between.
fn owner(mut attributes: &[u8], before: usize) -> u8 {
    while let [flags, kind, rest @ ..] = attributes {
        let (length, rest) = match rest {
            [high, low, rest @ ..] if flags & 0x10 != 0 => {
                (usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            [length, rest @ ..] if flags & 0x10 == 0 => (usize::from(*length), rest),
            _ => return STRANGER,
        };
        let Some((value, rest)) = rest.split_at_checked(length) else { return STRANGER };
        if *kind == 2 {
            let asn = value.get(2 + 4 * before..).and_then(|asns| asns.first_chunk::<4>());
            let number = asn.and_then(|asn| u32::from_be_bytes(*asn).checked_sub(FIRST_ASN));
            return number
                .and_then(|n| u8::try_from(n).ok())
                .filter(|n| usize::from(*n) < SENDERS)
                .unwrap_or(STRANGER);
        }
        attributes = rest;
    }
    STRANGER
}

/// Tells attribute sets apart; eight octets a step, since every UPDATE pays for it.
fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)));
    // The multiplication leaves the low bits weak.
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1
}
