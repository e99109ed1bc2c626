//! Capabilities of the OPEN (RFC 5492). Reads and writes them, keeps what it does not know; must never negotiate.

use core::fmt;

use super::reader::Reader;
use crate::family::Family;

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;

/// One capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability {
    /// A family (RFC 4760 section 8).
    Multiprotocol(Family),
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh,
    /// The sender's AS number in four octets (RFC 6793).
    FourOctetAs(u32),
    /// Graceful restart (RFC 4724 section 3). Without families it only promises an End-of-RIB.
    GracefulRestart {
        /// Four flag bits and the restart time in seconds (12 bits).
        flags_and_time: u16,
        /// Families with their flags.
        families: Vec<(Family, u8)>,
    },
    /// Anything else, or a known one of a length that its RFC rules out.
    Unknown {
        /// Capability code.
        code: u8,
        /// Value, at most 255 octets.
        value: Vec<u8>,
    },
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
            (FOUR_OCTET_AS, &[a, b, c, d]) => Some(Self::FourOctetAs(u32::from_be_bytes([a, b, c, d]))),
            (GRACEFUL_RESTART, value) => decode_graceful_restart(value),
            _ => None,
        }
    }

    /// Appends code, length and value. A value over 255 octets (only possible in `Unknown`) is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (code, value) = match self {
            Self::Multiprotocol(family) => (MULTIPROTOCOL, family_octets(*family, true)),
            Self::RouteRefresh => (ROUTE_REFRESH, Vec::new()),
            Self::FourOctetAs(asn) => (FOUR_OCTET_AS, asn.to_be_bytes().to_vec()),
            Self::GracefulRestart { flags_and_time, families } => {
                let mut value = flags_and_time.to_be_bytes().to_vec();
                for (family, flags) in families {
                    value.extend(family_octets(*family, false));
                    value.push(*flags);
                }
                (GRACEFUL_RESTART, value)
            }
            Self::Unknown { code, value } => (*code, value.clone()),
        };
        let len = value.len().min(usize::from(u8::MAX));
        out.extend([code, len as u8]);
        out.extend(value.iter().take(len));
    }
}

fn decode_graceful_restart(value: &[u8]) -> Option<Capability> {
    let mut reader = Reader::new(value);
    let flags_and_time = reader.u16()?;
    let mut families = Vec::new();
    while !reader.is_empty() {
        let family = Family { afi: reader.u16()?, safi: reader.u8()? };
        families.push((family, reader.u8()?));
    }
    Some(Capability::GracefulRestart { flags_and_time, families })
}

fn family_octets(family: Family, reserved: bool) -> Vec<u8> {
    let mut octets = family.afi.to_be_bytes().to_vec();
    if reserved {
        octets.push(0);
    }
    octets.push(family.safi);
    octets
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Multiprotocol(family) => write!(f, "multiprotocol {family}"),
            Self::RouteRefresh => f.write_str("route-refresh"),
            Self::FourOctetAs(asn) => write!(f, "four-octet-as {asn}"),
            Self::GracefulRestart { .. } => f.write_str("graceful-restart"),
            Self::Unknown { code, .. } => write!(f, "unknown-{code}"),
        }
    }
}
