//! AS_PATH: the ASes a route went through (RFC 4271 section 4.3 b). Counts and prepends; must never judge loops.

use core::fmt;

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
