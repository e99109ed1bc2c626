//! Capabilities of the OPEN (RFC 5492). Reads and writes them, keeps what it does not know; must never negotiate.

use core::fmt;

use super::reader::Reader;
use crate::family::Family;

mod graceful;
mod role;

pub use self::graceful::GracefulRestart;
pub use self::role::Role;

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const EXTENDED_NEXT_HOP: u8 = 5;
const EXTENDED_MESSAGE: u8 = 6;
const ROLE: u8 = 9;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;
const ADD_PATH: u8 = 69;
const ENHANCED_ROUTE_REFRESH: u8 = 70;
const FQDN: u8 = 73;

/// One capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability {
    /// A family (RFC 4760 section 8).
    Multiprotocol(Family),
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh,
    /// Families whose routes may have a next hop of another kind, by AFI (RFC 8950 section 4).
    ExtendedNextHop(Vec<(Family, u16)>),
    /// Messages up to 65535 octets (RFC 8654).
    ExtendedMessage,
    /// What the sender is to the receiver (RFC 9234 section 4).
    Role(Role),
    /// Graceful restart (RFC 4724 section 3, RFC 8538 section 2).
    GracefulRestart(GracefulRestart),
    /// The sender's AS number in four octets (RFC 6793).
    FourOctetAs(u32),
    /// Families with path identifiers (RFC 7911 section 4).
    AddPath(Vec<(Family, AddPathMode)>),
    /// Beginning and end of a refresh are marked (RFC 7313).
    EnhancedRouteRefresh,
    /// The sender's name (draft-walton-bgp-hostname-capability): of the host and of its domain, meant to be UTF-8.
    Fqdn {
        /// Host.
        host: Vec<u8>,
        /// Domain.
        domain: Vec<u8>,
    },
    /// Anything else, or a known one of a length or value that its RFC rules out.
    Unknown {
        /// Capability code.
        code: u8,
        /// Value, at most 255 octets.
        value: Vec<u8>,
    },
}

/// Which way path identifiers go, as the sender of the capability sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddPathMode {
    /// It takes several paths.
    Receive,
    /// It sends several paths.
    Send,
    /// Both.
    Both,
}

impl AddPathMode {
    const fn code(self) -> u8 {
        match self {
            Self::Receive => 1,
            Self::Send => 2,
            Self::Both => 3,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Receive,
            2 => Self::Send,
            3 => Self::Both,
            _ => return None,
        })
    }

    /// Whether it takes several paths.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::Receive | Self::Both)
    }

    /// Whether it sends several paths.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Send | Self::Both)
    }
}

impl Capability {
    /// The capability with that code and value.
    #[must_use]
    pub fn decode(code: u8, value: &[u8]) -> Self {
        Self::known(code, value).unwrap_or_else(|| Self::Unknown { code, value: value.to_vec() })
    }

    fn known(code: u8, value: &[u8]) -> Option<Self> {
        match (code, value) {
            (MULTIPROTOCOL, &[high, low, _reserved, safi]) => {
                Some(Self::Multiprotocol(Family { afi: u16::from_be_bytes([high, low]), safi }))
            }
            (ROUTE_REFRESH, []) => Some(Self::RouteRefresh),
            (EXTENDED_NEXT_HOP, value) => decode_extended_next_hop(value).map(Self::ExtendedNextHop),
            (EXTENDED_MESSAGE, []) => Some(Self::ExtendedMessage),
            (ROLE, &[role]) => Some(Self::Role(Role(role))),
            (GRACEFUL_RESTART, value) => GracefulRestart::decode(value).map(Self::GracefulRestart),
            (FOUR_OCTET_AS, &[a, b, c, d]) => Some(Self::FourOctetAs(u32::from_be_bytes([a, b, c, d]))),
            (ADD_PATH, value) => decode_add_path(value).map(Self::AddPath),
            (ENHANCED_ROUTE_REFRESH, []) => Some(Self::EnhancedRouteRefresh),
            (FQDN, value) => decode_fqdn(value),
            _ => None,
        }
    }

