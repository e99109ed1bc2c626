//! The role capability (RFC 9234 section 4): names the roles and which go together. Must never pick one.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What a speaker is to the other one, by the number on the wire; any number can be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Role(pub u8);

impl Role {
    /// It sells transit to the other.
    pub const PROVIDER: Self = Self(0);
    /// A route server.
    pub const ROUTE_SERVER: Self = Self(1);
    /// A client of a route server.
    pub const ROUTE_SERVER_CLIENT: Self = Self(2);
    /// It buys transit from the other.
    pub const CUSTOMER: Self = Self(3);
    /// It exchanges its own and its customers' routes.
    pub const PEER: Self = Self(4);

    /// Whether two speakers can have these roles towards each other (RFC 9234 section 4.2).
    #[must_use]
    pub const fn fits(self, other: Self) -> bool {
        matches!((self.0, other.0), (0, 3) | (3, 0) | (1, 2) | (2, 1) | (4, 4))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PROVIDER => f.write_str("provider"),
            Self::ROUTE_SERVER => f.write_str("route-server"),
            Self::ROUTE_SERVER_CLIENT => f.write_str("route-server-client"),
            Self::CUSTOMER => f.write_str("customer"),
            Self::PEER => f.write_str("peer"),
            Self(code) => write!(f, "role-{code}"),
        }
    }
}
