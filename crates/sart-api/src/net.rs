//! Validated numbers and prefixes of the API: an ASN, a router id, a CIDR without host bits.
//!
//! The schema refuses bad values already; these types catch what was stored before the schema knew.

use core::net::{IpAddr, Ipv4Addr};
use core::str::FromStr;

use ipnet::IpNet;

/// A value of the API that does not parse.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// Not a prefix in CIDR notation.
    #[error("{0:?} is not a CIDR; write for example 10.0.1.0/24")]
    Cidr(String),
    /// A prefix with bits set behind its length.
    #[error("{given} has host bits set; write {network}")]
    HostBits {
        /// What was written.
        given: IpNet,
        /// The network it belongs to.
        network: IpNet,
    },
    /// Not an IP address.
    #[error("{0:?} is not an IP address")]
    Address(String),
    /// Not an AS number.
    #[error("{0:?} is not an AS number; use 1 to 4294967295")]
    Asn(String),
    /// Not a router id.
    #[error("{0:?} is not a router id; write it as an IPv4 address other than 0.0.0.0")]
    RouterId(String),
}

impl ParseError {
    /// The word used in conditions and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Cidr(_) => "InvalidCidr",
            Self::HostBits { .. } => "CidrHasHostBits",
            Self::Address(_) => "InvalidAddress",
            Self::Asn(_) => "InvalidAsn",
            Self::RouterId(_) => "InvalidRouterId",
        }
    }
}

/// A network: host bits are zero.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cidr(IpNet);

impl Cidr {
    /// The prefix itself.
    #[must_use]
    pub fn net(self) -> IpNet {
        self.0
    }

    /// Whether no address is in both.
    #[must_use]
    pub fn is_disjoint(self, other: Self) -> bool {
        !self.0.contains(&other.0) && !other.0.contains(&self.0)
    }
}

impl FromStr for Cidr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let given: IpNet = text.parse().map_err(|_| ParseError::Cidr(text.to_owned()))?;
        let network = given.trunc();
        if given != network {
            return Err(ParseError::HostBits { given, network });
        }
        Ok(Self(network))
    }
}

impl core::fmt::Display for Cidr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// An AS number; never zero (RFC 7607 section 2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Asn(u32);

impl Asn {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Asn {
    type Error = ParseError;

    fn try_from(number: u32) -> Result<Self, ParseError> {
        if number == 0 { Err(ParseError::Asn(number.to_string())) } else { Ok(Self(number)) }
    }
}

impl FromStr for Asn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let number: u32 = text.parse().map_err(|_| ParseError::Asn(text.to_owned()))?;
        Self::try_from(number)
    }
}

/// Parses an address of either family.
///
/// # Errors
/// The text is no IP address.
pub fn parse_address(text: &str) -> Result<IpAddr, ParseError> {
    text.trim().parse().map_err(|_| ParseError::Address(text.to_owned()))
}

/// Parses a router id: a non-zero IPv4 address (RFC 6286 section 2.1).
///
/// # Errors
/// The text is no such address.
pub fn parse_router_id(text: &str) -> Result<Ipv4Addr, ParseError> {
    let id: Ipv4Addr = text.parse().map_err(|_| ParseError::RouterId(text.to_owned()))?;
    if id.is_unspecified() { Err(ParseError::RouterId(text.to_owned())) } else { Ok(id) }
}

/// The host prefix of an address: /32 or /128.
#[must_use]
pub fn host_prefix(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cidr_with_host_bits_is_refused_and_the_message_names_the_network() {
        let error = "10.0.1.7/24".parse::<Cidr>().unwrap_err();
        assert_eq!(error.reason(), "CidrHasHostBits");
        assert!(error.to_string().contains("10.0.1.0/24"), "{error}");
    }

    #[test]
    fn bad_numbers_have_their_own_reason() {
        assert_eq!("0".parse::<Asn>().unwrap_err().reason(), "InvalidAsn");
        assert_eq!("4294967296".parse::<Asn>().unwrap_err().reason(), "InvalidAsn");
        assert_eq!(parse_router_id("0.0.0.0").unwrap_err().reason(), "InvalidRouterId");
        assert_eq!(parse_router_id("fd00::1").unwrap_err().reason(), "InvalidRouterId");
        assert_eq!(parse_address("10.0.0").unwrap_err().reason(), "InvalidAddress");
        assert_eq!("10.0.0.0/33".parse::<Cidr>().unwrap_err().reason(), "InvalidCidr");
    }

    #[test]
    fn prefixes_of_different_families_are_disjoint_and_a_subnet_is_not() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        assert!(cidr("10.0.0.0/8").is_disjoint(cidr("fd00::/8")));
        assert!(!cidr("10.0.0.0/8").is_disjoint(cidr("10.1.0.0/16")));
        assert!(!cidr("10.1.0.0/16").is_disjoint(cidr("10.0.0.0/8")));
    }
}
