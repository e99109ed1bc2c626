//! Which of two connections to one neighbour lives (RFC 4271 section 6.8, RFC 6286 section 2.3). Only the rule.

use core::net::Ipv4Addr;

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The neighbour did.
    Inbound,
    /// We did.
    Outbound,
}

/// Whether the connection that has just received an OPEN has to go. An Established one always stays; otherwise the
/// one lives that was opened by the side with the higher (router id, AS number).
pub(crate) fn new_loses(
    ours: (Ipv4Addr, u32),
    theirs: (Ipv4Addr, u32),
    new: Direction,
    old_is_established: bool,
) -> bool {
    let survivor = if ours > theirs { Direction::Outbound } else { Direction::Inbound };
    old_is_established || new != survivor
}
