//! How the TCP connection to a neighbour is made. Only data; must never show a key.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest key that the kernel takes (tcp(7), TCP_MD5SIG_MAXKEYLEN).
pub const PASSWORD_LEN: usize = 80;
/// The least time that a neighbour may take to read something unless configured (RFC 9687 section 5).
const LEAST_SEND_HOLD: Duration = Duration::from_secs(480);

/// How the TCP connection to a neighbour is made. The default is whatever the system does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transport {
    /// The address to dial from; of the neighbour's family.
    pub local_address: Option<IpAddr>,
    /// TTL (hop limit) of outgoing packets, at least 1: how many hops away the neighbour may be.
    pub ttl: Option<u8>,
    /// GTSM (RFC 5082): the neighbour is at most this many hops away, 1 on the link, at most 254; packets that came from
    /// farther are dropped by the kernel. Excludes `ttl`.
    pub ttl_security: Option<u8>,
    /// The key of RFC 2385; 1 to [`PASSWORD_LEN`] octets. Left out wherever a configuration is written down.
    #[serde(skip)]
    pub password: Option<Password>,
    /// Seconds that the neighbour may take to read something (RFC 9687); 0 takes 8 minutes or twice the hold time,
    /// whichever is more.
    pub send_hold_time: u32,
}

impl Transport {
    /// The least TTL of packets to accept (RFC 5082 section 3); none accepts any.
    #[must_use]
    pub fn least_ttl(&self) -> Option<u8> {
        self.ttl_security.map(|hops| 255 - hops.saturating_sub(1))
    }

    /// The TTL to send with; none is the system's.
    #[must_use]
    pub fn send_ttl(&self) -> Option<u8> {
        self.ttl_security.map(|_| 255).or(self.ttl)
    }

    /// How long the neighbour may take to read something; `None` for ever: where there is no hold time, there is no send
    /// hold time unless one is configured.
    #[must_use]
    pub fn send_hold(&self, hold_time: u16) -> Option<Duration> {
        match (self.send_hold_time, hold_time) {
            (0, 0) => None,
            (0, hold_time) => Some(LEAST_SEND_HOLD.max(Duration::from_secs(2 * u64::from(hold_time)))),
            (seconds, _) => Some(Duration::from_secs(u64::from(seconds))),
        }
    }

    /// Whether a connection made by `self` is of no use under `new`.
    #[must_use]
    pub fn needs_new_connection(&self, new: &Self) -> bool {
        let same_path = self.local_address == new.local_address && self.password == new.password;
        !same_path || self.send_ttl() != new.send_ttl() || self.least_ttl() != new.least_ttl()
    }
}

/// A key, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a key.
    #[must_use]
    pub const fn new(key: String) -> Self {
        Self(key)
    }

    /// The key, for the kernel only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}
