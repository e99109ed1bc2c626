//! The kinds of messages, their header (RFC 4271 section 4.1) and the one without a body. Must never decide when one is
//! sent.

/// Octets of marker, length and type.
pub const HEADER_LEN: usize = 19;
/// Longest message (RFC 4271 section 4.1), unless extended messages were negotiated.
pub const MAX_LEN: usize = 4096;
/// Longest message but OPEN and KEEPALIVE if extended messages were negotiated (RFC 8654 section 4).
pub const EXTENDED_MAX_LEN: usize = 65535;
/// The marker in front of every message.
pub const MARKER: [u8; 16] = [0xff; 16];

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// OPEN.
    Open,
    /// UPDATE.
    Update,
    /// NOTIFICATION.
    Notification,
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh,
}

impl MessageKind {
    /// The type octet.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Update => 2,
            Self::Notification => 3,
            Self::Keepalive => 4,
            Self::RouteRefresh => 5,
        }
    }

    /// The kind with that type octet.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Open,
            2 => Self::Update,
            3 => Self::Notification,
            4 => Self::Keepalive,
            5 => Self::RouteRefresh,
            _ => return None,
        })
    }

    /// The smallest length the header may name (RFC 4271 section 6.1, RFC 2918 section 3).
    #[must_use]
    pub const fn min_len(self) -> usize {
        match self {
            Self::Open => 29,
            Self::Update | Self::RouteRefresh => 23,
            Self::Notification => 21,
            Self::Keepalive => 19,
        }
    }
}

/// A whole message: header and body. The body must leave room for the header within [`MAX_LEN`].
pub(crate) fn frame(kind: MessageKind, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
    bytes.extend_from_slice(&MARKER);
    bytes.extend_from_slice(&((HEADER_LEN + body.len()) as u16).to_be_bytes());
    bytes.push(kind.code());
    bytes.extend_from_slice(body);
    bytes
}

/// A KEEPALIVE (RFC 4271 section 4.4).
#[must_use]
pub fn keepalive() -> Vec<u8> {
    frame(MessageKind::Keepalive, &[])
}
