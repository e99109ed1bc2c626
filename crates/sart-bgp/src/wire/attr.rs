//! Path attributes: the data a route carries and one file per attribute for its bytes. Decides what is well formed;
//! must never decide what a route is worth.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

mod aggregator;
pub mod as_path;
mod communities;
mod list;
mod multiprotocol;
mod next_hop;
mod reflection;
mod rule;
mod scalar;

pub use self::as_path::{AsPath, Segment, SegmentKind};
pub(crate) use self::list::{DecodedList, ListContext, decode_list, encode_list};
pub(crate) use self::multiprotocol::{encode_reach, encode_unreach};

/// Everything a route carries besides its prefix and next hop, after RFC 6793 merging. Shared between routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH with four-octet numbers.
    pub as_path: AsPath,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE is present.
    pub atomic_aggregate: bool,
    /// AGGREGATOR with a four-octet number.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES (RFC 1997) in the order received.
    pub communities: Vec<u32>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST (RFC 4456).
    pub cluster_list: Vec<Ipv4Addr>,
    /// EXTENDED COMMUNITIES (RFC 4360) as big-endian numbers.
    pub ext_communities: Vec<u64>,
    /// LARGE_COMMUNITY (RFC 8092).
    pub large_communities: Vec<[u32; 3]>,
    /// Optional transitive attributes that this crate does not know, to be passed on untouched (RFC 4271 section 9).
    pub unknown: Vec<UnknownAttribute>,
}

/// ORIGIN, best first (RFC 4271 section 9.1.2.2 c).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// From the inside of its AS.
    #[default]
    Igp,
    /// From the EGP of old.
    Egp,
    /// Otherwise.
    Incomplete,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Igp => "igp",
            Self::Egp => "egp",
            Self::Incomplete => "incomplete",
        })
    }
}

/// AGGREGATOR: who formed an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregator {
    /// Its AS number.
    pub asn: u32,
    /// Its router id.
    pub router_id: Ipv4Addr,
}

/// An optional transitive attribute passed through; its Partial bit is always set on the way out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownAttribute {
    /// Type code.
    pub code: u8,
    /// Value, never looked into.
    pub value: Vec<u8>,
}

/// The next hop of announced routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHop {
    /// The address to forward to.
    pub address: IpAddr,
    /// The link-local address that RFC 2545 section 3 lets travel beside a global one.
    pub link_local: Option<Ipv6Addr>,
}
