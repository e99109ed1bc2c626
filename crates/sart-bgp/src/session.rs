//! One neighbour's state machine (RFC 4271 section 8).

mod counters;
mod event;

pub use self::counters::MessageCounters;
pub use self::event::{ConnectionEnd, SessionEvent};

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
