//! Builds UPDATEs octet by octet, well-formed or not. Must never refuse: what is wrong is wrong on purpose.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::raw_peer::{UPDATE, message};

/// ORIGIN (RFC 4271 section 5.1.1).
pub const ORIGIN: u8 = 1;
/// AS_PATH.
pub const AS_PATH: u8 = 2;
/// NEXT_HOP.
pub const NEXT_HOP: u8 = 3;
/// MULTI_EXIT_DISC.
pub const MED: u8 = 4;
/// LOCAL_PREF.
pub const LOCAL_PREF: u8 = 5;
/// ATOMIC_AGGREGATE.
pub const ATOMIC_AGGREGATE: u8 = 6;
/// AGGREGATOR.
pub const AGGREGATOR: u8 = 7;
/// COMMUNITIES (RFC 1997).
pub const COMMUNITIES: u8 = 8;
/// ORIGINATOR_ID (RFC 4456).
pub const ORIGINATOR_ID: u8 = 9;
/// CLUSTER_LIST (RFC 4456).
pub const CLUSTER_LIST: u8 = 10;
/// MP_REACH_NLRI (RFC 4760).
pub const MP_REACH: u8 = 14;
/// MP_UNREACH_NLRI (RFC 4760).
pub const MP_UNREACH: u8 = 15;
/// EXTENDED COMMUNITIES (RFC 4360).
pub const EXT_COMMUNITIES: u8 = 16;
/// AS4_PATH (RFC 6793).
pub const AS4_PATH: u8 = 17;
/// AS4_AGGREGATOR (RFC 6793).
pub const AS4_AGGREGATOR: u8 = 18;
/// IPv6 address specific extended communities (RFC 5701).
pub const IPV6_EXT_COMMUNITIES: u8 = 25;
/// AIGP (RFC 7311).
pub const AIGP: u8 = 26;
/// BGP-LS (RFC 9552).
pub const LINK_STATE: u8 = 29;
/// LARGE_COMMUNITY (RFC 8092).
pub const LARGE_COMMUNITIES: u8 = 32;
/// ONLY_TO_CUSTOMER (RFC 9234).
pub const OTC: u8 = 35;
/// PREFIX_SID (RFC 8669).
pub const PREFIX_SID: u8 = 40;

/// Flags of a well-known attribute.
pub const WELL_KNOWN: u8 = 0x40;
/// Flags of an optional attribute that is not passed on.
pub const NON_TRANSITIVE: u8 = 0x80;
/// Flags of an optional attribute that is passed on.
pub const TRANSITIVE: u8 = 0xc0;
/// The Partial flag.
pub const PARTIAL: u8 = 0x20;

const EXTENDED_LENGTH: u8 = 0x10;

/// An UPDATE in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    withdrawn: Vec<u8>,
    /// Type and octets with the header.
    attributes: Vec<(u8, Vec<u8>)>,
    nlri: Vec<u8>,
}

impl Update {
    /// Nothing at all: the End-of-RIB marker of IPv4 unicast.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces `prefixes` of one family, such as `10.50.0.0/24`, with ORIGIN, AS_PATH and the next hop. Prefixes that
    /// cannot be read are left out.
    #[must_use]
    pub fn announce(prefixes: &[&str], path: &[u32], next_hop: IpAddr) -> Self {
        let update =
            Self::new().attribute(WELL_KNOWN, ORIGIN, &[0]).attribute(WELL_KNOWN, AS_PATH, &sequence(path));
        let routes: Vec<u8> = prefixes.iter().flat_map(|prefix| nlri(prefix)).collect();
        match next_hop {
            IpAddr::V4(next_hop) => {
                update.attribute(WELL_KNOWN, NEXT_HOP, &next_hop.octets()).routes(&routes)
            }
            IpAddr::V6(next_hop) => {
                update.attribute(NON_TRANSITIVE, MP_REACH, &reach((2, 1), &next_hop.octets(), &routes))
            }
        }
    }

    /// Withdraws `prefixes` of one family.
    #[must_use]
    pub fn withdraw(prefixes: &[&str]) -> Self {
        let routes: Vec<u8> = prefixes.iter().flat_map(|prefix| nlri(prefix)).collect();
        if prefixes.iter().any(|prefix| prefix.contains(':')) {
            return Self::new().attribute(NON_TRANSITIVE, MP_UNREACH, &[&[0, 2, 1], &routes[..]].concat());
        }
        Self { withdrawn: routes, ..Self::default() }
    }

