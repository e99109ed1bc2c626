//! Communities as text and patterns over them. Must never let one kind's text stand for another kind.

use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// One number of a pattern: `*`, `7` or `7-9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    /// Any number.
    Any,
    /// From the first to the second, both included.
    Range(u32, u32),
}

impl Part {
    fn contains(self, number: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Range(min, max) => (min..=max).contains(&number),
        }
    }

    fn parse(text: &str, most: u32) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        let (min, max) = (number(min)?, number(max)?);
        (min <= max && max <= most).then_some(Self::Range(min, max))
    }
}

/// Digits only: `+1` is no number of a community.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Range(min, max) if min == max => write!(f, "{min}"),
            Self::Range(min, max) => write!(f, "{min}-{max}"),
        }
    }
}

/// The text is no pattern of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a community or a pattern of one")]
pub struct NotACommunity;

const SHORT: u32 = u16::MAX as u32;

/// Communities with names (RFC 1997, RFC 7999 blackhole, RFC 8326 graceful-shutdown, RFC 9494 long-lived stale).
const WELL_KNOWN: [(&str, u32); 7] = [
    ("graceful-shutdown", 0xffff_0000),
    ("llgr-stale", 0xffff_0006),
    ("no-llgr", 0xffff_0007),
    ("blackhole", 0xffff_029a),
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("no-export-subconfed", 0xffff_ff03),
];

/// A pattern of RFC 1997 communities: `65000:100`, `65000:*`, `65000:100-199`, or a well-known name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommunityPattern {
    /// The first half.
    pub asn: Part,
    /// The second half.
    pub value: Part,
}

impl CommunityPattern {
    /// Whether the community matches.
    #[must_use]
    pub fn matches(&self, community: u32) -> bool {
        self.asn.contains(community >> 16) && self.value.contains(community & SHORT)
    }
}

impl FromStr for CommunityPattern {
    type Err = NotACommunity;

    fn from_str(text: &str) -> Result<Self, NotACommunity> {
        if let Some((_, value)) = WELL_KNOWN.iter().find(|(name, _)| *name == text) {
            let only = |number| Part::Range(number, number);
            return Ok(Self { asn: only(value >> 16), value: only(value & SHORT) });
        }
        let (asn, value) = text.split_once(':').ok_or(NotACommunity)?;
        match (Part::parse(asn, SHORT), Part::parse(value, SHORT)) {
            (Some(asn), Some(value)) => Ok(Self { asn, value }),
            _ => Err(NotACommunity),
        }
    }
}

impl fmt::Display for CommunityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.asn, self.value)
    }
}

/// Reads one RFC 1997 community: `65000:100` or a well-known name.
#[must_use]
pub fn parse_community(text: &str) -> Option<u32> {
    let pattern: CommunityPattern = text.parse().ok()?;
    Some(exact(pattern.asn)? << 16 | exact(pattern.value)?)
}

/// One RFC 1997 community as text; well-known ones by name.
#[must_use]
pub fn format_community(community: u32) -> String {
    let known = WELL_KNOWN.iter().find(|(_, value)| *value == community);
    known.map_or_else(|| format!("{}:{}", community >> 16, community & SHORT), |(name, _)| (*name).to_owned())
}

const fn exact(part: Part) -> Option<u32> {
    match part {
        Part::Range(min, max) if min == max => Some(min),
        _ => None,
    }
}

/// A pattern of RFC 8092 large communities: `65000:1:2`, each part also `*` or a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LargeCommunityPattern(pub [Part; 3]);

impl LargeCommunityPattern {
    /// Whether the community matches.
    #[must_use]
    pub fn matches(&self, community: &[u32; 3]) -> bool {
        self.0.iter().zip(community).all(|(part, number)| part.contains(*number))
    }
}

impl FromStr for LargeCommunityPattern {
    type Err = NotACommunity;

    fn from_str(text: &str) -> Result<Self, NotACommunity> {
        let parts: Option<Vec<Part>> = text.split(':').map(|part| Part::parse(part, u32::MAX)).collect();
        let parts = parts.and_then(|parts| <[Part; 3]>::try_from(parts).ok());
        parts.map(Self).ok_or(NotACommunity)
    }
}

impl fmt::Display for LargeCommunityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [global, first, second] = self.0;
        write!(f, "{global}:{first}:{second}")
    }
}

/// Reads one RFC 8092 large community: `65000:1:2`.
#[must_use]
pub fn parse_large_community(text: &str) -> Option<[u32; 3]> {
    let LargeCommunityPattern([global, first, second]) = text.parse().ok()?;
    Some([exact(global)?, exact(first)?, exact(second)?])
}

/// One RFC 8092 large community as text.
#[must_use]
pub fn format_large_community([global, first, second]: &[u32; 3]) -> String {
    format!("{global}:{first}:{second}")
}

/// A pattern of RFC 4360 extended communities: `rt:65000:100` or `soo:192.0.2.1:7` with `*` or a range for the AS number
/// and the value, `rt:*:100`, or all eight octets as `0x0002fde800000064`. Two-octet and four-octet AS forms both match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ExtCommunityPattern {
    /// These octets.
    Raw(u64),
    /// A route target or route origin.
    Route {
        /// Which of the two.
        kind: RouteKind,
        /// Who gave it out.
        admin: Admin,
        /// The number given out.
        value: Part,
    },
}

