//! NOTIFICATION: why a session ends (RFC 4271 section 4.5 and 6, RFC 4486, RFC 6608, RFC 8538, RFC 9003). Names
//! reasons; must never decide that a session ends.

use core::fmt;

use super::message::{HEADER_LEN, MAX_LEN, MessageKind, frame};
use super::reader::Reader;
use crate::family::Family;

/// Longest text of a shutdown (RFC 9003 section 2).
const MAX_TEXT: usize = 255;

/// A NOTIFICATION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// Data, at most 4075 octets.
    pub data: Vec<u8>,
}

impl Notification {
    /// Connection Not Synchronized.
    pub const NOT_SYNCHRONIZED: (u8, u8) = (1, 1);
    /// Bad Message Length; data is the length field.
    pub const BAD_LENGTH: (u8, u8) = (1, 2);
    /// Bad Message Type; data is the type field.
    pub const BAD_TYPE: (u8, u8) = (1, 3);
    /// OPEN error without a subcode of its own.
    pub const OPEN_MALFORMED: (u8, u8) = (2, 0);
    /// Unsupported Version Number; data is the highest version we speak.
    pub const BAD_VERSION: (u8, u8) = (2, 1);
    /// Bad Peer AS.
    pub const BAD_PEER_AS: (u8, u8) = (2, 2);
    /// Bad BGP Identifier.
    pub const BAD_ROUTER_ID: (u8, u8) = (2, 3);
    /// Unsupported Optional Parameter.
    pub const BAD_PARAMETER: (u8, u8) = (2, 4);
    /// Unacceptable Hold Time.
    pub const BAD_HOLD_TIME: (u8, u8) = (2, 6);
    /// Unsupported Capability (RFC 5492 section 5); data lists what we require.
    pub const NO_COMMON_CAPABILITY: (u8, u8) = (2, 7);
    /// Role Mismatch (RFC 9234).
    pub const ROLE_MISMATCH: (u8, u8) = (2, 11);
    /// Malformed Attribute List.
    pub const MALFORMED_ATTRIBUTES: (u8, u8) = (3, 1);
    /// Unrecognized Well-known Attribute.
    pub const UNRECOGNIZED_WELL_KNOWN: (u8, u8) = (3, 2);
    /// Optional Attribute Error.
    pub const OPTIONAL_ATTRIBUTE: (u8, u8) = (3, 9);
    /// Invalid Network Field.
    pub const INVALID_NETWORK: (u8, u8) = (3, 10);
    /// Hold Timer Expired.
    pub const HOLD_EXPIRED: (u8, u8) = (4, 0);
    /// Unexpected message in OpenSent (RFC 6608).
    pub const UNEXPECTED_IN_OPEN_SENT: (u8, u8) = (5, 1);
    /// Unexpected message in OpenConfirm (RFC 6608).
    pub const UNEXPECTED_IN_OPEN_CONFIRM: (u8, u8) = (5, 2);
    /// Unexpected message in Established (RFC 6608).
    pub const UNEXPECTED_IN_ESTABLISHED: (u8, u8) = (5, 3);
    /// Maximum Number of Prefixes Reached (RFC 4486).
    pub const MAX_PREFIXES: (u8, u8) = (6, 1);
    /// Administrative Shutdown (RFC 4486).
    pub const ADMIN_SHUTDOWN: (u8, u8) = (6, 2);
    /// Peer De-configured.
    pub const PEER_DECONFIGURED: (u8, u8) = (6, 3);
    /// Administrative Reset.
    pub const ADMIN_RESET: (u8, u8) = (6, 4);
    /// Connection Rejected.
    pub const CONNECTION_REJECTED: (u8, u8) = (6, 5);
    /// Other Configuration Change.
    pub const CONFIG_CHANGE: (u8, u8) = (6, 6);
    /// Connection Collision Resolution.
    pub const COLLISION: (u8, u8) = (6, 7);
    /// Out of Resources.
    pub const OUT_OF_RESOURCES: (u8, u8) = (6, 8);
    /// Hard Reset: the real reason is in the data, and routes are not kept (RFC 8538 section 3).
    pub const HARD_RESET: (u8, u8) = (6, 9);
    /// BFD Down (RFC 9384).
    pub const BFD_DOWN: (u8, u8) = (6, 10);
    /// Invalid Message Length of a ROUTE-REFRESH; data is the message (RFC 7313 section 5).
    pub const REFRESH_LENGTH: (u8, u8) = (7, 1);
    /// Send Hold Timer Expired (RFC 9687).
    pub const SEND_HOLD_EXPIRED: (u8, u8) = (8, 0);

    /// A NOTIFICATION without data.
    #[must_use]
    pub const fn new((code, subcode): (u8, u8)) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

    /// A NOTIFICATION with data.
    #[must_use]
    pub fn with_data((code, subcode): (u8, u8), data: &[u8]) -> Self {
        Self { code, subcode, data: data.to_vec() }
    }

