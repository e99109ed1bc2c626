//! Which extensions of BGP a neighbour is offered. Only data.

use serde::{Deserialize, Serialize};

use crate::wire::capability::Role;

/// Extensions that are offered. What is not offered is not used, whatever the neighbour offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// Messages up to 65535 octets (RFC 8654).
    pub extended_messages: bool,
    /// IPv4 routes with IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Take several paths of a prefix (RFC 7911).
    pub add_path_receive: bool,
    /// Tell the best so many paths of a prefix (RFC 7911), as far as they may go to the neighbour; 0 tells the best one without
    /// path identifiers.
    pub add_path_send: u8,
    /// What we are to the neighbour (RFC 9234).
    pub role: Option<Role>,
    /// End the session if the neighbour does not say what it is (RFC 9234 section 4.2); only with `role`.
    pub strict_role: bool,
}
