//! Type codes of path attributes (IANA "BGP Path Attributes"). Only names.

pub(crate) const ORIGIN: u8 = 1;
pub(crate) const AS_PATH: u8 = 2;
pub(crate) const NEXT_HOP: u8 = 3;
pub(crate) const MED: u8 = 4;
pub(crate) const LOCAL_PREF: u8 = 5;
pub(crate) const ATOMIC_AGGREGATE: u8 = 6;
pub(crate) const AGGREGATOR: u8 = 7;
pub(crate) const COMMUNITIES: u8 = 8;
pub(crate) const ORIGINATOR_ID: u8 = 9;
pub(crate) const CLUSTER_LIST: u8 = 10;
pub(crate) const MP_REACH: u8 = 14;
pub(crate) const MP_UNREACH: u8 = 15;
pub(crate) const EXT_COMMUNITIES: u8 = 16;
pub(crate) const AS4_PATH: u8 = 17;
pub(crate) const AS4_AGGREGATOR: u8 = 18;
pub(crate) const IPV6_EXT_COMMUNITIES: u8 = 25;
pub(crate) const AIGP: u8 = 26;
pub(crate) const LINK_STATE: u8 = 29;
pub(crate) const LARGE_COMMUNITIES: u8 = 32;
pub(crate) const OTC: u8 = 35;
pub(crate) const PREFIX_SID: u8 = 40;

/// The name of a known type.
pub(crate) const fn name(code: u8) -> Option<&'static str> {
    Some(match code {
        ORIGIN => "ORIGIN",
        AS_PATH => "AS_PATH",
        NEXT_HOP => "NEXT_HOP",
        MED => "MULTI_EXIT_DISC",
        LOCAL_PREF => "LOCAL_PREF",
        ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
        AGGREGATOR => "AGGREGATOR",
        COMMUNITIES => "COMMUNITIES",
        ORIGINATOR_ID => "ORIGINATOR_ID",
        CLUSTER_LIST => "CLUSTER_LIST",
        MP_REACH => "MP_REACH_NLRI",
        MP_UNREACH => "MP_UNREACH_NLRI",
        EXT_COMMUNITIES => "EXTENDED_COMMUNITIES",
        AS4_PATH => "AS4_PATH",
        AS4_AGGREGATOR => "AS4_AGGREGATOR",
        IPV6_EXT_COMMUNITIES => "IPV6_EXTENDED_COMMUNITIES",
        AIGP => "AIGP",
        LINK_STATE => "BGP_LS",
        LARGE_COMMUNITIES => "LARGE_COMMUNITY",
        OTC => "ONLY_TO_CUSTOMER",
        PREFIX_SID => "PREFIX_SID",
        _ => return None,
    })
}
