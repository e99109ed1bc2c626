//! One neighbour's state machine (RFC 4271 section 8), over at most one connection per direction.
//!
//! Decides when to dial, what a message or a silence means, and which of two connections lives. Must never read a
//! clock, touch a socket, or look at routes.

mod collision;
mod connection;
mod counters;
mod event;
pub mod farewell;
mod features;
mod machine;
mod negotiate;
mod retry;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::collision::Direction;
pub use self::counters::MessageCounters;
pub use self::event::{ConnectionEnd, SessionEvent};
pub use self::negotiate::Negotiated;

use self::connection::{Connection, Phase};
use self::retry::Retry;
use crate::config::{NeighborConfig, PrefixLimit};
use crate::family::Family;
use crate::wire::notification::Notification;

/// A TCP connection as the shell numbers them; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnId(pub u64);

/// Where a session stands (RFC 4271 section 8.2.2). With two connections in collision, the one that got further counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionState {
    /// Refusing connections: stopped, or pausing after a protocol error.
    #[default]
    Idle,
    /// Dialling.
    Connect,
    /// Waiting: for the neighbour to connect, or to dial again.
    Active,
    /// Our OPEN is out.
    OpenSent,
    /// OPENs are exchanged.
    OpenConfirm,
    /// Routes flow.
    Established,
}

/// Both ends of a session as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Our AS number.
    pub asn: u32,
    /// Our router id.
    pub router_id: Ipv4Addr,
    /// The neighbour.
    pub neighbor: NeighborConfig,
}

impl SessionConfig {
    /// Whether the neighbour is in our own AS.
    #[must_use]
    pub const fn is_internal(&self) -> bool {
        self.asn == self.neighbor.asn
    }

    fn changes_open(&self, new: &Self) -> bool {
        self.asn != new.asn || self.router_id != new.router_id || self.neighbor.changes_open(&new.neighbor)
    }
}

/// What is fed to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Begin (ManualStart).
    Start,
    /// End every connection with this message and refuse new ones (ManualStop).
    Stop(Notification),
    /// End every connection with this message and begin anew.
    Reset(Notification),
    /// Close every connection without a word and refuse new ones: we come back soon, and the neighbour may keep our
    /// routes until then (RFC 4724 section 4.1).
    Abandon,
    /// The neighbour announces more prefixes than it may.
    OverLimit {
        /// The family of the prefix that was one too many.
        family: Family,
        /// The limit.
        limit: PrefixLimit,
    },
    /// Ask the neighbour for a family again, if it knows how (RFC 2918).
    AskRefresh(Family),
    /// A connection came up.
    Connected {
        /// Its number.
        conn: ConnId,
        /// Who dialled.
        direction: Direction,
    },
    /// Our dial failed.
    DialFailed {
        /// Why, for a person.
        error: &'a str,
    },
    /// Bytes came in.
    Received {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The far end closed, or the connection broke.
    Closed {
        /// The connection.
        conn: ConnId,
        /// How.
        end: ConnectionEnd,
    },
    /// Time passed.
    Tick,
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Connect to the neighbour.
    Dial,
    /// Send whole messages.
    Send {
        /// The connection.
        conn: ConnId,
        /// The messages.
        bytes: Vec<u8>,
    },
    /// Flush, then close.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// The session is Established: routes may be sent from now on.
    Up,
    /// The session has left Established: its routes are void.
    Down,
    /// Routes came in.
    Update(Vec<u8>),
    /// The neighbour wants a family again (RFC 2918).
    Refresh(Family),
    /// The neighbour begins to send a family again (RFC 7313).
    RefreshBegins(Family),
    /// The neighbour has sent a family again: what did not come is gone (RFC 7313).
    RefreshEnds(Family),
    /// For logs and watchers.
    Event(SessionEvent),
}

/// The state machine.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    running: bool,
    connections: Vec<Connection>,
    retry: Retry,
    state: SessionState,
    established_at: Option<Duration>,
    sent: MessageCounters,
    received: MessageCounters,
    flaps: u64,
    last_error: Option<String>,
    outputs: Vec<Output>,
}

