//! What a session does with each input: connections come and go, messages are answered, timers fire. Must never look at
//! a route.

use core::time::Duration;

use super::connection::{Connection, Ending, Heard, Phase};
use super::event::{ConnectionEnd, SessionEvent};
use super::{ConnId, Direction, Negotiated, Output, Session, SessionState, collision, negotiate};
use crate::config::PrefixLimit;
use crate::family::Family;
use crate::wire::message::MessageKind;
use crate::wire::notification::Notification;
use crate::wire::refresh::{RefreshSubtype, RouteRefresh};

impl Session {
    pub(super) fn start(&mut self, now: Duration) {
        if !self.running {
            self.running = true;
            self.retry.now(now);
        }
    }

    pub(super) fn stop(&mut self, notification: &Notification) {
        self.running = false;
        self.end_all(notification, "");
        self.retry.forget();
    }

    pub(super) fn reset(&mut self, notification: &Notification, now: Duration) {
        if self.running {
            self.end_all(notification, "");
            self.retry.now(now);
        }
    }

    pub(super) fn abandon(&mut self) {
        self.running = false;
        for connection in core::mem::take(&mut self.connections) {
            self.end_with(connection, Ending::silent(SessionEvent::LeftForRestart));
        }
        self.retry.forget();
    }

    pub(super) fn over_limit(&mut self, family: Family, limit: PrefixLimit, now: Duration) {
        let detail = format!("more than {} prefixes announced", limit.max);
        self.end_all(&Notification::too_many_prefixes(family, limit.max), &detail);
        self.retry.pause(limit.restart.map(|seconds| now + Duration::from_secs(u64::from(seconds))));
    }

    pub(super) fn ask_refresh(&mut self, family: Family) {
        let knows = |negotiated: &Negotiated| {
            negotiated.route_refresh && negotiated.update.families.contains(&family)
        };
        if let Some(conn) = self.established_conn()
            && self.negotiated().is_some_and(knows)
        {
            self.send(conn, MessageKind::RouteRefresh, RouteRefresh::request(family).encode());
        }
    }

    pub(super) fn end_all(&mut self, notification: &Notification, detail: &str) {
        for connection in core::mem::take(&mut self.connections) {
            self.end_with(connection, Ending::answered(notification.clone(), detail));
        }
    }

    pub(super) fn connected(&mut self, conn: ConnId, direction: Direction, now: Duration) {
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
        let connection = Connection::new(conn, direction, &self.config.neighbor, now);
        self.send(conn, MessageKind::Open, negotiate::our_open(&self.config).encode());
        self.connections.push(connection);
    }

    pub(super) fn dial_failed(&mut self, error: &str, now: Duration) {
        if !self.retry.is_dialling() {
            return;
        }
        self.event(SessionEvent::DialFailed { error: error.to_owned() });
        self.retry.dial_answered();
        self.retry.failed(false, self.config.neighbor.longest_retry(), now);
    }

    pub(super) fn received_bytes(&mut self, conn: ConnId, bytes: &[u8], now: Duration) {
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
                for fault in faults {
                    self.event(SessionEvent::UpdateFault { fault });
                }
                self.outputs.push(Output::Update(body));
            }
            Heard::Refresh(RouteRefresh { family, subtype }) => self.outputs.push(match subtype {
                RefreshSubtype::Request => Output::Refresh(family),
                RefreshSubtype::Begin => Output::RefreshBegins(family),
                RefreshSubtype::End => Output::RefreshEnds(family),
            }),
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
            let jitter = self.retry.jitter();
            if let Some(connection) = self.connection_mut(conn) {
                connection.restart_keepalive(jitter, now);
            }
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

    pub(super) fn closed(&mut self, conn: ConnId, end: ConnectionEnd, now: Duration) {
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
                self.retry.failed(protocol_error, self.config.neighbor.longest_retry(), now);
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

    pub(super) fn serve_timers(&mut self, now: Duration) {
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
    pub(super) fn note_state(&mut self) {
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
