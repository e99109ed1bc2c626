//! What the decision process and the rules have to know of a set of attributes, read once from its canonical octets.
//! Must never keep what only a person reads.

use core::net::Ipv4Addr;

use super::hops::HopId;
use crate::wire::attr::{AttrBlock, SummaryFlags};

/// The preference of a path without LOCAL_PREF, wherever it came from.
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

/// Who we are, as far as a set of attributes can name us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub asn: u32,
    pub router_id: Ipv4Addr,
    pub cluster_id: Ipv4Addr,
}

/// The short form of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub local_pref: u32,
    /// ASes of the path; a set counts one.
    pub path_len: u16,
    pub origin: u8,
    pub flags: u8,
    /// 0 if missing, unless [`Summary::HAS_MED`].
    pub med: u32,
    /// The first AS of the path; 0 if it is empty or begins with a set.
    pub neighbor_as: u32,
    /// ORIGINATOR_ID; 0 if there is none.
    pub originator: u32,
    pub hop: HopId,
    pub cluster_len: u16,
}

impl Summary {
    pub(crate) const HAS_MED: u8 = 1;
    pub(crate) const OWN_AS: u8 = 2;
    pub(crate) const OWN_ORIGINATOR: u8 = 4;
    pub(crate) const OWN_CLUSTER: u8 = 8;
    pub(crate) const NO_EXPORT: u8 = 16;
    pub(crate) const NO_ADVERTISE: u8 = 32;
    pub(crate) const AS_SET: u8 = 64;
    pub(crate) const HAS_OTC: u8 = 128;

    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn of(canonical: &[u8], hop: HopId, own: &Own) -> Self {
        let block = AttrBlock::new(canonical);
        let facts = block.summary();
        let known = |flag: SummaryFlags| facts.flags.contains(flag);
        // Without confederations our member AS is our AS (RFC 1997).
        let no_export = known(SummaryFlags::NO_EXPORT) || known(SummaryFlags::NO_EXPORT_SUBCONFED);
        let flags = [
            (facts.med.is_some(), Self::HAS_MED),
            (block.path_contains(own.asn), Self::OWN_AS),
            (facts.originator_id == Some(own.router_id), Self::OWN_ORIGINATOR),
            (facts.cluster_hops > 0 && block.cluster_list_contains(own.cluster_id), Self::OWN_CLUSTER),
            (no_export, Self::NO_EXPORT),
            (known(SummaryFlags::NO_ADVERTISE), Self::NO_ADVERTISE),
            (known(SummaryFlags::AS_SET), Self::AS_SET),
            (facts.only_to_customer.is_some(), Self::HAS_OTC),
        ];
        Self {
            local_pref: facts.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
            path_len: facts.path_hops,
            origin: facts.origin as u8,
            flags: flags.iter().filter(|(is, _)| *is).fold(0, |all, (_, flag)| all | flag),
            med: facts.med.unwrap_or(0),
            neighbor_as: facts.neighbor_as.unwrap_or(0),
            originator: facts.originator_id.map_or(0, Ipv4Addr::to_bits),
            hop,
            cluster_len: facts.cluster_hops,
        }
    }
}
