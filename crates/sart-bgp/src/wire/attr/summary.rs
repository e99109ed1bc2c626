//! What path selection asks of attributes, taken out of them once. Must never hold anything that allocates.

use core::net::Ipv4Addr;

use super::block::AttrBlock;
use super::{Origin, SegmentKind, as_path, scalar};
use crate::wire::code;

/// The facts of one list of attributes that routes are compared and filtered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttrSummary {
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// The neighbouring AS: the first of the path, unless the path is empty or begins with a set.
    pub neighbor_as: Option<u32>,
    /// The AS the path begins at: its last, unless the path is empty or ends with a set.
    pub origin_as: Option<u32>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// ONLY_TO_CUSTOMER (RFC 9234).
    pub only_to_customer: Option<u32>,
    /// ASes of the path; a set is one (RFC 4271 section 9.1.2.2 a).
    pub path_hops: u16,
    /// Entries of the CLUSTER_LIST.
    pub cluster_hops: u16,
    /// ORIGIN.
    pub origin: Origin,
    /// Whatever is either there or not.
    pub flags: SummaryFlags,
}

/// A set of facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SummaryFlags(u16);

impl SummaryFlags {
    /// Community NO_EXPORT (RFC 1997).
    pub const NO_EXPORT: Self = Self(1);
    /// Community NO_ADVERTISE (RFC 1997).
    pub const NO_ADVERTISE: Self = Self(1 << 1);
    /// Community NO_EXPORT_SUBCONFED (RFC 1997).
    pub const NO_EXPORT_SUBCONFED: Self = Self(1 << 2);
    /// Community GRACEFUL_SHUTDOWN (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(1 << 3);
    /// Community BLACKHOLE (RFC 7999).
    pub const BLACKHOLE: Self = Self(1 << 4);
    /// Community LLGR_STALE (RFC 9494).
    pub const LLGR_STALE: Self = Self(1 << 5);
    /// Community NO_LLGR (RFC 9494).
    pub const NO_LLGR: Self = Self(1 << 6);
    /// The path has an AS_SET (RFC 9774).
    pub const AS_SET: Self = Self(1 << 7);

    /// Whether everything of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// IANA "BGP Well-known Communities".
    const fn of_community(community: u32) -> Self {
        match community {
            0xffff_ff01 => Self::NO_EXPORT,
            0xffff_ff02 => Self::NO_ADVERTISE,
            0xffff_ff03 => Self::NO_EXPORT_SUBCONFED,
            0xffff_0000 => Self::GRACEFUL_SHUTDOWN,
            0xffff_029a => Self::BLACKHOLE,
            0xffff_0006 => Self::LLGR_STALE,
            0xffff_0007 => Self::NO_LLGR,
            _ => Self(0),
        }
    }
}

impl AttrBlock<'_> {
    /// The facts of the list.
    #[must_use]
    pub fn summary(self) -> AttrSummary {
        let mut summary = AttrSummary::default();
        for raw in self.iter() {
            let number = || scalar::decode_u32(raw.value).ok();
            match raw.code {
                code::ORIGIN => summary.origin = scalar::decode_origin(raw.value).unwrap_or_default(),
                code::AS_PATH => summary.take_path(raw.value),
                code::MED => summary.med = number(),
                code::LOCAL_PREF => summary.local_pref = number(),
                code::ORIGINATOR_ID => summary.originator_id = number().map(Ipv4Addr::from),
                code::CLUSTER_LIST => summary.cluster_hops = (raw.value.len() / 4) as u16,
                code::OTC => summary.only_to_customer = number(),
                code::COMMUNITIES => {
                    for octets in raw.value.as_chunks::<4>().0 {
                        let found = SummaryFlags::of_community(u32::from_be_bytes(*octets));
                        summary.flags = summary.flags.with(found);
                    }
                }
                _ => {}
            }
        }
        summary
    }
}

impl AttrSummary {
    fn take_path(&mut self, value: &[u8]) {
        for (index, segment) in as_path::Segments::new(value, true).enumerate() {
            self.path_hops = self.path_hops.saturating_add(segment.hops() as u16);
            if segment.kind == SegmentKind::Set {
                self.flags = self.flags.with(SummaryFlags::AS_SET);
                self.origin_as = None;
                continue;
            }
            if index == 0 {
                self.neighbor_as = segment.asns().next();
            }
            self.origin_as = segment.asns().last();
        }
    }
}
