//! One neighbour's state machine (RFC 4271 section 8), over at most one connection per direction.
//!
//! Decides when to dial, what a message or a silence means, and which of two connections lives. Must never read a
//! clock, touch a socket, or look at routes.

mod collision;
mod connection;
mod counters;
mod event;
mod negotiate;
mod retry;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;
use core::time::Duration;

pub use self::collision::Direction;
pub use self::counters::MessageCounters;
pub use self::event::{ConnectionEnd, SessionEvent};
pub use self::negotiate::Negotiated;

use self::connection::{Connection, Ending, Heard, Phase};
use self::retry::Retry;
use crate::config::NeighborConfig;
use crate::family::Family;
use crate::wire::message::MessageKind;
use crate::wire::notification::Notification;

/// A TCP connection as the shell numbers them; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Routes came in: the body of an UPDATE that was read without a fault that ends the session.
    Update(Vec<u8>),
    /// The neighbour wants a family again (RFC 2918).
    Refresh(Family),
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
                connection.set_keepalive(&self.config.neighbor, now);
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

    fn start(&mut self, now: Duration) {
        if !self.running {
            self.running = true;
            self.retry.now(now);
        }
    }

    fn stop(&mut self, notification: &Notification) {
        self.running = false;
        self.end_all(notification, "");
        self.retry.forget();
    }

    fn end_all(&mut self, notification: &Notification, detail: &str) {
        for connection in core::mem::take(&mut self.connections) {
            self.end_with(connection, Ending::answered(notification.clone(), detail));
        }
    }

    fn connected(&mut self, conn: ConnId, direction: Direction, now: Duration) {
        if direction == Direction::Outbound {
            self.retry.dial_answered();
        }
        // Where OPENs are exchanged already, a second dial could only start a collision.
        let exchanged = self.connections.iter().any(|connection| connection.phase() >= Phase::OpenConfirm);
        let unwanted = direction == Direction::Outbound && exchanged;
        if !self.running || self.retry.refuses(now) || unwanted {
            self.outputs.push(Output::Close { conn });
            return;
        }
        // A second connection of one direction means that the far end has given up the first.
        let stale =
            |other: &Connection| other.direction() == direction && other.phase() != Phase::Established;
        for connection in self.take_connections(stale) {
            let collision = Notification::new(Notification::COLLISION);
            self.end_with(connection, Ending::answered(collision, "a newer connection replaces this one"));
        }
        let connection = Connection::new(conn, direction, now);
        self.send(conn, MessageKind::Open, negotiate::our_open(&self.config).encode());
        self.connections.push(connection);
    }

    fn dial_failed(&mut self, error: &str, now: Duration) {
        if !self.retry.is_dialling() {
            return;
        }
        self.event(SessionEvent::DialFailed { error: error.to_owned() });
        self.retry.dial_answered();
        self.retry.failed(false, now);
    }

    fn received_bytes(&mut self, conn: ConnId, bytes: &[u8], now: Duration) {
        if let Some(connection) = self.connection_mut(conn) {
            connection.push(bytes);
        }
        // The connection can vanish while its bytes are read.
        while let Some(connection) = self.connections.iter_mut().find(|connection| connection.id() == conn) {
            match connection.next_message(&self.config, now) {
                None => break,
                Some((kind, heard)) => {
                    if let Some(kind) = kind {
                        self.received.count(kind, 1);
                    }
                    self.heard(conn, heard, now);
                    self.note_state();
                }
            }
        }
    }

    fn heard(&mut self, conn: ConnId, heard: Heard, now: Duration) {
        match heard {
            Heard::Nothing => {}
            Heard::Open => self.opened(conn, now),
            Heard::Up => self.up(conn, now),
            Heard::Update(body, faults) => {
                for fault in &faults {
                    self.event(SessionEvent::UpdateFault { detail: fault.to_string() });
                }
                self.outputs.push(Output::Update(body));
            }
            Heard::Refresh(family) => self.outputs.push(Output::Refresh(family)),
            Heard::End(ending) => self.end(conn, ending, now),
        }
    }

    /// An acceptable OPEN came in: settle a collision (RFC 4271 section 6.8), then confirm.
    fn opened(&mut self, conn: ConnId, now: Duration) {
        let loser = self.collision_loser(conn, now);
        if let Some(loser) = loser {
            let notification = Notification::new(Notification::COLLISION);
            self.end(loser, Ending::answered(notification, "the other connection lives"), now);
        }
        if loser != Some(conn) {
            self.send(conn, MessageKind::Keepalive, crate::wire::message::keepalive());
        }
    }

    /// RFC 4271 section 6.8 compares with connections that had an OPEN. One that has just been opened counts as well: its
    /// router id is known from this OPEN, and waiting for its own could let each side give up the other's choice.
    fn collision_loser(&self, conn: ConnId, now: Duration) -> Option<ConnId> {
        let new = self.connections.iter().find(|connection| connection.id() == conn)?;
        let old = self.connections.iter().find(|other| {
            other.id() != conn && (other.phase() >= Phase::OpenConfirm || other.is_fresh(now))
        })?;
        let loses = collision::new_loses(
            (self.config.router_id, self.config.asn),
            (new.negotiated()?.router_id, self.config.neighbor.asn),
            new.direction(),
            old.phase() == Phase::Established,
        );
        Some(if loses { conn } else { old.id() })
    }

    fn up(&mut self, conn: ConnId, now: Duration) {
        for connection in self.take_connections(|connection| connection.id() != conn) {
            let collision = Notification::new(Notification::COLLISION);
            self.end_with(connection, Ending::answered(collision, "the other connection is Established"));
        }
        self.established_at = Some(now);
        self.note_state();
        self.outputs.push(Output::Up);
    }

    fn closed(&mut self, conn: ConnId, end: ConnectionEnd, now: Duration) {
        if let Some(connection) = self.connection_mut(conn) {
            let state = connection.phase().state();
            self.end(conn, Ending::silent(SessionEvent::ConnectionLost { end, state }), now);
        }
    }

    /// Ends one connection; if it was the last, plans the next attempt.
    fn end(&mut self, conn: ConnId, ending: Ending, now: Duration) {
        let protocol_error = ending.is_protocol_error();
        for connection in self.take_connections(|connection| connection.id() == conn) {
            let held = self.established_at.map(|since| now.saturating_sub(since));
            self.end_with(connection, ending.clone());
            if self.connections.is_empty() {
                self.retry.ran(held.unwrap_or_default());
                self.retry.failed(protocol_error, now);
            }
        }
    }

    fn end_with(&mut self, connection: Connection, ending: Ending) {
        let conn = connection.id();
        if let Some(notification) = &ending.notification {
            self.send(conn, MessageKind::Notification, notification.encode());
        }
        self.outputs.push(Output::Close { conn });
        self.event(ending.event);
        if connection.phase() == Phase::Established {
            self.established_at = None;
            self.flaps += 1;
            self.outputs.push(Output::Down);
        }
    }

    fn serve_timers(&mut self, now: Duration) {
        for conn in self.connections.iter().map(Connection::id).collect::<Vec<_>>() {
            let Some(connection) = self.connection_mut(conn) else { continue };
            if let Some(hold_time) = connection.hold_expired(now) {
                self.end(conn, Ending::hold_expired(hold_time), now);
            } else if connection.keepalive_due(now) {
                let jitter = self.retry.jitter();
                if let Some(connection) = self.connection_mut(conn) {
                    connection.restart_keepalive(jitter, now);
                }
                self.send(conn, MessageKind::Keepalive, crate::wire::message::keepalive());
            }
        }
        if self.retry_deadline().is_some_and(|deadline| deadline <= now) {
            let dials = self.dials();
            if self.retry.fire(dials, now) {
                self.outputs.push(Output::Dial);
            }
        }
    }

    fn connection_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id() == conn)
    }

    fn take_connections(&mut self, which: impl Fn(&Connection) -> bool) -> Vec<Connection> {
        self.connections.extract_if(.., |connection| which(connection)).collect()
    }

    fn send(&mut self, conn: ConnId, kind: MessageKind, bytes: Vec<u8>) {
        self.sent.count(kind, 1);
        self.outputs.push(Output::Send { conn, bytes });
    }

    fn event(&mut self, event: SessionEvent) {
        if event.is_failure() {
            self.last_error = Some(event.to_string());
        }
        self.outputs.push(Output::Event(event));
    }

    /// Reports a change of state, once.
    fn note_state(&mut self) {
        let furthest = self.connections.iter().map(|connection| connection.phase().state()).max();
        let to = furthest.unwrap_or_else(|| {
            if !self.running || self.retry.is_paused() {
                SessionState::Idle
            } else if self.retry.is_dialling() {
                SessionState::Connect
            } else {
                SessionState::Active
            }
        });
        let from = core::mem::replace(&mut self.state, to);
        if from != to {
            self.outputs.push(Output::Event(SessionEvent::State { from, to }));
        }
    }
}
