//! What goes into a speaker and what comes out. Only data; must never decide anything.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::config::Transport;
use crate::family::Family;
pub use crate::family::LocalAddresses;
pub use crate::rib::feed::BestPath;
pub use crate::rib::{HopChanges, HopState};
use crate::session::ConnectionEnd;
pub use crate::session::{ConnId, SessionEvent};

/// What the shell reports. After each one, drain [`super::Speaker::poll_output`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakerInput<'a> {
    /// The listener accepted a connection. If no neighbour has that address the answer is [`SpeakerOutput::Close`].
    Accepted {
        /// A number the shell never used before.
        conn: ConnId,
        /// The far end. An IPv4 address mapped into IPv6 is taken as IPv4.
        peer: SocketAddr,
        /// Our addresses on that link.
        local: LocalAddresses,
    },
    /// A [`SpeakerOutput::Dial`] succeeded.
    Dialled {
        /// A number the shell never used before.
        conn: ConnId,
        /// The neighbour that was dialled.
        peer: IpAddr,
        /// Our addresses on that link.
        local: LocalAddresses,
    },
    /// A [`SpeakerOutput::Dial`] failed or timed out.
    DialFailed {
        /// The neighbour that was dialled.
        peer: IpAddr,
        /// Why, for a person.
        error: &'a str,
    },
    /// Bytes came in, in order, cut anywhere. Keep reads at or below 256 KiB, so that timers are served in between.
    Received {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The far end closed or the socket failed. Not sent after [`SpeakerOutput::Close`] (it does no harm).
    Closed {
        /// The connection.
        conn: ConnId,
        /// How it ended.
        end: ConnectionEnd,
    },
    /// So many octets of what [`SpeakerOutput::Send`] handed over have left for the far end. Without these reports a
    /// neighbour counts as slow after a few megabytes and is told no more. They may come late and in lumps.
    Sent {
        /// The connection.
        conn: ConnId,
        /// Octets since the last report.
        octets: usize,
    },
    /// A next hop tracker takes up its work. With [`crate::config::Global::track_next_hops`] it is told every next hop by
    /// [`SpeakerOutput::NextHops`], then every change.
    TrackerUp,
    /// The tracker has gone away: its last answers stay in force until the next one.
    TrackerDown,
    /// The tracker says how far next hops are.
    NextHops {
        /// Each with its distance, or `None` if nothing leads there. What was not asked for is ignored.
        answers: &'a [(IpAddr, Option<u32>)],
    },
    /// Time passed; `now` says how much.
    Tick,
}

/// What the shell has to do or may tell others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakerOutput {
    /// Connect to the neighbour; answer with [`SpeakerInput::Dialled`] or [`SpeakerInput::DialFailed`]. At most one dial
    /// per neighbour is wanted at a time: a second `Dial` replaces a first one that has not answered.
    Dial {
        /// The neighbour.
        peer: IpAddr,
        /// Its TCP port.
        port: u16,
        /// How the connection is made.
        transport: Box<Transport>,
    },
    /// Send these bytes behind everything queued on the connection before: one or more whole messages.
    Send {
        /// The connection.
        conn: ConnId,
        /// The bytes; other connections may share them.
        bytes: Bytes,
    },
    /// Flush what is queued (briefly), then close. The speaker has forgotten the connection.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// Something of [`super::Speaker::neighbor`] changed that a watcher wants to see: state, configuration, last error.
    NeighborChanged {
        /// The neighbour.
        peer: IpAddr,
    },
    /// The neighbour is configured no more.
    NeighborDeleted {
        /// The neighbour.
        peer: IpAddr,
    },
    /// One line for the log: what happened on a session.
    Session {
        /// The neighbour.
        peer: IpAddr,
        /// What happened.
        event: SessionEvent,
    },
    /// The multipath set of a prefix learned from neighbours changed; no next hops is a withdrawal.
    BestPath(BestPath),
    /// The neighbour has sent its End-of-RIB for the family (RFC 4724 section 2).
    EndOfRib {
        /// The neighbour.
        peer: IpAddr,
        /// The family.
        family: Family,
    },
    /// For the tracker: what to begin and end watching. Only between [`SpeakerInput::TrackerUp`] and
    /// [`SpeakerInput::TrackerDown`].
    NextHops(HopChanges),
    /// [`super::Speaker::is_settled`] became true: what is not in the RIB by now may be swept from a kernel.
    Settled,
}