    /// The message; data that does not fit is cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = vec![self.code, self.subcode];
        body.extend(self.data.iter().take(MAX_LEN - HEADER_LEN - 2));
        frame(MessageKind::Notification, &body)
    }

    /// Reads a body; `None` if it is shorter than two octets, which framing rules out.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(Self { code: reader.u8()?, subcode: reader.u8()?, data: reader.rest().to_vec() })
    }

    /// A shutdown or reset with words for the other side's operator (RFC 9003 section 2): at most 255 octets, cut between
    /// two characters.
    #[must_use]
    pub fn with_text(kind: (u8, u8), text: &str) -> Self {
        let len = text.floor_char_boundary(MAX_TEXT);
        let text = text.get(..len).unwrap_or_default();
        let mut data = vec![len as u8];
        data.extend_from_slice(text.as_bytes());
        Self { data, ..Self::new(kind) }
    }

    /// Too many prefixes of a family, with the limit (RFC 4486 section 4).
    #[must_use]
    pub fn too_many_prefixes(family: Family, limit: u32) -> Self {
        let mut data = family.afi.to_be_bytes().to_vec();
        data.push(family.safi);
        data.extend(limit.to_be_bytes());
        Self { data, ..Self::new(Self::MAX_PREFIXES) }
    }

    /// The same reason as a hard reset, for a neighbour that would keep routes otherwise (RFC 8538 section 3.1).
    #[must_use]
    pub fn into_hard_reset(self) -> Self {
        let mut data = vec![self.code, self.subcode];
        data.extend(self.data);
        Self { data, ..Self::new(Self::HARD_RESET) }
    }

    /// The reason inside a hard reset.
    #[must_use]
    pub fn hard_reset_reason(&self) -> Option<Self> {
        if (self.code, self.subcode) == Self::HARD_RESET { Self::decode(&self.data) } else { None }
    }

    /// The text that comes with a shutdown or reset (RFC 9003), plain or inside a hard reset, as far as it is UTF-8.
    #[must_use]
    pub fn shutdown_text(&self) -> Option<String> {
        if let Some(reason) = self.hard_reset_reason().filter(|reason| reason.subcode != self.subcode) {
            return reason.shutdown_text();
        }
        if !matches!((self.code, self.subcode), Self::ADMIN_SHUTDOWN | Self::ADMIN_RESET) {
            return None;
        }
        let text = Reader::new(&self.data).block8().filter(|text| !text.is_empty())?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// The name of the code.
    #[must_use]
    pub const fn code_name(&self) -> &'static str {
        match self.code {
            1 => "message header error",
            2 => "OPEN message error",
            3 => "UPDATE message error",
            4 => "hold timer expired",
            5 => "state machine error",
            6 => "cease",
            7 => "ROUTE-REFRESH message error",
            8 => "send hold timer expired",
            _ => "unknown error",
        }
    }

    /// The name of the subcode, if it has one.
    #[must_use]
    pub const fn subcode_name(&self) -> Option<&'static str> {
        Some(match (self.code, self.subcode) {
            Self::NOT_SYNCHRONIZED => "connection not synchronized",
            Self::BAD_LENGTH => "bad message length",
            Self::BAD_TYPE => "bad message type",
            Self::BAD_VERSION => "unsupported version number",
            Self::BAD_PEER_AS => "bad peer AS",
            Self::BAD_ROUTER_ID => "bad BGP identifier",
            Self::BAD_PARAMETER => "unsupported optional parameter",
            Self::BAD_HOLD_TIME => "unacceptable hold time",
            Self::NO_COMMON_CAPABILITY => "unsupported capability",
            Self::ROLE_MISMATCH => "role mismatch",
            Self::MALFORMED_ATTRIBUTES => "malformed attribute list",
            Self::UNRECOGNIZED_WELL_KNOWN => "unrecognized well-known attribute",
            Self::OPTIONAL_ATTRIBUTE => "optional attribute error",
            Self::INVALID_NETWORK => "invalid network field",
            Self::UNEXPECTED_IN_OPEN_SENT => "unexpected message in OpenSent",
            Self::UNEXPECTED_IN_OPEN_CONFIRM => "unexpected message in OpenConfirm",
            Self::UNEXPECTED_IN_ESTABLISHED => "unexpected message in Established",
            Self::MAX_PREFIXES => "maximum number of prefixes reached",
            Self::ADMIN_SHUTDOWN => "administrative shutdown",
            Self::PEER_DECONFIGURED => "peer de-configured",
            Self::ADMIN_RESET => "administrative reset",
            Self::CONNECTION_REJECTED => "connection rejected",
            Self::CONFIG_CHANGE => "other configuration change",
            Self::COLLISION => "connection collision resolution",
            Self::OUT_OF_RESOURCES => "out of resources",
            Self::HARD_RESET => "hard reset",
            Self::BFD_DOWN => "BFD down",
            Self::REFRESH_LENGTH => "invalid message length",
            _ => return None,
        })
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NOTIFICATION {}/{} ({}", self.code, self.subcode, self.code_name())?;
        match self.subcode_name() {
            Some(name) => write!(f, ", {name})")?,
            None => f.write_str(")")?,
        }
        match self.shutdown_text() {
            Some(text) => write!(f, ": {text:?}"),
            None => Ok(()),
        }
    }
}
