//! A list of path attributes in the one form this crate stores: four-octet AS numbers, ascending types, shortest
//! lengths, no next hop, no routes. Equal routes have equal bytes, so that a table can keep them once. Must never judge
//! a value: what stands in a block was checked when it was read, and other bytes only read as nonsense.

use core::net::Ipv4Addr;

use super::rule::{self, EXTENDED_LENGTH, PARTIAL};
use super::{Attributes, Origin, UnknownAttribute, aggregator, as_path, communities, scalar};
use crate::wire::code;
use crate::wire::reader::Reader;

/// A borrowed canonical list. Two lists are the same attributes exactly if their bytes are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrBlock<'a>(&'a [u8]);

/// One attribute in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// Flags octet.
    pub flags: u8,
    /// Type code.
    pub code: u8,
    /// Value.
    pub value: &'a [u8],
}

/// Attributes that no message can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path attributes of {octets} octets fit no message; carry fewer communities or a shorter AS path")]
pub struct TooLong {
    /// How many octets they would take.
    pub octets: usize,
}

impl<'a> AttrBlock<'a> {
    /// Takes bytes for a canonical list: those of [`AttrBlock::bytes`] or [`Attributes::encode`].
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The attributes in ascending order of their types.
    pub fn iter(self) -> impl Iterator<Item = RawAttribute<'a>> + Clone + use<'a> {
        Attrs(Reader::new(self.0))
    }

    /// The attribute of a type.
    #[must_use]
    pub fn get(self, code: u8) -> Option<RawAttribute<'a>> {
        self.iter().find(|attribute| attribute.code == code)
    }

    /// The ASes of the path from the nearest on, sets included, with the index of the segment each stands in.
    pub fn path_asns(self) -> impl Iterator<Item = (usize, u32)> + use<'a> {
        let value = self.get(code::AS_PATH).map_or(&[][..], |attribute| attribute.value);
        let segments = as_path::Segments::new(value, true).enumerate();
        segments.flat_map(|(index, segment)| segment.asns().map(move |asn| (index, asn)))
    }

    /// Whether `asn` appears anywhere in the path.
    #[must_use]
    pub fn path_contains(self, asn: u32) -> bool {
        self.path_asns().any(|(_, other)| other == asn)
    }

    /// Whether `cluster` is in the CLUSTER_LIST.
    #[must_use]
    pub fn cluster_list_contains(self, cluster: Ipv4Addr) -> bool {
        let value = self.get(code::CLUSTER_LIST).map_or(&[][..], |attribute| attribute.value);
        value.as_chunks::<4>().0.contains(&cluster.octets())
    }

    /// The communities (RFC 1997) in the order received.
    pub fn communities(self) -> impl Iterator<Item = u32> + use<'a> {
        let value = self.get(code::COMMUNITIES).map_or(&[][..], |attribute| attribute.value);
        value.as_chunks::<4>().0.iter().map(|octets| u32::from_be_bytes(*octets))
    }

    /// Everything, owned.
    #[must_use]
    pub fn to_attributes(self) -> Attributes {
        let mut attributes = Attributes::default();
        for raw in self.iter() {
            if raw.flags & PARTIAL != 0 {
                attributes.partial.set(raw.code);
            }
            attributes.take(raw);
        }
        attributes
    }
}

/// Iterates over attributes; stops where the bytes are no list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attrs<'a>(Reader<'a>);

impl<'a> Iterator for Attrs<'a> {
    type Item = RawAttribute<'a>;

    fn next(&mut self) -> Option<RawAttribute<'a>> {
        read(&mut self.0).ok()
    }
}

/// Reads one attribute; the error is its type code as far as it was there, else 0.
pub(crate) fn read<'a>(reader: &mut Reader<'a>) -> Result<RawAttribute<'a>, u8> {
    let [flags, code] = reader.array::<2>().ok_or(reader.rest().get(1).copied().unwrap_or(0))?;
    let value = if flags & EXTENDED_LENGTH == 0 { reader.block8() } else { reader.block16() };
    Ok(RawAttribute { flags, code, value: value.ok_or(code)? })
}

