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

    /// Whether a number needs four octets, so that a two-octet speaker must be sent AS4_PATH as well.
    pub(crate) fn needs_four_octets(&self) -> bool {
        self.segments.iter().flat_map(|segment| &segment.asns).any(|asn| *asn > u32::from(u16::MAX))
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

/// Reads AS_PATH (`wide` with four octets per number) or AS4_PATH (always wide). Malformed are an unknown segment type,
/// an empty segment, an overrun (RFC 7606 section 7.2) and AS 0 (RFC 7607 section 2).
pub(crate) fn decode(value: &[u8], wide: bool) -> Result<AsPath, Problem> {
    let mut reader = Reader::new(value);
    let mut segments = Vec::new();
    while !reader.is_empty() {
        let kind = match reader.u8() {
            Some(1) => SegmentKind::Set,
            Some(2) => SegmentKind::Sequence,
            _ => return Err(Problem::Value),
        };
        let count = usize::from(reader.u8().ok_or(Problem::Length)?);
        let block = reader.take(count * if wide { 4 } else { 2 }).ok_or(Problem::Length)?;
        let asns = decode_asns(block, wide);
        if asns.is_empty() {
            return Err(Problem::Length);
        }
        if asns.contains(&0) {
            return Err(Problem::Value);
        }
        segments.push(Segment { kind, asns });
    }
    Ok(AsPath { segments })
}

fn decode_asns(block: &[u8], wide: bool) -> Vec<u32> {
    if wide {
        block.as_chunks::<4>().0.iter().map(|octets| u32::from_be_bytes(*octets)).collect()
    } else {
        block.as_chunks::<2>().0.iter().map(|octets| u32::from(u16::from_be_bytes(*octets))).collect()
    }
}

/// The value of AS_PATH or AS4_PATH. Segments over 255 ASes are split, empty ones left out.
pub(crate) fn encode(path: &AsPath, wide: bool) -> Vec<u8> {
    let mut value = Vec::new();
    for segment in &path.segments {
        for asns in segment.asns.chunks(MAX_SEGMENT) {
            value.extend([segment.kind.code(), asns.len() as u8]);
            for asn in asns {
                if wide {
                    value.extend(asn.to_be_bytes());
                } else {
                    value.extend(u16::try_from(*asn).unwrap_or(AS_TRANS).to_be_bytes());
                }
            }
        }
    }
    value
}

/// Puts the real numbers back into a path that came through a two-octet speaker (RFC 6793 section 4.2.3): the ASes of
/// `narrow` that `wide` has not seen yet stay in front of it.
pub(crate) fn merge(narrow: &AsPath, wide: &AsPath) -> AsPath {
    let Some(mut leading) = narrow.hops().checked_sub(wide.hops()) else { return narrow.clone() };
    let mut segments = Vec::new();
    for segment in &narrow.segments {
        if leading == 0 {
            break;
        }
        let taken = segment.hops().min(leading);
        leading -= taken;
        let asns = match segment.kind {
            SegmentKind::Set => segment.asns.clone(),
            SegmentKind::Sequence => segment.asns.iter().take(taken).copied().collect(),
        };
        segments.push(Segment { kind: segment.kind, asns });
    }
    segments.extend(wide.segments.iter().cloned());
    AsPath { segments }
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