    /// Its code (IANA "Capability Codes").
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Multiprotocol(_) => MULTIPROTOCOL,
            Self::RouteRefresh => ROUTE_REFRESH,
            Self::ExtendedNextHop(_) => EXTENDED_NEXT_HOP,
            Self::ExtendedMessage => EXTENDED_MESSAGE,
            Self::Role(_) => ROLE,
            Self::GracefulRestart(_) => GRACEFUL_RESTART,
            Self::FourOctetAs(_) => FOUR_OCTET_AS,
            Self::AddPath(_) => ADD_PATH,
            Self::EnhancedRouteRefresh => ENHANCED_ROUTE_REFRESH,
            Self::Fqdn { .. } => FQDN,
            Self::Unknown { code, .. } => *code,
        }
    }

    /// Appends code, length and value. A value over 255 octets is cut, which makes it one that a receiver ignores.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let value = self.value();
        let len = value.len().min(usize::from(u8::MAX));
        out.extend([self.code(), len as u8]);
        out.extend(value.iter().take(len));
    }

    fn value(&self) -> Vec<u8> {
        match self {
            Self::Multiprotocol(Family { afi, safi }) => [&afi.to_be_bytes()[..], &[0, *safi]].concat(),
            Self::RouteRefresh | Self::ExtendedMessage | Self::EnhancedRouteRefresh => Vec::new(),
            Self::ExtendedNextHop(families) => {
                let octets = |(family, next_hop_afi): &(Family, u16)| {
                    let [high, low] = family.afi.to_be_bytes();
                    let [next_high, next_low] = next_hop_afi.to_be_bytes();
                    [high, low, 0, family.safi, next_high, next_low]
                };
                families.iter().flat_map(octets).collect()
            }
            Self::Role(role) => vec![role.0],
            Self::GracefulRestart(graceful) => graceful.encode(),
            Self::FourOctetAs(asn) => asn.to_be_bytes().to_vec(),
            Self::AddPath(families) => {
                let octets = |(family, mode): &(Family, AddPathMode)| {
                    let [high, low] = family.afi.to_be_bytes();
                    [high, low, family.safi, mode.code()]
                };
                families.iter().flat_map(octets).collect()
            }
            Self::Fqdn { host, domain } => {
                let mut value = vec![host.len() as u8];
                value.extend(host);
                value.push(domain.len() as u8);
                value.extend(domain);
                value
            }
            Self::Unknown { value, .. } => value.clone(),
        }
    }
}

/// Entries of a family with two octets of SAFI, and the AFI of the next hop.
fn decode_extended_next_hop(value: &[u8]) -> Option<Vec<(Family, u16)>> {
    let mut reader = Reader::new(value);
    let mut families = Vec::new();
    while !reader.is_empty() {
        let (afi, safi, next_hop_afi) = (reader.u16()?, reader.u16()?, reader.u16()?);
        families.push((Family { afi, safi: u8::try_from(safi).ok()? }, next_hop_afi));
    }
    Some(families)
}

/// RFC 7911 section 4: a mode that does not exist makes the capability one that is not understood.
fn decode_add_path(value: &[u8]) -> Option<Vec<(Family, AddPathMode)>> {
    let mut reader = Reader::new(value);
    let mut families = Vec::new();
    while !reader.is_empty() {
        let family = Family { afi: reader.u16()?, safi: reader.u8()? };
        families.push((family, AddPathMode::from_code(reader.u8()?)?));
    }
    Some(families)
}

fn decode_fqdn(value: &[u8]) -> Option<Capability> {
    let mut reader = Reader::new(value);
    let (host, domain) = (reader.block8()?.to_vec(), reader.block8()?.to_vec());
    reader.is_empty().then_some(Capability::Fqdn { host, domain })
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Multiprotocol(family) => write!(f, "multiprotocol {family}"),
            Self::RouteRefresh => f.write_str("route-refresh"),
            Self::ExtendedNextHop(families) => {
                f.write_str("extended-next-hop")?;
                families.iter().try_for_each(|(family, afi)| write!(f, " {family}/afi-{afi}"))
            }
            Self::ExtendedMessage => f.write_str("extended-message"),
            Self::Role(role) => write!(f, "role {role}"),
            Self::GracefulRestart(_) => f.write_str("graceful-restart"),
            Self::FourOctetAs(asn) => write!(f, "four-octet-as {asn}"),
            Self::AddPath(families) => {
                f.write_str("add-path")?;
                families.iter().try_for_each(|(family, mode)| write!(f, " {family}/{mode}"))
            }
            Self::EnhancedRouteRefresh => f.write_str("enhanced-route-refresh"),
            Self::Fqdn { host, domain } => {
                let (host, domain) = (String::from_utf8_lossy(host), String::from_utf8_lossy(domain));
                write!(f, "fqdn {host:?} {domain:?}")
            }
            Self::Unknown { code, .. } => write!(f, "unknown-{code}"),
        }
    }
}

impl fmt::Display for AddPathMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Both => "both",
        })
    }
}
