//! Path attributes: the data a route carries and one file per attribute for its bytes. Decides what is well formed;
//! must never decide what a route is worth.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::code;

mod aggregator;
pub mod as_path;
pub mod block;
mod communities;
mod multiprotocol;
mod next_hop;
mod rule;
mod scalar;
pub(crate) mod scan;
mod summary;
mod tlv;

pub use self::as_path::{AsPath, Segment, SegmentKind};
pub use self::block::{AttrBlock, RawAttribute, TooLong};
pub(crate) use self::multiprotocol::{family_octets, put_next_hop};
pub(crate) use self::rule::{put as put_attribute, put_header as put_attribute_header};
pub use self::summary::{AttrSummary, SummaryFlags};

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
    /// EXTENDED COMMUNITIES of IPv6 addresses (RFC 5701), twenty octets each.
    pub ipv6_ext_communities: Vec<[u8; 20]>,
    /// LARGE_COMMUNITY (RFC 8092).
    pub large_communities: Vec<[u32; 3]>,
    /// ONLY_TO_CUSTOMER (RFC 9234): the AS that set it.
    pub only_to_customer: Option<u32>,
    /// Optional transitive attributes that this crate does not know, to be passed on untouched (RFC 4271 section 9).
    pub unknown: Vec<UnknownAttribute>,
    /// Which of the known optional transitive attributes passed a router that did not know them.
    pub partial: PartialBits,
}

/// The Partial bits of known optional transitive attributes (RFC 4271 section 4.3): once set they stay set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartialBits(u8);

impl PartialBits {
    /// The type codes that have a place.
    pub const CODES: [u8; 6] = [
        code::AGGREGATOR,
        code::COMMUNITIES,
        code::EXT_COMMUNITIES,
        code::IPV6_EXT_COMMUNITIES,
        code::LARGE_COMMUNITIES,
        code::OTC,
    ];

    fn mask(code: u8) -> u8 {
        Self::CODES.iter().position(|known| *known == code).map_or(0, |place| 1 << place)
    }

    /// Whether the attribute of that type code has its bit set.
    #[must_use]
    pub fn has(self, code: u8) -> bool {
        self.0 & Self::mask(code) != 0
    }

    /// Sets the bit of that type code; does nothing for codes that are not in [`Self::CODES`].
    pub fn set(&mut self, code: u8) {
        self.0 |= Self::mask(code);
    }
}

/// ORIGIN, best first (RFC 4271 section 9.1.2.2 c).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
