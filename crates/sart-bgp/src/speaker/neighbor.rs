//! One configured neighbour: its session and whether it has told everything yet.

use core::time::Duration;

use crate::family::Family;
use crate::rib::PeerCounts;
use crate::session::Session;
use crate::speaker::view::NeighborView;
use crate::wire::capability::Capability;

#[derive(Debug)]
pub(super) struct Neighbor {
    pub session: Session,
    /// Families whose End-of-RIB came since the session is up.
    pub ended: Vec<Family>,
    /// Families whose prefix limit was warned of since the session is up.
    pub warned: Vec<Family>,
    /// Families of which it was said that routes are withheld, since the session is up.
    pub withheld: Vec<Family>,
}

impl Neighbor {
    pub(super) const fn new(session: Session) -> Self {
        Self { session, ended: Vec::new(), warned: Vec::new(), withheld: Vec::new() }
    }

    /// Whether the neighbour ends what it tells first with an End-of-RIB (RFC 4724 section 2).
    pub(super) fn marks_end_of_rib(&self) -> bool {
        let marks = |capability: &Capability| matches!(capability, Capability::GracefulRestart(_));
        self.session.negotiated().is_some_and(|negotiated| negotiated.capabilities.iter().any(marks))
    }

    /// The neighbour as the API shows it. `counts` are the RIB's: received, sent and withheld prefixes.
    pub(super) fn view(&self, counts: &(PeerCounts, u64, u64), now: Duration) -> NeighborView {
        let session = &self.session;
        let negotiated = session.negotiated();
        let (sent, received) = session.counters();
        NeighborView {
            config: session.config().neighbor.clone(),
            state: session.state(),
            router_id: negotiated.map(|negotiated| negotiated.router_id),
            uptime: session.established_at().map(|since| now.saturating_sub(since)),
            hold_time: negotiated.map(|negotiated| negotiated.hold_time).unwrap_or_default(),
            keepalive_time: negotiated.and_then(|negotiated| negotiated.keepalive).unwrap_or_default(),
            capabilities: negotiated
                .map(|negotiated| negotiated.capabilities.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            sent,
            received,
            prefixes_received: counts.0.received,
            prefixes_accepted: counts.0.accepted(),
            prefixes_sent: counts.1,
            prefixes_withheld: counts.2,
            flaps: session.flaps(),
            last_error: session.last_error().map(ToOwned::to_owned),
            import_refused: counts.0.refused.iter().map(|(why, count)| (why.reason(), *count)).collect(),
        }
    }
}
