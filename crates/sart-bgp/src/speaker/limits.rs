//! Holds a neighbour to the number of prefixes it may announce, and says when one is not told all it could be. Counts what
//! the tables hold, so that an UPDATE whose routes were treated as withdrawn costs nothing (RFC 7606 section 2). Must never
//! drop a single route.

use core::net::IpAddr;
use core::time::Duration;

use super::{Speaker, SpeakerOutput};
use crate::family::Family;
use crate::session::{Input, SessionEvent};

impl Speaker {
    /// Warns once and ends the session after an UPDATE that went too far.
    pub(super) fn check_prefix_limit(&mut self, peer: IpAddr, now: Duration) {
        let (Some(neighbor), Some(running)) = (self.neighbors.get_mut(&peer), self.running.as_ref()) else {
            return;
        };
        let Some(limit) = neighbor.session.config().neighbor.prefix_limit else { return };
        for family in Family::SUPPORTED {
            let received = running.rib.received(peer, Some(family));
            if received > u64::from(limit.max) {
                return self.feed(peer, Input::OverLimit { family, limit }, now);
            }
            if received >= limit.warns_from() && !neighbor.warned.contains(&family) {
                neighbor.warned.push(family);
                let event = SessionEvent::NearPrefixLimit { family, received, max: limit.max };
                self.outputs.push_back(SpeakerOutput::Session { peer, event });
            }
        }
    }

    /// Says, once a session and family, that routes are withheld from a neighbour.
    pub(super) fn check_export_limits(&mut self) {
        let Some(running) = &self.running else { return };
        for (peer, neighbor) in &mut self.neighbors {
            let Some(max) = neighbor.session.config().neighbor.export_limit else { continue };
            for family in Family::SUPPORTED {
                let withheld = running.rib.withheld(*peer, family);
                if withheld > 0 && !neighbor.withheld.contains(&family) {
                    neighbor.withheld.push(family);
                    let event = SessionEvent::AtExportLimit { family, withheld, max };
                    self.outputs.push_back(SpeakerOutput::Session { peer: *peer, event });
                    self.outputs.push_back(SpeakerOutput::NeighborChanged { peer: *peer });
                }
            }
        }
    }
}
