//! One TCP connection of a session: reads its messages in order and keeps its timers (RFC 4271 section 8.2.2, from
//! OpenSent on). Must never decide what becomes of the session.

use core::time::Duration;

use super::event::SessionEvent;
use super::negotiate::{Negotiated, negotiate};
use super::retry::Jitter;
use super::{ConnId, Direction, SessionConfig, SessionState};
use crate::config::NeighborConfig;
use crate::wire::fault::Fault;
use crate::wire::frame::{Frame, Framer};
use crate::wire::message::MessageKind;
use crate::wire::notification::Notification;
use crate::wire::open::Open;
use crate::wire::refresh::RouteRefresh;
use crate::wire::update::{Scratch, UpdateView};

/// How long to wait for an OPEN (RFC 4271 section 8.2.2 suggests 4 minutes).
const OPEN_HOLD_TIME: Duration = Duration::from_secs(240);

/// The same with GTSM (RFC 5082). What comes from a neighbour that has no GTSM is dropped, its end of the connection (FIN,
/// RST) as well: only time tells that nobody is there any more, and meanwhile nothing is dialled.
const GUARDED_OPEN_HOLD_TIME: Duration = Duration::from_secs(10);

/// How long a new connection is trusted to be answered.
const FRESH: Duration = Duration::from_secs(5);

/// How far a connection has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    OpenSent,
    OpenConfirm,
    Established,
}

impl Phase {
    pub(crate) const fn state(self) -> SessionState {
        match self {
            Self::OpenSent => SessionState::OpenSent,
            Self::OpenConfirm => SessionState::OpenConfirm,
            Self::Established => SessionState::Established,
        }
    }

    /// RFC 6608.
    const fn unexpected(self) -> (u8, u8) {
        match self {
            Self::OpenSent => Notification::UNEXPECTED_IN_OPEN_SENT,
            Self::OpenConfirm => Notification::UNEXPECTED_IN_OPEN_CONFIRM,
            Self::Established => Notification::UNEXPECTED_IN_ESTABLISHED,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    id: ConnId,
    direction: Direction,
    phase: Phase,
    opened_at: Duration,
    framer: Framer,
    scratch: Scratch,
    negotiated: Option<Negotiated>,
    hold_time: Duration,
    hold_deadline: Option<Duration>,
    keepalive_deadline: Option<Duration>,
}

/// What a message means to the session.
#[derive(Debug)]
pub(crate) enum Heard {
    Nothing,
    /// The OPEN is acceptable.
    Open,
    /// The session is up.
    Up,
    /// The body of an UPDATE that can be read, and what was wrong with it and survived.
    Update(Vec<u8>, Vec<Fault>),
    Refresh(RouteRefresh),
    End(Ending),
}

/// How a connection ends.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub notification: Option<Notification>,
    pub event: SessionEvent,
}

impl Ending {
    pub(crate) fn answered(notification: Notification, detail: &str) -> Self {
        let event =
            SessionEvent::NotificationSent { notification: notification.clone(), detail: detail.to_owned() };
        Self { notification: Some(notification), event }
    }

    pub(crate) const fn silent(event: SessionEvent) -> Self {
        Self { notification: None, event }
    }

    pub(crate) const fn hold_expired(hold_time: Duration) -> Self {
        Self {
            notification: Some(Notification::new(Notification::HOLD_EXPIRED)),
            event: SessionEvent::HoldTimerExpired { hold_time },
        }
    }

    /// Whether the neighbour broke the protocol (header, OPEN, UPDATE or state machine error).
    pub(crate) fn is_protocol_error(&self) -> bool {
        self.notification.as_ref().is_some_and(|notification| matches!(notification.code, 1 | 2 | 3 | 5))
    }
}

impl Connection {
    /// A connection on which our OPEN is being sent.
    pub(crate) fn new(id: ConnId, direction: Direction, config: &NeighborConfig, now: Duration) -> Self {
        let guarded = config.transport.ttl_security.is_some();
        let hold_time = if guarded { GUARDED_OPEN_HOLD_TIME } else { OPEN_HOLD_TIME };
        Self {
            id,
            direction,
            phase: Phase::OpenSent,
            opened_at: now,
            framer: Framer::default(),
            scratch: Scratch::default(),
            negotiated: None,
            hold_time,
            hold_deadline: Some(now + hold_time),
            keepalive_deadline: None,
        }
    }

    pub(crate) const fn id(&self) -> ConnId {
        self.id
    }

    pub(crate) const fn direction(&self) -> Direction {
        self.direction
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it was opened a moment ago.
    pub(crate) fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.opened_at) < FRESH
    }

