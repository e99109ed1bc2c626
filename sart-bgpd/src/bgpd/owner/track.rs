//! The one next hop tracker: what it is told, what it says, and its end. Must never void an answer because it ended.

use std::net::IpAddr;

use sart_bgp::speaker::{HopChanges, HopState, SpeakerInput};

use super::{Handle, Owner, Stopped};
use crate::bgpd::watch::{WatchStream, Watchers};

/// A next hop in use, what is known of it, and the tracker's words if it cannot be reached.
pub type KnownHop = (IpAddr, HopState, String);

/// What a tracker says about one next hop.
#[derive(Clone, Debug)]
pub struct HopAnswer {
    /// The next hop.
    pub address: IpAddr,
    /// How far it is; `None` if nothing leads there.
    pub metric: Option<u32>,
    /// Why nothing does, for people.
    pub reason: String,
}

/// Another tracker is at work.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("another route manager tracks the next hops of this speaker; stop it first")]
pub struct Busy;

impl Owner {
    fn tracker_up(&mut self) -> Result<(u64, WatchStream<HopChanges>), Busy> {
        if self.tracker.is_some() {
            return Err(Busy);
        }
        let number = self.number();
        self.tracker = Some(number);
        self.metrics.tracker(true);
        let changes = self.hop_changes.subscribe((), Vec::new());
        tracing::debug!("a route manager is there to track next hops");
        self.input(SpeakerInput::TrackerUp);
        // What went while nobody tracked was told to nobody.
        let speaker = &self.speaker;
        self.hop_reasons.retain(|address, _| speaker.next_hop(*address) == Some(HopState::Unreachable));
        Ok((number, changes))
    }

    fn tracker_down(&mut self, number: u64) {
        if self.tracker != Some(number) {
            return;
        }
        self.tracker = None;
        self.metrics.tracker(false);
        // Whatever is left of its stream ends.
        self.hop_changes = Watchers::new();
        if self.speaker.global().is_some_and(|global| global.track_next_hops) {
            tracing::warn!(
                "lost the route manager that tracked the next hops; its last answers stay in force"
            );
        }
        self.input(SpeakerInput::TrackerDown);
    }

    fn tracker_says(&mut self, number: u64, answers: Vec<HopAnswer>) {
        if self.tracker != Some(number) {
            return;
        }
        let distances: Vec<_> = answers.iter().map(|answer| (answer.address, answer.metric)).collect();
        self.input(SpeakerInput::NextHops { answers: &distances });
        for HopAnswer { address, metric, reason } in answers {
            // The speaker takes no answer for what no route has (any more), and nobody would tell when such a one goes.
            if metric.is_none() && self.speaker.next_hop(address) == Some(HopState::Unreachable) {
                self.hop_reasons.insert(address, reason);
            } else {
                self.hop_reasons.remove(&address);
            }
        }
    }

    fn known_hops(&self) -> Vec<KnownHop> {
        let known = self.speaker.next_hops();
        let reason = |address| self.hop_reasons.get(&address).cloned();
        known
            .into_iter()
            .map(|(address, state)| (address, state, reason(address).unwrap_or_default()))
            .collect()
    }

    pub(super) fn tell_tracker(&mut self, changes: &HopChanges) {
        for gone in &changes.end {
            self.hop_reasons.remove(gone);
        }
        let slow = self.hop_changes.send(changes, |()| true);
        self.count_slow("next_hops", slow);
    }
}

impl Handle {
    /// Takes up a tracker: its number and what it is told.
    ///
    /// # Errors
    /// If the owner has stopped, or there is a tracker already.
    pub async fn track_next_hops(&self) -> Result<Result<(u64, WatchStream<HopChanges>), Busy>, Stopped> {
        self.with_owner(Owner::tracker_up).await
    }

    /// Takes over what tracker `number` says; nothing if it was replaced.
    ///
    /// # Errors
    /// If the owner has stopped.
    pub async fn tracker_says(&self, number: u64, answers: Vec<HopAnswer>) -> Result<(), Stopped> {
        self.with_owner(move |owner| owner.tracker_says(number, answers)).await
    }

    /// Tracker `number` is gone.
    ///
    /// # Errors
    /// If the owner has stopped.
    pub async fn tracker_down(&self, number: u64) -> Result<(), Stopped> {
        self.with_owner(move |owner| owner.tracker_down(number)).await
    }

    /// Every next hop in use, and whether a tracker is connected.
    ///
    /// # Errors
    /// If the owner has stopped.
    pub async fn next_hops(&self) -> Result<(Vec<KnownHop>, bool), Stopped> {
        self.with_owner(|owner| (owner.known_hops(), owner.tracker.is_some())).await
    }
}

#[cfg(test)]
mod tests {
    use sart_bgp::speaker::Speaker;

    use super::*;
    use crate::bgpd::dial::SocketOptions;
    use crate::bgpd::metrics::Metrics;

    #[test]
    fn an_answer_for_what_no_route_has_leaves_no_reason() {
        let (mut owner, _handle, _inbox) =
            Owner::new(Speaker::new(1), SocketOptions::default(), Metrics::default());
        let (number, _changes) = owner.tracker_up().unwrap();
        let address = "192.0.2.1".parse().unwrap();
        let answer = HopAnswer { address, metric: None, reason: "no route leads there".to_owned() };
        owner.tracker_says(number, vec![answer]);
        assert!(owner.hop_reasons.is_empty(), "{:?}", owner.hop_reasons);
    }

    #[test]
    fn the_reasons_of_what_went_while_nobody_tracked_are_forgotten() {
        let (mut owner, _handle, _inbox) =
            Owner::new(Speaker::new(1), SocketOptions::default(), Metrics::default());
        owner.hop_reasons.insert("192.0.2.1".parse().unwrap(), "no route leads there".to_owned());
        let (_number, _changes) = owner.tracker_up().unwrap();
        assert!(owner.hop_reasons.is_empty(), "{:?}", owner.hop_reasons);
    }
}