    /// Appends an attribute; its length field is as long as it needs.
    #[must_use]
    pub fn attribute(mut self, flags: u8, kind: u8, value: &[u8]) -> Self {
        let mut bytes = match u8::try_from(value.len()) {
            Ok(length) => vec![flags, kind, length],
            Err(_) => {
                let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
                vec![flags | EXTENDED_LENGTH, kind, high, low]
            }
        };
        bytes.extend(value);
        self.attributes.push((kind, bytes));
        self
    }

    /// Appends octets to the attribute list as they are.
    #[must_use]
    pub fn raw_attribute(mut self, bytes: &[u8]) -> Self {
        self.attributes.push((0, bytes.to_vec()));
        self
    }

    /// Leaves an attribute out.
    #[must_use]
    pub fn without(mut self, kind: u8) -> Self {
        self.attributes.retain(|(known, _)| *known != kind);
        self
    }

    /// Replaces an attribute.
    #[must_use]
    pub fn with(self, flags: u8, kind: u8, value: &[u8]) -> Self {
        self.without(kind).attribute(flags, kind, value)
    }

    /// Appends octets to the NLRI field as they are.
    #[must_use]
    pub fn routes(mut self, bytes: &[u8]) -> Self {
        self.nlri.extend(bytes);
        self
    }

    /// The whole message.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let attributes = self.attributes.iter().flat_map(|(_, bytes)| bytes).copied().collect::<Vec<_>>();
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        let mut body = length(&self.withdrawn).to_vec();
        body.extend(&self.withdrawn);
        body.extend(length(&attributes));
        body.extend(attributes);
        body.extend(&self.nlri);
        message(UPDATE, &body)
    }
}

/// The value of an AS_PATH of one sequence with four-octet numbers; empty for no numbers.
#[must_use]
pub fn sequence(path: &[u32]) -> Vec<u8> {
    segment(2, path)
}

/// One segment of a path: 1 is a set, 2 a sequence (RFC 4271 section 4.3). Empty for no numbers.
#[must_use]
pub fn segment(kind: u8, path: &[u32]) -> Vec<u8> {
    if path.is_empty() {
        return Vec::new();
    }
    let mut value = vec![kind, u8::try_from(path.len()).unwrap_or(u8::MAX)];
    value.extend(path.iter().flat_map(|asn| asn.to_be_bytes()));
    value
}

/// The value of an MP_REACH_NLRI for (AFI, SAFI).
#[must_use]
pub fn reach((afi, safi): (u16, u8), next_hop: &[u8], routes: &[u8]) -> Vec<u8> {
    let mut value = afi.to_be_bytes().to_vec();
    value.extend([safi, u8::try_from(next_hop.len()).unwrap_or(u8::MAX)]);
    value.extend(next_hop);
    value.push(0);
    value.extend(routes);
    value
}

/// A prefix as it stands in a message; nothing if it cannot be read.
#[must_use]
pub fn nlri(prefix: &str) -> Vec<u8> {
    let Some((address, bits)) = prefix.split_once('/') else { return Vec::new() };
    let octets = match address.parse() {
        Ok(IpAddr::V4(address)) => address.octets().to_vec(),
        Ok(IpAddr::V6(address)) => address.octets().to_vec(),
        Err(_) => return Vec::new(),
    };
    let Ok(bits) = bits.parse::<u8>() else { return Vec::new() };
    let mut value = vec![bits];
    value.extend(octets.iter().take(usize::from(bits).div_ceil(8)));
    value
}

/// The prefixes of an NLRI field in text; stops where it cannot read on.
pub(crate) fn prefixes(mut bytes: &[u8], ipv6: bool) -> Vec<String> {
    let mut found = Vec::new();
    while let Some((&bits, rest)) = bytes.split_first() {
        let Some((octets, rest)) = rest.split_at_checked(usize::from(bits).div_ceil(8)) else { break };
        bytes = rest;
        let mut all = [0_u8; 16];
        if octets.len() > if ipv6 { 16 } else { 4 } {
            break;
        }
        all[..octets.len()].copy_from_slice(octets);
        let address = if ipv6 {
            IpAddr::V6(Ipv6Addr::from(all))
        } else {
            IpAddr::V4(Ipv4Addr::new(all[0], all[1], all[2], all[3]))
        };
        found.push(format!("{address}/{bits}"));
    }
    found
}
