//! AS_PATH: the ASes a route went through (RFC 4271 section 4.3 b). Counts and prepends; must never judge loops.

use core::fmt;

use crate::wire::fault::Problem;
use crate::wire::open::AS_TRANS;
use crate::wire::reader::Reader;

/// The path, nearest AS first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsPath {
    /// Segments in wire order.
    pub segments: Vec<Segment>,
}

/// One segment of 1 to 255 ASes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// Ordered or not.
    pub kind: SegmentKind,
    /// The AS numbers.
    pub asns: Vec<u32>,
}

/// The kinds of segments; confederation segments (RFC 5065) are malformed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// AS_SET.
    Set,
    /// AS_SEQUENCE.
    Sequence,
}

impl AsPath {
    /// Number of ASes as path selection counts them: a set is one (RFC 4271 section 9.1.2.2 a).
    #[must_use]
    pub fn hops(&self) -> usize {
        self.segments.iter().map(Segment::hops).sum()
    }

    /// Whether `asn` appears anywhere.
    #[must_use]
    pub fn contains(&self, asn: u32) -> bool {
        self.segments.iter().any(|segment| segment.asns.contains(&asn))
    }

    /// The neighbouring AS: the first one of the path, unless the path is empty or begins with a set.
    #[must_use]
    pub fn neighbor_as(&self) -> Option<u32> {
        let first = self.segments.first().filter(|segment| segment.kind == SegmentKind::Sequence)?;
        first.asns.first().copied()
    }

    /// The path with `asn` put in front (RFC 4271 section 5.1.2 b). A full segment is not grown but preceded.
    #[must_use]
    pub fn prepended(&self, asn: u32) -> Self {
        let mut segments = self.segments.clone();
        match segments.first_mut() {
            Some(first) if first.kind == SegmentKind::Sequence && first.asns.len() < MAX_SEGMENT => {
                first.asns.insert(0, asn);
            }
            _ => segments.insert(0, Segment { kind: SegmentKind::Sequence, asns: vec![asn] }),
        }
        Self { segments }
    }
}

/// The length octet of a segment counts ASes.
pub(crate) const MAX_SEGMENT: usize = u8::MAX as usize;

/// The segments of a path, read in place. Iteration stops at the first segment that is not whole, of a kind, or empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segments<'a> {
    reader: Reader<'a>,
    /// Octets of one AS number: 2 or 4.
    width: usize,
}

/// One segment, read in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawSegment<'a> {
    pub kind: SegmentKind,
    pub count: u8,
    block: &'a [u8],
}

impl<'a> Segments<'a> {
    pub(crate) const fn new(value: &'a [u8], wide: bool) -> Self {
        Self { reader: Reader::new(value), width: if wide { 4 } else { 2 } }
    }

    /// Malformed are an unknown kind, an empty segment and an overrun (RFC 7606 section 7.2).
    fn step(&mut self) -> Result<RawSegment<'a>, Problem> {
        let kind = match self.reader.u8() {
            Some(1) => SegmentKind::Set,
            Some(2) => SegmentKind::Sequence,
            _ => return Err(Problem::Value),
        };
        let count = self.reader.u8().filter(|count| *count > 0).ok_or(Problem::Length)?;
        let block = self.reader.take(usize::from(count) * self.width).ok_or(Problem::Length)?;
        Ok(RawSegment { kind, count, block })
    }

    /// ASes as path selection counts them.
    pub(crate) fn hops(self) -> usize {
        self.map(|segment| segment.hops()).sum()
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = RawSegment<'a>;

    fn next(&mut self) -> Option<RawSegment<'a>> {
        if self.reader.is_empty() { None } else { self.step().ok() }
    }
}

impl<'a> RawSegment<'a> {
    pub(crate) fn hops(&self) -> usize {
        match self.kind {
            SegmentKind::Set => 1,
            SegmentKind::Sequence => usize::from(self.count),
        }
    }