/// Brings the list that begins at `start` into ascending order of types, in its place: a message that is out of order
/// must not cost memory.
pub(crate) fn sort(out: &mut [u8], start: usize) {
    let list = out.get_mut(start..).unwrap_or_default();
    if Attrs(Reader::new(list)).is_sorted_by_key(|raw| raw.code) {
        return;
    }
    let mut sorted = 0;
    while let Some((code, len)) = first(list.get(sorted..).unwrap_or_default()) {
        let mut place = 0;
        while let Some((before, len)) = first(list.get(place..sorted).unwrap_or_default()) {
            if before > code {
                break;
            }
            place += len;
        }
        sorted += len;
        if let Some(moved) = list.get_mut(place..sorted) {
            moved.rotate_right(len);
        }
    }
}

/// Type and octets of the first attribute.
fn first(list: &[u8]) -> Option<(u8, usize)> {
    let mut reader = Reader::new(list);
    let code = read(&mut reader).ok()?.code;
    Some((code, list.len() - reader.rest().len()))
}

impl Attributes {
    fn take(&mut self, raw: RawAttribute<'_>) {
        let value = raw.value;
        let number = || scalar::decode_u32(value).ok();
        match raw.code {
            code::ORIGIN => self.origin = scalar::decode_origin(value).unwrap_or_default(),
            code::AS_PATH => self.as_path = as_path::decode(value),
            code::MED => self.med = number(),
            code::LOCAL_PREF => self.local_pref = number(),
            code::ATOMIC_AGGREGATE => self.atomic_aggregate = true,
            code::AGGREGATOR => self.aggregator = aggregator::decode(value, true).ok(),
            code::ORIGINATOR_ID => self.originator_id = number().map(Ipv4Addr::from),
            code::OTC => self.only_to_customer = number(),
            code => self.take_list(code, value),
        }
    }

    fn take_list(&mut self, code: u8, value: &[u8]) {
        match code {
            code::COMMUNITIES => self.communities = numbers(value, |octets| u32::from_be_bytes(*octets)),
            code::CLUSTER_LIST => self.cluster_list = numbers(value, |octets: &[u8; 4]| (*octets).into()),
            code::EXT_COMMUNITIES => {
                self.ext_communities = numbers(value, |octets| u64::from_be_bytes(*octets));
            }
            code::IPV6_EXT_COMMUNITIES => self.ipv6_ext_communities = numbers(value, |octets| *octets),
            code::LARGE_COMMUNITIES => {
                self.large_communities = numbers(value, communities::large_from_octets);
            }
            code => self.unknown.push(UnknownAttribute { code, value: value.to_vec() }),
        }
    }