impl Session {
    /// A stopped session. `seed` feeds timer jitter.
    #[must_use]
    pub fn new(config: SessionConfig, seed: u64) -> Self {
        Self {
            config,
            running: false,
            connections: Vec::new(),
            retry: Retry::new(seed),
            state: SessionState::Idle,
            established_at: None,
            sent: MessageCounters::default(),
            received: MessageCounters::default(),
            flaps: 0,
            last_error: None,
            outputs: Vec::new(),
        }
    }

    /// Feeds one event and says what to do, in order.
    pub fn handle(&mut self, input: Input<'_>, now: Duration) -> Vec<Output> {
        match input {
            Input::Start => self.start(now),
            Input::Stop(notification) => self.stop(&notification),
            Input::Reset(notification) => self.reset(&notification, now),
            Input::Abandon => self.abandon(),
            Input::OverLimit { family, limit } => self.over_limit(family, limit, now),
            Input::AskRefresh(family) => self.ask_refresh(family),
            Input::Connected { conn, direction } => self.connected(conn, direction, now),
            Input::DialFailed { error } => self.dial_failed(error, now),
            Input::Received { conn, bytes } => self.received_bytes(conn, bytes, now),
            Input::Closed { conn, end } => self.closed(conn, end, now),
            Input::Tick => {}
        }
        self.serve_timers(now);
        self.note_state();
        core::mem::take(&mut self.outputs)
    }

    /// Takes over a changed configuration. Returns what to do, and whether the session had to restart.
    pub fn reconfigure(&mut self, config: SessionConfig, now: Duration) -> (Vec<Output>, bool) {
        let reset = self.config.changes_open(&config);
        self.config = config;
        if reset && self.running {
            self.end_all(&Notification::new(Notification::CONFIG_CHANGE), "the configuration changed");
            self.retry.now(now);
        }
        if !reset {
            for connection in &mut self.connections {
                connection.set_keepalive(&self.config.neighbor, self.retry.jitter(), now);
            }
            if self.running && self.connections.is_empty() && !self.retry.is_dialling() {
                self.retry.now(now);
            }
        }
        (self.handle(Input::Tick, now), reset)
    }

    /// When [`Input::Tick`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let timers = self.connections.iter().filter_map(Connection::next_deadline);
        timers.chain(self.retry_deadline()).min()
    }

    fn retry_deadline(&self) -> Option<Duration> {
        if !self.running || !self.connections.is_empty() { None } else { self.retry.deadline(self.dials()) }
    }

    const fn dials(&self) -> bool {
        !self.config.neighbor.passive
    }

    /// Where the session stands.
    #[must_use]
    pub const fn state(&self) -> SessionState {
        self.state
    }

    /// Since when it is Established.
    #[must_use]
    pub const fn established_at(&self) -> Option<Duration> {
        self.established_at
    }

    /// What the furthest connection negotiated; `None` before an OPEN came in.
    #[must_use]
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.connections.iter().max_by_key(|connection| connection.phase()).and_then(Connection::negotiated)
    }

    /// The connection that routes flow on, if Established.
    #[must_use]
    pub fn established_conn(&self) -> Option<ConnId> {
        self.connections
            .iter()
            .find(|connection| connection.phase() == Phase::Established)
            .map(Connection::id)
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Messages sent and received since the session was made.
    #[must_use]
    pub const fn counters(&self) -> (MessageCounters, MessageCounters) {
        (self.sent, self.received)
    }

    /// Times the session has left Established.
    #[must_use]
    pub const fn flaps(&self) -> u64 {
        self.flaps
    }

    /// Why the last connection or attempt ended.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Notes UPDATEs that the owner of the RIB sends on [`Session::established_conn`].
    pub const fn count_updates_sent(&mut self, messages: u64) {
        self.sent.update += messages;
    }
}
