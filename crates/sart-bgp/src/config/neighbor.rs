//! One neighbour as configured: who it is, how the session is kept and what it may cost. Only data and its defaults; must
//! never touch a session.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BGP_PORT, Features, Transport};
use crate::family::Family;
use crate::policy::ChainConfig;

/// Hold time proposed unless configured, in seconds (RFC 4271 section 10 suggests 90).
pub const DEFAULT_HOLD_TIME: u16 = 90;
/// The longest pause between two dials unless configured, in seconds.
pub const DEFAULT_CONNECT_RETRY: u16 = 8;
/// Octets that the text of a shutdown may have (RFC 9003 section 2).
pub const SHUTDOWN_TEXT_LEN: usize = 255;

/// One neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighborConfig {
    /// Free name, unique, not empty.
    pub name: String,
    /// The neighbour's address; the key.
    pub address: IpAddr,
    /// The neighbour's AS number; equal to ours means iBGP.
    pub asn: u32,
    /// Proposed hold time in seconds; none takes [`DEFAULT_HOLD_TIME`]; 0 proposes to do without hold timer and
    /// keepalives; 1 and 2 are refused (RFC 4271 section 4.2).
    pub hold_time: Option<u16>,
    /// Keepalive interval in seconds; 0 takes a third of the negotiated hold time, which is also the upper bound.
    pub keepalive_time: u16,
    /// The longest pause between two dials in seconds; 0 takes [`DEFAULT_CONNECT_RETRY`]. The first pauses are shorter.
    pub connect_retry: u16,
    /// Wait for the neighbour to connect, never dial.
    pub passive: bool,
    /// Families to offer; empty takes the one of `address`.
    pub families: Vec<Family>,
    /// Groups that [`super::LocalPath::groups`] is matched against; a neighbour without groups takes every path.
    pub groups: Vec<String>,
    /// TCP port to dial; 0 takes 179.
    pub port: u16,
    /// Router id the neighbour must present; none accepts any.
    pub router_id: Option<Ipv4Addr>,
    /// We reflect our AS's routes to it and from it (RFC 4456); only for a neighbour in our AS.
    pub reflector_client: bool,
    /// Its paths have to begin with its AS (RFC 4271 section 6.3), or they are refused; only for a neighbour of another AS. Not for
    /// a route server, which leaves itself out (RFC 7947 section 2.2.2).
    pub enforce_first_as: bool,
    /// What is taken from it, after the rules of [`super::Global`]; none leaves it to them and to RFC 8212.
    pub import: Option<ChainConfig>,
    /// What it is told, after the rules of [`super::Global`]; none leaves it to them and to RFC 8212.
    pub export: Option<ChainConfig>,
    /// Kept down on purpose. The text goes to the neighbour with the NOTIFICATION (RFC 9003); it may be empty and has at
    /// most [`SHUTDOWN_TEXT_LEN`] octets.
    pub shutdown: Option<String>,
    /// How many prefixes of each family it may announce; none lets it announce any number.
    pub prefix_limit: Option<PrefixLimit>,
    /// It is told at most so many routes of each family, at least 1; none tells it any number.
    pub export_limit: Option<u32>,
    /// How the TCP connection is made.
    pub transport: Transport,
    /// Which extensions are offered.
    pub features: Features,
}

/// How many prefixes of each family a neighbour may announce, accepted or not (RFC 4486 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixLimit {
    /// One more ends the session; at least 1.
    pub max: u32,
    /// From this share of `max` on a warning is given, once per session and family; 1 to 100 percent.
    pub warn_percent: u8,
    /// Seconds until the session may come up again; none keeps it down until its configuration changes or it is reset.
    pub restart: Option<u32>,
}

impl PrefixLimit {
    /// A limit that warns at 80 percent and keeps the session down.
    #[must_use]
    pub const fn new(max: u32) -> Self {
        Self { max, warn_percent: 80, restart: None }
    }

    /// The number of prefixes from which on a warning is given.
    #[must_use]
    pub const fn warns_from(&self) -> u64 {
        (self.max as u64 * self.warn_percent as u64).div_ceil(100)
    }
}

impl NeighborConfig {
    /// A neighbour with every default.
    #[must_use]
    pub fn new(name: &str, address: IpAddr, asn: u32) -> Self {
        Self {
            name: name.to_owned(),
            address,
            asn,
            hold_time: None,
            keepalive_time: 0,
            connect_retry: 0,
            passive: false,
            families: Vec::new(),
            groups: Vec::new(),
            port: 0,
            router_id: None,
            reflector_client: false,
            enforce_first_as: false,
            import: None,
            export: None,
            shutdown: None,
            prefix_limit: None,
            export_limit: None,
            transport: Transport::default(),
            features: Features::default(),
        }
    }

    /// The hold time to propose, in seconds; 0 does without.
    #[must_use]
    pub fn proposed_hold_time(&self) -> u16 {
        self.hold_time.unwrap_or(DEFAULT_HOLD_TIME)
    }

    /// The longest pause between two dials.
    #[must_use]
    pub fn longest_retry(&self) -> Duration {
        let seconds = if self.connect_retry == 0 { DEFAULT_CONNECT_RETRY } else { self.connect_retry };
        Duration::from_secs(u64::from(seconds))
    }

    /// The TCP port to dial.
    #[must_use]
    pub const fn dial_port(&self) -> u16 {
        if self.port == 0 { BGP_PORT } else { self.port }
    }

    /// The families to offer, sorted, without repeats.
    #[must_use]
    pub fn offered_families(&self) -> Vec<Family> {
        let mut families = self.families.clone();
        if families.is_empty() {
            families.push(Family::of_address(&self.address));
        }
        families.sort_unstable();
        families.dedup();
        families
    }

    /// The keepalive interval that follows from a negotiated hold time; `None` if keepalives are off (hold time 0).
    #[must_use]
    pub fn keepalive_interval(&self, negotiated_hold: Duration) -> Option<Duration> {
        if negotiated_hold.is_zero() {
            return None;
        }
        let third = negotiated_hold / 3;
        let wanted = Duration::from_secs(u64::from(self.keepalive_time));
        Some(if wanted.is_zero() { third } else { wanted.min(third) })
    }

    /// Whether a change from `self` to `new` alters the connection or what the OPEN says or must say, so that the session
    /// has to restart.
    #[must_use]
    pub fn changes_open(&self, new: &Self) -> bool {
        self.asn != new.asn
            || self.proposed_hold_time() != new.proposed_hold_time()
            || self.offered_families() != new.offered_families()
            || self.router_id != new.router_id
            || self.features != new.features
            || self.transport.needs_new_connection(&new.transport)
    }
}
