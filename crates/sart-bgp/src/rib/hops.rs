//! Next hops: one number for each, how far it is, and who has to watch it. Must never look up a route itself.

use core::net::IpAddr;
use std::collections::HashMap;

use crate::wire::attr::NextHop;

/// A next hop. [`HopId::NONE`] stands for "none" on an own path and for "our own address" on the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HopId(pub u32);

impl HopId {
    pub(crate) const NONE: Self = Self(0);
}

/// What a next hop tracker has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopWatch {
    /// Say with [`super::Rib::set_igp_metric`] how far this address is, now and at every change.
    Begin(IpAddr),
    /// No route has it any more.
    End(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Hop {
    next_hop: NextHop,
    refs: u32,
    /// `None` while nobody knows a way there.
    metric: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Hops {
    hops: Vec<Option<Hop>>,
    numbers: HashMap<NextHop, HopId>,
    free: Vec<HopId>,
    known: HashMap<IpAddr, u32>,
    /// Next hops count only while their distance is known.
    tracking: bool,
    watches: Vec<HopWatch>,
}

impl Hops {
    pub(crate) fn new(tracking: bool) -> Self {
        // Number 0 is nobody's.
        Self {
            hops: vec![None],
            numbers: HashMap::new(),
            free: Vec::new(),
            known: HashMap::new(),
            tracking,
            watches: Vec::new(),
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
        if self.tracking {
            self.watches.push(HopWatch::Begin(next_hop.address));
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
        if self.tracking && !self.numbers.keys().any(|other| other.address == next_hop.address) {
            self.watches.push(HopWatch::End(next_hop.address));
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
        self.known.get(&address).copied().or((!self.tracking).then_some(0))
    }

    /// Notes a distance. The next hops that it changes.
    pub(crate) fn set(&mut self, address: IpAddr, metric: Option<u32>) -> Vec<HopId> {
        match metric {
            Some(metric) => self.known.insert(address, metric),
            None => self.known.remove(&address),
        };
        self.renew(|hop| hop.address == address)
    }

    /// Switches tracking. The next hops that it changes.
    pub(crate) fn track(&mut self, tracking: bool) -> Vec<HopId> {
        if self.tracking != tracking {
            self.tracking = tracking;
            let watch = if tracking { HopWatch::Begin } else { HopWatch::End };
            self.watches.extend(self.hops.iter().flatten().map(|hop| watch(hop.next_hop.address)));
        }
        self.renew(|_| true)
    }

    fn renew(&mut self, which: impl Fn(&NextHop) -> bool) -> Vec<HopId> {
        let mut changed = Vec::new();
        for number in 0..self.hops.len() {
            let Some(hop) = self.hops[number].filter(|hop| which(&hop.next_hop)) else { continue };
            let metric = self.metric_of(hop.next_hop.address);
            if metric != hop.metric {
                self.hops[number] = Some(Hop { metric, ..hop });
                changed.push(HopId(number as u32));
            }
        }
        changed
    }

    pub(crate) fn take_watches(&mut self) -> Vec<HopWatch> {
        core::mem::take(&mut self.watches)
    }
}