    pub(crate) const fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_ref()
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.hold_deadline.into_iter().chain(self.keepalive_deadline).min()
    }

    /// The hold time, if it has run out.
    pub(crate) fn hold_expired(&self, now: Duration) -> Option<Duration> {
        self.hold_deadline.filter(|deadline| *deadline <= now).map(|_| self.hold_time)
    }

    pub(crate) fn keepalive_due(&self, now: Duration) -> bool {
        self.keepalive_deadline.is_some_and(|deadline| deadline <= now)
    }

    pub(crate) fn restart_keepalive(&mut self, jitter: Jitter, now: Duration) {
        let interval = self.negotiated.as_ref().and_then(|negotiated| negotiated.keepalive);
        self.keepalive_deadline = interval.map(|interval| now + jitter.of(interval));
    }

    /// Takes over a changed keepalive interval.
    pub(crate) fn set_keepalive(&mut self, neighbor: &NeighborConfig, jitter: Jitter, now: Duration) {
        let Some(negotiated) = &mut self.negotiated else { return };
        let interval = neighbor.keepalive_interval(negotiated.hold_time);
        if interval != negotiated.keepalive {
            negotiated.keepalive = interval;
            self.restart_keepalive(jitter, now);
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.framer.push(bytes);
    }

    /// Reads the next whole message: its kind and what it means.
    pub(crate) fn next_message(
        &mut self,
        config: &SessionConfig,
        now: Duration,
    ) -> Option<(Option<MessageKind>, Heard)> {
        match self.framer.next_frame() {
            Ok(None) => None,
            Ok(Some(frame)) => Some((Some(frame.kind), self.read(&frame, config, now))),
            Err(error) => {
                let ending = Ending::answered(error.notification(), &error.to_string());
                Some((None, Heard::End(ending)))
            }
        }
    }

    fn read(&mut self, frame: &Frame, config: &SessionConfig, now: Duration) -> Heard {
        match (frame.kind, self.phase) {
            (MessageKind::Notification, _) => Self::read_notification(&frame.body),
            (MessageKind::Open, Phase::OpenSent) => self.read_open(&frame.body, config, now),
            (MessageKind::Keepalive, Phase::OpenConfirm) => {
                self.phase = Phase::Established;
                self.restart_hold(now);
                Heard::Up
            }
            (MessageKind::Keepalive, Phase::Established) => {
                self.restart_hold(now);
                Heard::Nothing
            }
            (MessageKind::Update, Phase::Established) => self.read_update(&frame.body, now),
            (MessageKind::RouteRefresh, Phase::Established) => self.read_refresh(&frame.body),
            (kind, phase) => {
                let detail = format!("{kind:?} in {}", phase.state());
                Heard::End(Ending::answered(Notification::new(phase.unexpected()), &detail))
            }
        }
    }

    fn read_notification(body: &[u8]) -> Heard {
        let notification = Notification::decode(body).unwrap_or_else(|| Notification::new((0, 0)));
        Heard::End(Ending::silent(SessionEvent::NotificationReceived { notification }))
    }

    fn read_open(&mut self, body: &[u8], config: &SessionConfig, now: Duration) -> Heard {
        let open = match Open::decode(body) {
            Ok(open) => open,
            Err(error) => {
                return Heard::End(Ending::answered(error.notification(), &error.to_string()));
            }
        };
        match negotiate(config, &open) {
            Ok(negotiated) => {
                self.hold_time = negotiated.hold_time;
                // RFC 8654 section 4: never for the OPEN itself.
                if negotiated.extended_messages {
                    self.framer.allow_extended();
                }
                self.negotiated = Some(negotiated);
                self.phase = Phase::OpenConfirm;
                self.restart_hold(now);
                Heard::Open
            }
            Err((notification, detail)) => Heard::End(Ending::answered(notification, &detail)),
        }
    }

    fn read_update(&mut self, body: &[u8], now: Duration) -> Heard {
        self.restart_hold(now);
        let Some(negotiated) = &self.negotiated else { return Heard::Nothing };
        let read = UpdateView::parse(body, &negotiated.update, &mut self.scratch);
        match read.map(UpdateView::into_faults) {
            Ok(faults) => Heard::Update(body.to_vec(), faults),
            Err(fault) => Heard::End(Ending::answered(fault.notification(), &fault.to_string())),
        }
    }

    /// A family that was not negotiated is ignored (RFC 2918 section 4).
    fn read_refresh(&self, body: &[u8]) -> Heard {
        let Some(negotiated) = &self.negotiated else { return Heard::Nothing };
        match RouteRefresh::decode(body, negotiated.enhanced_refresh) {
            Ok(Some(refresh)) if negotiated.update.families.contains(&refresh.family) => {
                Heard::Refresh(refresh)
            }
            Ok(_) => Heard::Nothing,
            Err(answer) => Heard::End(Ending::answered(answer, "a ROUTE-REFRESH of a wrong length")),
        }
    }

    fn restart_hold(&mut self, now: Duration) {
        self.hold_deadline = if self.hold_time.is_zero() { None } else { Some(now + self.hold_time) };
    }
}