/// The sub-types that have names (RFC 4360 sections 4 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RouteKind {
    /// Route target, `rt`.
    Target,
    /// Route origin, `soo`.
    Origin,
}

/// Who gave an extended community out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Admin {
    /// An AS (or anybody with `*`).
    As(Part),
    /// The owner of an address.
    Address(Ipv4Addr),
}

impl RouteKind {
    const fn code(self) -> u8 {
        match self {
            Self::Target => 0x02,
            Self::Origin => 0x03,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Target => "rt",
            Self::Origin => "soo",
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0x02 => Some(Self::Target),
            0x03 => Some(Self::Origin),
            _ => None,
        }
    }
}

/// What the octets of a route target or origin say.
fn split(community: u64) -> Option<(RouteKind, Admin, u32)> {
    let [form, code, a, b, c, d, e, f] = community.to_be_bytes();
    let kind = RouteKind::from_code(code)?;
    let only = |asn: u32| Admin::As(Part::Range(asn, asn));
    let (high, low) = (u32::from_be_bytes([a, b, c, d]), u32::from(u16::from_be_bytes([e, f])));
    match form {
        // RFC 4360 section 3.1, RFC 4360 section 3.2, RFC 5668.
        0x00 => {
            let asn = u32::from(u16::from_be_bytes([a, b]));
            Some((kind, only(asn), u32::from_be_bytes([c, d, e, f])))
        }
        0x01 => Some((kind, Admin::Address(Ipv4Addr::from(high)), low)),
        0x02 => Some((kind, only(high), low)),
        _ => None,
    }
}

impl ExtCommunityPattern {
    /// Whether the community matches.
    #[must_use]
    pub fn matches(&self, community: u64) -> bool {
        match *self {
            Self::Raw(octets) => octets == community,
            Self::Route { kind, admin, value } => split(community).is_some_and(|(found, by, number)| {
                found == kind && admin.covers(by) && value.contains(number)
            }),
        }
    }
}

impl Admin {
    fn covers(self, found: Self) -> bool {
        match (self, found) {
            (Self::As(Part::Any), _) => true,
            (Self::As(part), Self::As(Part::Range(asn, _))) => part.contains(asn),
            (Self::Address(address), Self::Address(found)) => address == found,
            _ => false,
        }
    }
}

impl FromStr for ExtCommunityPattern {
    type Err = NotACommunity;

    fn from_str(text: &str) -> Result<Self, NotACommunity> {
        if let Some(octets) = text.strip_prefix("0x") {
            let digits = octets.len() == 16 && octets.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = digits.then(|| u64::from_str_radix(octets, 16).ok()).flatten();
            return number.map(Self::Raw).ok_or(NotACommunity);
        }
        let mut parts = text.split(':');
        let (Some(kind), Some(admin), Some(value), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotACommunity);
        };
        let kind = [RouteKind::Target, RouteKind::Origin].into_iter().find(|known| known.name() == kind);
        let admin = match admin.parse() {
            Ok(address) => Some(Admin::Address(address)),
            Err(_) => Part::parse(admin, u32::MAX).map(Admin::As),
        };
        match (kind, admin, Part::parse(value, u32::MAX)) {
            (Some(kind), Some(admin), Some(value)) => Ok(Self::Route { kind, admin, value }),
            _ => Err(NotACommunity),
        }
    }
}

impl fmt::Display for ExtCommunityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(octets) => write!(f, "0x{octets:016x}"),
            Self::Route { kind, admin: Admin::As(asn), value } => write!(f, "{}:{asn}:{value}", kind.name()),
            Self::Route { kind, admin: Admin::Address(address), value } => {
                write!(f, "{}:{address}:{value}", kind.name())
            }
        }
    }
}

/// Reads one extended community: `rt:65000:100`, `soo:192.0.2.1:7` or `0x` and sixteen digits. An AS number over 65535
/// takes the four-octet form, which leaves two octets for the value.
#[must_use]
pub fn parse_ext_community(text: &str) -> Option<u64> {
    let (kind, admin, value) = match text.parse().ok()? {
        ExtCommunityPattern::Raw(octets) => return Some(octets),
        ExtCommunityPattern::Route { kind, admin, value } => (kind, admin, exact(value)?),
    };
    let (form, admin, short): (u8, u32, bool) = match admin {
        Admin::Address(address) => (0x01, u32::from(address), true),
        Admin::As(asn) => match exact(asn)? {
            asn if asn > SHORT => (0x02, asn, true),
            asn => (0x00, asn, false),
        },
    };
    let head = u64::from(form) << 56 | u64::from(kind.code()) << 48;
    if short {
        (value <= SHORT).then(|| head | u64::from(admin) << 16 | u64::from(value))
    } else {
        Some(head | u64::from(admin) << 32 | u64::from(value))
    }
}

/// One extended community as text; what has no name as its octets.
#[must_use]
pub fn format_ext_community(community: u64) -> String {
    let pattern = split(community).map(|(kind, admin, value)| {
        let value = Part::Range(value, value);
        ExtCommunityPattern::Route { kind, admin, value }.to_string()
    });
    // Only where the text leads back to the same octets.
    pattern
        .filter(|text| parse_ext_community(text) == Some(community))
        .unwrap_or_else(|| format!("0x{community:016x}"))
}