    pub(crate) fn asns(&self) -> impl Iterator<Item = u32> + use<'a> {
        let wide = self.block.len() == usize::from(self.count) * 4;
        let (four, two) = if wide { (self.block, &[][..]) } else { (&[][..], self.block) };
        let four = four.as_chunks::<4>().0.iter().map(|octets| u32::from_be_bytes(*octets));
        let two = two.as_chunks::<2>().0.iter().map(|octets| u32::from(u16::from_be_bytes(*octets)));
        four.chain(two)
    }
}

/// Checks AS_PATH or AS4_PATH: each segment, and that no number is 0 (RFC 7607 section 2).
pub(crate) fn check(value: &[u8], wide: bool) -> Result<(), Problem> {
    let mut segments = Segments::new(value, wide);
    while !segments.reader.is_empty() {
        if segments.step()?.asns().any(|asn| asn == 0) {
            return Err(Problem::Value);
        }
    }
    Ok(())
}

/// The path of a checked value with four octets per number.
pub(crate) fn decode(value: &[u8]) -> AsPath {
    let segments = Segments::new(value, true);
    AsPath { segments: segments.map(|s| Segment { kind: s.kind, asns: s.asns().collect() }).collect() }
}

/// The value of AS_PATH with four octets per number. Segments over 255 ASes are split, empty ones left out.
pub(crate) fn encode(path: &AsPath) -> Vec<u8> {
    let mut value = Vec::new();
    for segment in &path.segments {
        for asns in segment.asns.chunks(MAX_SEGMENT) {
            value.extend([segment.kind.code(), asns.len() as u8]);
            value.extend(asns.iter().flat_map(|asn| asn.to_be_bytes()));
        }
    }
    value
}

/// Gives out, piece by piece, a checked two-octet path in the four-octet form, with the real numbers put back from
/// AS4_PATH (RFC 6793 section 4.2.3): the ASes of `narrow` that `wide` has not seen yet stay in front of it.
pub(crate) fn merge(narrow: &[u8], wide: Option<&[u8]>, mut put: impl FnMut(&[u8])) {
    let segments = Segments::new(narrow, false);
    let wide = wide.map(|wide| (wide, Segments::new(wide, true).hops()));
    // A longer AS4_PATH is not trusted.
    let wide = wide.and_then(|(wide, hops)| Some((wide, segments.hops().checked_sub(hops)?)));
    let mut leading = wide.map_or(usize::MAX, |(_, leading)| leading);
    for segment in segments {
        if leading == 0 {
            break;
        }
        let taken = match segment.kind {
            SegmentKind::Set => usize::from(segment.count),
            SegmentKind::Sequence => usize::from(segment.count).min(leading),
        };
        leading -= segment.hops().min(leading);
        put(&[segment.kind.code(), taken as u8]);
        segment.asns().take(taken).for_each(|asn| put(&asn.to_be_bytes()));
    }
    if let Some((wide, _)) = wide {
        put(wide);
    }
}

/// Whether a number of a checked four-octet path needs four octets, so that a two-octet speaker must be sent AS4_PATH.
pub(crate) fn needs_four_octets(value: &[u8]) -> bool {
    Segments::new(value, true).flat_map(|segment| segment.asns()).any(|asn| asn > u32::from(u16::MAX))
}

/// Appends a checked four-octet path in the two-octet form.
pub(crate) fn put_narrow(value: &[u8], out: &mut Vec<u8>) {
    for segment in Segments::new(value, true) {
        out.extend_from_slice(&[segment.kind.code(), segment.count]);
        for asn in segment.asns() {
            out.extend_from_slice(&u16::try_from(asn).unwrap_or(AS_TRANS).to_be_bytes());
        }
    }
}

impl SegmentKind {
    const fn code(self) -> u8 {
        match self {
            Self::Set => 1,
            Self::Sequence => 2,
        }
    }
}

impl Segment {
    fn hops(&self) -> usize {
        match self.kind {
            SegmentKind::Set => 1,
            SegmentKind::Sequence => self.asns.len(),
        }
    }
}

impl fmt::Display for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            let numbers: Vec<String> = segment.asns.iter().map(u32::to_string).collect();
            match segment.kind {
                SegmentKind::Set => write!(f, "{{{}}}", numbers.join(","))?,
                SegmentKind::Sequence => f.write_str(&numbers.join(" "))?,
            }
        }
        Ok(())
    }
}
