//! The kinds of messages and their header constants (RFC 4271 section 4.1).

/// Octets of marker, length and type.
pub const HEADER_LEN: usize = 19;
/// Longest message (RFC 4271; the extension of RFC 8654 is not offered).
pub const MAX_LEN: usize = 4096;
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
