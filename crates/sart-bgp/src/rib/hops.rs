//! Next hops: one number for each, and how far it is. Must never look up a route itself.

use core::net::IpAddr;
use std::collections::{BTreeMap, HashMap};

use super::track::{HopState, Track};
use crate::wire::attr::NextHop;

/// A next hop. [`HopId::NONE`] stands for "none" on an own path and for "our own address" on the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HopId(pub u32);

impl HopId {
    pub(crate) const NONE: Self = Self(0);
}

/// The next hops whose distance changed, by number.
#[derive(Debug, Default)]
pub(crate) struct ChangedHops(Vec<bool>);

impl ChangedHops {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn holds(&self, id: HopId) -> bool {
        self.0.get(id.0 as usize).copied().unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
struct Hop {
    next_hop: NextHop,
    refs: u32,
    /// `None` while it cannot be reached.
    metric: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Hops {
    hops: Vec<Option<Hop>>,
    numbers: HashMap<NextHop, HopId>,
    free: Vec<HopId>,
    /// Every address in use, and how many numbers share it.
    addresses: BTreeMap<IpAddr, u32>,
    /// Distances that the configuration names.
    configured: HashMap<IpAddr, u32>,
    track: Track,
}

impl Hops {
    pub(crate) fn new(tracking: bool) -> Self {
        let mut track = Track::default();
        track.switch(tracking, core::iter::empty());
        Self {
            // Number 0 is nobody's.
            hops: vec![None],
            numbers: HashMap::new(),
            free: Vec::new(),
            addresses: BTreeMap::new(),
            configured: HashMap::new(),
            track,
        }
    }

    /// The number of a next hop, held once more.
    pub(crate) fn hold(&mut self, next_hop: NextHop) -> HopId {
        if let Some(id) = self.numbers.get(&next_hop).copied() {
            self.hold_again(id);
            return id;
        }
        let hop = Hop { next_hop, refs: 1, metric: self.metric_of(next_hop.address) };
        let id = self.free.pop().unwrap_or_else(|| {
            self.hops.push(None);
            HopId(self.hops.len() as u32 - 1)
        });
        self.hops[id.0 as usize] = Some(hop);
        self.numbers.insert(next_hop, id);
        let sharing = self.addresses.entry(next_hop.address).or_default();
        *sharing += 1;
        if *sharing == 1 {
            self.track.note(next_hop.address);
        }
        id
    }

    pub(crate) fn hold_again(&mut self, id: HopId) {
        if let Some(hop) = &mut self.hops[id.0 as usize] {
            hop.refs += 1;
        }
    }

    pub(crate) fn release(&mut self, id: HopId) {
        let Some(hop) = &mut self.hops[id.0 as usize] else { return };
        hop.refs -= 1;
        if hop.refs > 0 {
            return;
        }
        let next_hop = hop.next_hop;
        self.hops[id.0 as usize] = None;
        self.numbers.remove(&next_hop);
        self.free.push(id);
        let left = self.addresses.get(&next_hop.address).copied().unwrap_or_default();
        if left > 1 {
            self.addresses.insert(next_hop.address, left - 1);
        } else {
            self.addresses.remove(&next_hop.address);
            self.track.note(next_hop.address);
        }
    }

    pub(crate) fn get(&self, id: HopId) -> Option<NextHop> {
        self.hops[id.0 as usize].map(|hop| hop.next_hop)
    }

    /// How far it is; `None` if it cannot be reached. No next hop is no distance.
    pub(crate) fn metric(&self, id: HopId) -> Option<u32> {
        match &self.hops[id.0 as usize] {
            Some(hop) => hop.metric,
            None => Some(0),
        }
    }

    fn metric_of(&self, address: IpAddr) -> Option<u32> {
        match self.state(address) {
            HopState::Reachable(metric) => Some(metric),
            HopState::Unreachable | HopState::Unanswered => None,
        }
    }

    /// A tracker says whether there is a way; how far it is the configuration says better.
    fn state(&self, address: IpAddr) -> HopState {
        match self.track.state(address) {
            HopState::Reachable(tracked) => {
                HopState::Reachable(self.configured.get(&address).copied().unwrap_or(tracked))
            }
            other => other,
        }
    }

    /// Notes a configured distance. The next hops that it changes.
    pub(crate) fn set(&mut self, address: IpAddr, metric: Option<u32>) -> ChangedHops {
        match metric {
            Some(metric) => self.configured.insert(address, metric),
            None => self.configured.remove(&address),
        };
        self.renew()
    }

    /// Switches tracking. The next hops that it changes.
    pub(crate) fn track(&mut self, tracking: bool) -> ChangedHops {
        self.track.switch(tracking, self.addresses.keys().copied());
        self.renew()
    }

    /// A tracker takes up its work, or has gone away. That alone changes no distance.
    pub(crate) fn attend(&mut self, there: bool) {
        self.track.attend(there, self.addresses.keys().copied());
    }

    /// Takes answers of the tracker over. The next hops that they change.
    pub(crate) fn answer(&mut self, answers: &[(IpAddr, Option<u32>)]) -> ChangedHops {
        self.track.answer(answers);
        self.renew()
    }

    /// What the tracker has to be told since the last call.
    pub(crate) fn take_changes(&mut self) -> super::HopChanges {
        let addresses = &self.addresses;
        self.track.take_changes(|address| addresses.contains_key(&address))
    }

    /// Whether a next hop in use has never been answered for.
    pub(crate) fn awaits(&self) -> bool {
        self.addresses.keys().any(|address| self.track.state(*address) == HopState::Unanswered)
    }

    /// What is known of an address; `None` if it is not in use.
    pub(crate) fn known(&self, address: IpAddr) -> Option<HopState> {
        self.addresses.contains_key(&address).then(|| self.state(address))
    }

    /// Every address in use and what is known of it.
    pub(crate) fn states(&self) -> impl Iterator<Item = (IpAddr, HopState)> {
        self.addresses.keys().map(|address| (*address, self.state(*address)))
    }

    fn renew(&mut self) -> ChangedHops {
        let mut changed = ChangedHops::default();
        for number in 0..self.hops.len() {
            let Some(hop) = self.hops[number] else { continue };
            let metric = self.metric_of(hop.next_hop.address);
            if metric != hop.metric {
                self.hops[number] = Some(Hop { metric, ..hop });
                changed.0.resize(self.hops.len(), false);
                changed.0[number] = true;
            }
        }
        changed
    }
}
