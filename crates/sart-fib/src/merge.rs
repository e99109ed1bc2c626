//! Which source wins a prefix: one table of routes per source, merged by administrative distance. Keeps what a lost
//! source said last until it has said everything again; never resolves a next hop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::route::{KernelRoute, Leg, PROTOCOL_BOOT, PROTOCOL_KERNEL, PROTOCOL_STATIC, RouteKind};

/// Distance and kernel metric of routes learned from another AS.
pub const DISTANCE_EBGP: u32 = 20;
/// Distance and kernel metric of routes learned inside the AS.
pub const DISTANCE_IBGP: u32 = 200;

/// Index of a source inside its channel; the lower index wins between equal distances.
pub type SourceId = usize;

/// Where a route comes from, as far as its distance depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A BGP speaker.
    Bgp {
        /// Learned over iBGP.
        internal: bool,
    },
    /// Imported from a kernel table.
    Kernel {
        /// The `rtm_protocol` of the kernel route.
        protocol: u8,
        /// The table it stands in.
        table: u32,
    },
}

/// Where packets go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Addresses with weights, to be resolved.
    NextHops(Vec<(IpAddr, u16)>),
    /// Legs as another kernel table has them.
    Legs(Vec<Leg>),
}

/// One route of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRoute {
    /// Destination.
    pub prefix: IpNet,
    /// Origin of the route.
    pub source: Source,
    /// Where packets go.
    pub target: Target,
}

#[derive(Debug, Default)]
struct SourceTable {
    routes: BTreeMap<IpNet, (SourceRoute, u64)>,
    /// Prefixes withdrawn before the set was complete: they may stand in the kernel since an earlier run.
    withdrawn: BTreeSet<IpNet>,
    generation: u64,
    synced: bool,
}

/// All sources of one channel.
#[derive(Debug, Default)]
pub struct Rib {
    sources: Vec<SourceTable>,
}

impl Source {
    /// Administrative distance: the lower one wins a prefix.
    pub fn distance(self) -> u32 {
        match self {
            Source::Bgp { internal: false } => DISTANCE_EBGP,
            Source::Bgp { internal: true } => DISTANCE_IBGP,
            Source::Kernel { protocol: PROTOCOL_KERNEL, .. } => 0,
            Source::Kernel { protocol: PROTOCOL_BOOT | PROTOCOL_STATIC, .. } => 1,
            // The usual distances of the routing protocols by their rtnetlink ids: EIGRP, OSPF, RIP.
            Source::Kernel { protocol: 192, .. } => 90,
            Source::Kernel { protocol: 188, .. } => 110,
            Source::Kernel { protocol: 189, .. } => 120,
            Source::Kernel { .. } => 150,
        }
    }

    /// The word that tables and the API print.
    pub fn name(self) -> &'static str {
        match self {
            Source::Bgp { internal: false } => "ebgp",
            Source::Bgp { internal: true } => "ibgp",
            Source::Kernel { .. } => "kernel",
        }
    }
}

impl Rib {
    /// A channel with `sources` sources, none of them complete.
    pub fn new(sources: usize) -> Self {
        Self { sources: (0..sources).map(|_| SourceTable::default()).collect() }
    }

    /// A source starts to say everything again (a new stream). What it said before stays until [`Rib::end_of_rib`].
    pub fn begin(&mut self, id: SourceId) {
        if let Some(table) = self.sources.get_mut(id) {
            table.generation += 1;
        }
    }

    /// Adds or replaces a route of a source.
    pub fn upsert(&mut self, id: SourceId, route: SourceRoute) {
        if let Some(table) = self.sources.get_mut(id) {
            table.withdrawn.remove(&route.prefix);
            table.routes.insert(route.prefix, (route, table.generation));
        }
    }

    /// Removes a route of a source; an unknown prefix is fine.
    pub fn withdraw(&mut self, id: SourceId, prefix: IpNet) {
        if let Some(table) = self.sources.get_mut(id) {
            table.routes.remove(&prefix);
            if !table.synced {
                table.withdrawn.insert(prefix);
            }
        }
    }

    /// A source has said everything: what it said in an earlier stream and not again leaves.
    pub fn end_of_rib(&mut self, id: SourceId) {
        if let Some(table) = self.sources.get_mut(id) {
            let now = table.generation;
            table.routes.retain(|_, (_, generation)| *generation == now);
            table.withdrawn.clear();
            table.synced = true;
        }
    }

    /// Makes a source equal to `routes`, which is its complete set.
    pub fn replace(&mut self, id: SourceId, routes: impl IntoIterator<Item = SourceRoute>) {
        self.begin(id);
        for route in routes {
            self.upsert(id, route);
        }
        self.end_of_rib(id);
    }

    /// True once every source has been complete: what is not merged here is stale.
    pub fn synced(&self) -> bool {
        self.sources.iter().all(|table| table.synced)
    }

    /// The winner of each prefix, in prefix order.
    pub fn merged(&self) -> BTreeMap<IpNet, &SourceRoute> {
        let mut winners: BTreeMap<IpNet, &SourceRoute> = BTreeMap::new();
        for (route, _) in self.sources.iter().flat_map(|table| table.routes.values()) {
            let winner = winners.entry(route.prefix).or_insert(route);
            if route.source.distance() < winner.source.distance() {
                *winner = route;
            }
        }
        winners
    }

    /// Prefixes that a source has taken back before it was complete and that no source has now.
    pub fn withdrawn(&self) -> BTreeSet<IpNet> {
        let known = |prefix: &IpNet| self.sources.iter().any(|table| table.routes.contains_key(prefix));
        let all = self.sources.iter().flat_map(|table| table.withdrawn.iter());
        all.filter(|prefix| !known(prefix)).copied().collect()
    }
}

/// The routes of `tables` that a channel of one family imports: unicast ones of protocols that are not sart's, so that
/// a route never feeds itself.
pub fn import(kernel: &[KernelRoute], tables: &[u32], v4: bool, ours: &[u8]) -> Vec<SourceRoute> {
    let wanted = |found: &&KernelRoute| {
        let route = &found.route;
        tables.contains(&route.key.table)
            && matches!(route.key.prefix, IpNet::V4(_)) == v4
            && route.kind == RouteKind::Unicast
            && !ours.contains(&route.protocol)
    };
    let mut best: BTreeMap<IpNet, &KernelRoute> = BTreeMap::new();
    for found in kernel.iter().filter(wanted) {
        let kept = best.entry(found.route.key.prefix).or_insert(found);
        if found.route.key.metric < kept.route.key.metric {
            *kept = found;
        }
    }
    let routes = best.into_values().map(|found| SourceRoute {
        prefix: found.route.key.prefix,
        source: Source::Kernel { protocol: found.route.protocol, table: found.route.key.table },
        target: Target::Legs(found.usable_legs().copied().collect()),
    });
    routes.collect()
}

#[cfg(test)]
mod tests;
