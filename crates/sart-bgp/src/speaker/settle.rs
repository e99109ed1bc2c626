//! When a restarted speaker knows as much as it is going to: the moment from which a route manager may remove what it
//! does not know. Must never say so early because a neighbour is slow to connect.

use core::time::Duration;

use super::neighbor::Neighbor;
use crate::session::SessionState;

/// The longest wait from the first configuration on.
const LIMIT: Duration = Duration::from_secs(60);
/// The wait for a neighbour that will not send an End-of-RIB, from Established on.
const WITHOUT_MARKER: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settle {
    Unconfigured,
    /// Until the limit, and when it was looked at last.
    Until(Duration, Duration),
    Done,
}

impl Settle {
    pub(super) const fn new() -> Self {
        Self::Unconfigured
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// The first configuration starts the clock.
    pub(super) fn configured(&mut self, now: Duration) {
        if *self == Self::Unconfigured {
            *self = Self::Until(now + LIMIT, now);
        }
    }

    pub(super) fn deadline<'a>(&self, neighbors: impl Iterator<Item = &'a Neighbor>) -> Option<Duration> {
        let Self::Until(limit, looked) = *self else { return None };
        // A wait that is over while another neighbour is not there yet must not wake anybody again and again.
        neighbors.filter_map(waits_until).filter(|until| *until > looked).chain([limit]).min()
    }

    /// Looks again. Whether it has just become true; not while a path `awaits` a word about its next hop. Without neighbours
    /// there is nobody to wait for yet, so the limit alone counts.
    pub(super) fn check<'a>(
        &mut self,
        mut neighbors: impl ExactSizeIterator<Item = &'a Neighbor>,
        awaits: impl FnOnce() -> bool,
        now: Duration,
    ) -> bool {
        let Self::Until(limit, _) = *self else { return false };
        let told = neighbors.len() > 0 && neighbors.all(|neighbor| told_all(neighbor, now));
        let done = now >= limit || (told && !awaits());
        *self = if done { Self::Done } else { Self::Until(limit, now) };
        done
    }
}

fn told_all(neighbor: &Neighbor, now: Duration) -> bool {
    if neighbor.session.state() != SessionState::Established {
        return false;
    }
    let Some(negotiated) = neighbor.session.negotiated() else { return false };
    negotiated.update.families.iter().all(|family| neighbor.ended.contains(family))
        || waits_until(neighbor).is_some_and(|until| now >= until)
}

/// When the wait for a neighbour without End-of-RIB ends.
fn waits_until(neighbor: &Neighbor) -> Option<Duration> {
    let since = neighbor.session.established_at().filter(|_| !neighbor.marks_end_of_rib())?;
    Some(since + WITHOUT_MARKER)
}
