//! What happened on a session, in words a person can act on. Only data; must never influence a session.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::family::Family;
use crate::session::SessionState;
use crate::wire::fault::Fault;
use crate::wire::notification::Notification;

/// How a TCP connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionEnd {
    /// The far end closed it in order (FIN).
    Finished,
    /// It broke (reset, time-out, unreachable).
    Broken,
    /// The far end read nothing for the send hold time (RFC 9687).
    NotRead,
}

/// Something that happened on a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// The state changed.
    State {
        /// Before.
        from: SessionState,
        /// After.
        to: SessionState,
    },
    /// A dial failed.
    DialFailed {
        /// The shell's words.
        error: String,
    },
    /// A connection ended without a NOTIFICATION.
    ConnectionLost {
        /// How.
        end: ConnectionEnd,
        /// Where the session stood.
        state: SessionState,
    },
    /// We ended a connection.
    NotificationSent {
        /// What we said.
        notification: Notification,
        /// The detail behind it, for a person.
        detail: String,
    },
    /// The neighbour ended a connection.
    NotificationReceived {
        /// What it said.
        notification: Notification,
    },
    /// Nothing came in for the hold time.
    HoldTimerExpired {
        /// The negotiated hold time.
        hold_time: Duration,
    },
    /// We closed a connection without a word because we come back soon.
    LeftForRestart,
    /// The neighbour announces nearly as many prefixes as it may.
    NearPrefixLimit {
        /// Of this family.
        family: Family,
        /// How many.
        received: u64,
        /// How many it may.
        max: u32,
    },
    /// There are more routes for the neighbour than it is to be told.
    AtExportLimit {
        /// Of this family.
        family: Family,
        /// How many prefixes are kept from it.
        withheld: u64,
        /// How many it is told.
        max: u32,
    },
    /// The neighbour marked the begin of a repetition before it had told everything once (RFC 7313 section 4); ignored.
    EarlyRefresh {
        /// Of this family.
        family: Family,
    },
    /// An UPDATE had faults that the session survived (RFC 7606).
    UpdateFault {
        /// What was wrong and what was done about it.
        fault: Fault,
    },
}

impl SessionEvent {
    /// The label for metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::State { .. } => "StateChanged",
            Self::DialFailed { .. } => "DialFailed",
            Self::ConnectionLost { end: ConnectionEnd::NotRead, .. } => "SendHoldTimerExpired",
            Self::ConnectionLost { .. } => "ConnectionLost",
            Self::NotificationSent { .. } => "NotificationSent",
            Self::NotificationReceived { .. } => "NotificationReceived",
            Self::HoldTimerExpired { .. } => "HoldTimerExpired",
            Self::LeftForRestart => "LeftForRestart",
            Self::NearPrefixLimit { .. } => "NearPrefixLimit",
            Self::AtExportLimit { .. } => "AtExportLimit",
            Self::EarlyRefresh { .. } => "EarlyRefresh",
            Self::UpdateFault { .. } => "UpdateFault",
        }
    }

    /// Whether a person should look at it, though the session goes on.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        matches!(self, Self::NearPrefixLimit { .. } | Self::AtExportLimit { .. })
    }

    /// Whether it belongs into "why the last session or attempt ended".
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        !matches!(
            self,
            Self::State { .. }
                | Self::NearPrefixLimit { .. }
                | Self::AtExportLimit { .. }
                | Self::EarlyRefresh { .. }
                | Self::UpdateFault { .. }
        )
    }
}

impl fmt::Display for SessionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State { from, to } => write!(f, "state changed from {from} to {to}"),
            Self::DialFailed { error } => write!(f, "connecting failed: {error}"),
            Self::ConnectionLost { end: ConnectionEnd::Finished, state } => {
                write!(f, "the neighbor closed the connection in {state}")
            }
            Self::ConnectionLost { end: ConnectionEnd::NotRead, state } => {
                write!(f, "the neighbor read nothing for the send hold time in {state}")
            }
            Self::ConnectionLost { end: ConnectionEnd::Broken, state } => {
                write!(f, "the connection broke in {state}")
            }
            Self::NotificationSent { notification, detail } if detail.is_empty() => {
                write!(f, "sent {notification}")
            }
            Self::NotificationSent { notification, detail } => write!(f, "sent {notification}: {detail}"),
            Self::NotificationReceived { notification } => write!(f, "received {notification}"),
            Self::HoldTimerExpired { hold_time } => {
                write!(f, "nothing received for the hold time of {} s", hold_time.as_secs())
            }
            Self::LeftForRestart => f.write_str("closed without a NOTIFICATION to restart"),
            Self::NearPrefixLimit { family, received, max } => {
                write!(f, "{received} prefixes of {family} announced, the limit is {max}")
            }
            Self::AtExportLimit { family, withheld, max } => {
                write!(f, "{withheld} prefixes of {family} are withheld: the export limit is {max}")
            }
            Self::EarlyRefresh { family } => {
                write!(f, "a refresh of {family} began before the End-of-RIB; its marks are ignored")
            }
            Self::UpdateFault { fault } => write!(f, "UPDATE with faults: {fault}"),
        }
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        })
    }
}