    /// Appends the canonical list.
    ///
    /// # Errors
    /// If no message can carry it; nothing is appended then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let start = out.len();
        let octets = self.encode_values(out);
        // A value over two octets of length would make the list unreadable, so the whole is measured first.
        let octets = octets.max(out.len() - start);
        if octets > usize::from(u16::MAX) {
            out.truncate(start);
            return Err(TooLong { octets });
        }
        sort(out, start);
        Ok(())
    }

    /// The length of the longest value.
    fn encode_values(&self, out: &mut Vec<u8>) -> usize {
        let mut longest = 0;
        let mut put = |code: u8, value: &[u8]| {
            longest = longest.max(value.len());
            let partial = if self.partial.has(code) { PARTIAL } else { 0 };
            rule::put(out, code, rule::flags_of(code) | partial, value);
        };
        put(code::ORIGIN, &scalar::encode_origin(self.origin));
        put(code::AS_PATH, &as_path::encode(&self.as_path));
        let numbers = [
            (code::MED, self.med),
            (code::LOCAL_PREF, self.local_pref),
            (code::ORIGINATOR_ID, self.originator_id.map(Ipv4Addr::to_bits)),
            (code::OTC, self.only_to_customer),
        ];
        for (code, number) in numbers {
            if let Some(number) = number {
                put(code, &number.to_be_bytes());
            }
        }
        if self.atomic_aggregate {
            put(code::ATOMIC_AGGREGATE, &[]);
        }
        if let Some(aggregator) = self.aggregator {
            put(code::AGGREGATOR, &aggregator::encode(aggregator, true));
        }
        for (code, value) in self.lists().into_iter().filter(|(_, value)| !value.is_empty()) {
            put(code, &value);
        }
        for unknown in &self.unknown {
            longest = longest.max(unknown.value.len());
            rule::put(out, unknown.code, rule::PASSED_ON, &unknown.value);
        }
        longest
    }

    fn lists(&self) -> [(u8, Vec<u8>); 5] {
        [
            (code::COMMUNITIES, self.communities.iter().flat_map(|value| value.to_be_bytes()).collect()),
            (code::CLUSTER_LIST, self.cluster_list.iter().flat_map(Ipv4Addr::octets).collect()),
            (
                code::EXT_COMMUNITIES,
                self.ext_communities.iter().flat_map(|value| value.to_be_bytes()).collect(),
            ),
            (code::IPV6_EXT_COMMUNITIES, self.ipv6_ext_communities.concat()),
            (
                code::LARGE_COMMUNITIES,
                self.large_communities.iter().flat_map(communities::large_to_octets).collect(),
            ),
        ]
    }
}

fn numbers<const N: usize, T>(value: &[u8], from: fn(&[u8; N]) -> T) -> Vec<T> {
    value.as_chunks::<N>().0.iter().map(from).collect()
}

impl AttrBlock<'_> {
    /// Appends the list as a message carries it: NEXT_HOP in its place if there is one, and for a two-octet speaker the
    /// narrow forms with what RFC 6793 section 4.2.2 puts beside them.
    pub(crate) fn put(self, next_hop: Option<Ipv4Addr>, as4: bool, out: &mut Vec<u8>) {
        let start = out.len();
        let Some(next_hop) = next_hop else { return self.put_plain(as4, out) };
        let mut head = Attrs(Reader::new(self.0));
        let mut rest = head;
        while head.next().is_some_and(|raw| raw.code < code::NEXT_HOP) {
            rest = head;
        }
        let (before, after) = self.0.split_at_checked(self.0.len() - rest.0.rest().len()).unwrap_or_default();
        AttrBlock(before).put_plain(as4, out);
        rule::put(out, code::NEXT_HOP, rule::flags_of(code::NEXT_HOP), &next_hop.octets());
        AttrBlock(after).put_plain(as4, out);
        if !as4 {
            sort(out, start);
        }
    }

    fn put_plain(self, as4: bool, out: &mut Vec<u8>) {
        if as4 {
            out.extend_from_slice(self.0);
            return;
        }
        let start = out.len();
        for raw in self.iter() {
            raw.put_narrow(out);
        }
        sort(out, start);
    }
}

impl RawAttribute<'_> {
    fn put_narrow(self, out: &mut Vec<u8>) {
        match self.code {
            code::AS_PATH => {
                let mut narrow = Vec::with_capacity(self.value.len());
                as_path::put_narrow(self.value, &mut narrow);
                rule::put(out, self.code, self.flags, &narrow);
                if as_path::needs_four_octets(self.value) {
                    rule::put(out, code::AS4_PATH, rule::flags_of(code::AS4_PATH), self.value);
                }
            }
            code::AGGREGATOR => {
                let Ok(wide) = aggregator::decode(self.value, true) else { return };
                rule::put(out, self.code, self.flags, &aggregator::encode(wide, false));
                if wide.asn > u32::from(u16::MAX) {
                    rule::put(out, code::AS4_AGGREGATOR, rule::flags_of(code::AS4_AGGREGATOR), self.value);
                }
            }
            _ => rule::put(out, self.code, self.flags, self.value),
        }
    }
}

impl Origin {
    /// The value on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        let [code] = scalar::encode_origin(self);
        code
    }
}
