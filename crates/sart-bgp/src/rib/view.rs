//! Copies of rows for people and tests. Must never change anything.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::sync::Arc;

use ipnet::IpNet;

use super::Rib;
use super::choice::Choice;
use super::export::{Route, next_hop};
use super::feed::BestPath;
use super::group::{Column, Group};
use super::import::Refusal;
use super::key::{Key, TABLES};
use super::refresh::table_of;
use super::table::{DestId, PeerId};
use crate::family::Family;
use crate::wire::attr::Attributes;

/// The paths of one prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    paths: Vec<Path>,
    /// Indexes into `paths`; the first is the best path, all together are the multipath set.
    chosen: Vec<usize>,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Who sent it; `None` for an own path.
    pub learned: Option<Learned>,
    /// The neighbour's path identifier (RFC 7911); 0 without.
    pub id: u32,
    /// Attributes, shared.
    pub attributes: Arc<Attributes>,
    /// Next hop; `None` for an own path.
    pub next_hop: Option<IpAddr>,
    /// Why it may not be used.
    pub refused: Option<Refusal>,
    /// Its next hop can be reached, as far as anybody knows.
    pub reachable: bool,
    /// When it last changed, to a sixteenth of a second.
    pub changed_at: Duration,
}

/// The neighbour a path came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Its address.
    pub peer: IpAddr,
    /// Its AS number.
    pub asn: u32,
    /// Its router id.
    pub router_id: Ipv4Addr,
    /// It is in our AS.
    pub internal: bool,
}

impl Destination {
    /// The best path.
    #[must_use]
    pub fn best(&self) -> Option<&Path> {
        self.chosen.first().and_then(|index| self.paths.get(*index))
    }

    /// The multipath set, best first.
    pub fn multipath(&self) -> impl Iterator<Item = &Path> {
        self.chosen.iter().filter_map(|index| self.paths.get(*index))
    }

    /// Every path, refused ones included.
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The own path.
    #[must_use]
    pub fn local(&self) -> Option<&Path> {
        self.paths.iter().find(|path| path.learned.is_none())
    }
}

/// Where a walk over the tables goes on. A prefix that stays is met exactly once; one that comes or goes meanwhile may be
/// met or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    table: usize,
    row: u32,
}

impl Rib {
    fn choice(&self) -> Choice<'_> {
        Choice { rules: &self.config.decision, sets: &self.sets, hops: &self.hops, peers: &self.peers }
    }

    fn view(&self, at: usize, dest: DestId) -> Destination {
        let table = &self.tables[at];
        let path = |path: &super::table::Path| Path {
            learned: self.peers.get(path.peer).map(|peer| Learned {
                peer: peer.address,
                asn: peer.config.asn,
                router_id: peer.config.router_id,
                internal: peer.config.update.internal,
            }),
            id: path.id,
            attributes: Arc::new(self.sets.attributes(path.set)),
            next_hop: self.hops.get(self.sets.summary(path.set).hop).map(|hop| hop.address),
            refused: Refusal::of(path.refused),
            reachable: self.hops.metric(self.sets.summary(path.set).hop).is_some(),
            changed_at: Duration::from_millis(u64::from(path.time) * 1000 / 16),
        };
        Destination {
            paths: table.paths(dest).map(path).collect(),
            chosen: self.choice().chosen(table, dest),
        }
    }

    /// One prefix with its paths.
    #[must_use]
    pub fn destination(&self, prefix: &IpNet) -> Option<Destination> {
        let key = Key::of(prefix);
        let table = &self.tables[key.table()];
        let dest = table.find(key).filter(|dest| table.count(*dest) > 0)?;
        Some(self.view(key.table(), dest))
    }

    /// Every prefix with its paths, in order. Copies the whole table: for tests and small tables.
    pub fn destinations(&self) -> impl Iterator<Item = (IpNet, Destination)> {
        let rows = (0..TABLES).flat_map(|at| self.tables[at].all().map(move |dest| (at, dest)));
        let mut known: Vec<_> = rows
            .filter(|(at, dest)| self.tables[*at].count(*dest) > 0)
            .map(|(at, dest)| (self.tables[at].key(dest).prefix(), at, dest))
            .collect();
        known.sort_unstable();
        known.into_iter().map(|(prefix, at, dest)| (prefix, self.view(at, dest)))
    }

    /// The next rows of a walk over all prefixes of `family` (none means all), and where to go on; `None` at the end.
    /// At most `at_most` rows of the tables are looked at.
    #[must_use]
    pub fn walk(
        &self,
        family: Option<Family>,
        cursor: Cursor,
        at_most: usize,
    ) -> (Vec<(IpNet, Destination)>, Option<Cursor>) {
        let wanted = |table: usize| family.is_none_or(|family| Family::SUPPORTED[table] == family);
        let (rows, next) = self.rows(cursor, at_most, wanted);
        let known = rows.into_iter().filter(|(at, dest)| self.tables[*at].count(*dest) > 0);
        let view = |(at, dest): (usize, DestId)| (self.tables[at].key(dest).prefix(), self.view(at, dest));
        (known.map(view).collect(), next)
    }

    fn rows(
        &self,
        cursor: Cursor,
        at_most: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> (Vec<(usize, DestId)>, Option<Cursor>) {
        let Cursor { table, row } = cursor;
        if table >= TABLES {
            return (Vec::new(), None);
        }
        let rows = if wanted(table) { self.tables[table].rows() as u32 } else { 0 };
        let end = rows.min(row.saturating_add(u32::try_from(at_most).unwrap_or(u32::MAX)));
        let next = if end < rows { Cursor { table, row: end } } else { Cursor { table: table + 1, row: 0 } };
        let found = (row..end).map(|row| (table, DestId(row))).collect();
        (found, (next.table < TABLES).then_some(next))
    }

    /// The next rows of a walk over what a neighbour was told, as [`Rib::walk`].
    #[must_use]
    pub fn walk_sent(
        &self,
        address: IpAddr,
        cursor: Cursor,
        at_most: usize,
    ) -> (Vec<(IpNet, Route)>, Option<Cursor>) {
        let (rows, next) = self.rows(cursor, at_most, |_| true);
        let routes = rows.into_iter().flat_map(|(at, dest)| self.routes_to(address, at, dest));
        (routes.collect(), next)
    }

    fn routes_to(&self, address: IpAddr, at: usize, dest: DestId) -> Vec<(IpNet, Route)> {
        let Some(peer) = self.peers.by_address(address) else { return Vec::new() };
        let Some(group) = self.groups.get(peer.group).and_then(Option::as_ref) else { return Vec::new() };
        let (family, prefix) = (Family::SUPPORTED[at], self.tables[at].key(dest).prefix());
        let route = |column: Column| {
            let set = Some(group.out(column).get(dest).to(peer.id)).filter(|set| set.is_some())?;
            let next_hop = next_hop(&self.sets, &self.hops, (group, family), set)?;
            let attributes = Arc::new(self.sets.attributes(set));
            let path_id = if group.form(family).path_ids { column.path_id() } else { 0 };
            Some((prefix, Route { attributes, next_hop, path_id }))
        };
        group.columns_of(at).filter_map(route).collect()
    }

    /// What a neighbour was told (Adj-RIB-Out), in order of prefix; empty if its session is down. To one that reads
    /// slowly the last part may still be on its way.
    pub fn sent(&self, address: IpAddr) -> impl Iterator<Item = (IpNet, Route)> {
        let rows = (0..TABLES).flat_map(|at| self.tables[at].all().map(move |dest| (at, dest)));
        let mut routes: Vec<_> = rows.flat_map(|(at, dest)| self.routes_to(address, at, dest)).collect();
        routes.sort_unstable_by_key(|(prefix, route)| (*prefix, route.path_id));
        routes.into_iter()
    }

    /// Changes for a route manager since the last call, in order; of several changes of one prefix between two flushes
    /// only the outcome.
    pub fn take_feed(&mut self) -> Vec<BestPath> {
        self.collect_feed();
        self.feed.take()
    }

    /// What a route manager was told last, of the families asked for (none means all), in order of prefix.
    #[must_use]
    pub fn best_paths(&self, families: &[Family]) -> Vec<BestPath> {
        let wanted = |table: usize| families.is_empty() || families.contains(&Family::SUPPORTED[table]);
        let rows = (0..TABLES)
            .filter(|table| wanted(*table))
            .flat_map(|at| self.tables[at].all().map(move |dest| (at, dest)));
        let mut paths: Vec<_> = rows
            .filter_map(|(at, dest)| self.feed.told(at, dest, self.tables[at].key(dest).prefix()))
            .collect();
        paths.sort_unstable_by_key(|path| path.prefix);
        paths
    }

    /// Whether changes for a route manager are worked out at all. Switching it on makes [`Rib::best_paths`] complete;
    /// what is there already is not told as a change.
    pub fn set_fed(&mut self, fed: bool) {
        if self.fed == fed {
            return;
        }
        self.fed = fed;
        self.feed = super::feed::Feed::default();
        for at in 0..TABLES {
            // What was noted before the change counts no more.
            self.tables[at].take_fed();
            for dest in self.tables[at].all().filter(|_| fed) {
                self.tables[at].touch_feed(dest);
            }
        }
        self.collect_feed();
        self.feed.take();
    }

    pub(super) fn collect_feed(&mut self) {
        for at in 0..TABLES {
            for dest in self.tables[at].take_fed() {
                let (next_hops, internal) = self.feed_entry(at, dest);
                let prefix = || self.tables[at].key(dest).prefix();
                let rows = self.tables[at].rows();
                self.feed.publish((at, rows), (dest, prefix), (&next_hops, internal));
            }
        }
    }

    /// What a route manager has to know. A prefix of our own is never handed to it, however good a neighbour's path is.
    fn feed_entry(&self, at: usize, dest: DestId) -> (Vec<IpAddr>, bool) {
        let table = &self.tables[at];
        if table.paths(dest).any(|path| path.peer == PeerId::OWN) {
            return (Vec::new(), false);
        }
        let Some(best) = table.best(dest) else { return (Vec::new(), false) };
        let internal = self.peers.get(best.peer).is_some_and(|peer| peer.config.update.internal);
        let hop = |path: super::table::Path| self.hops.get(self.sets.summary(path.set).hop);
        let mut next_hops: Vec<_> = if self.config.decision.multipath && table.count(dest) > 1 {
            let chosen = self.choice().chosen(table, dest);
            chosen
                .into_iter()
                .filter_map(|index| hop(table.path(dest, index)))
                .map(|hop| hop.address)
                .collect()
        } else {
            hop(*best).map(|hop| hop.address).into_iter().collect()
        };
        next_hops.sort_unstable();
        next_hops.dedup();
        (next_hops, internal)
    }

    /// How many prefixes a neighbour announces, accepted or not, and how many of one family.
    #[must_use]
    pub fn received(&self, address: IpAddr, family: Option<Family>) -> u64 {
        let Some(peer) = self.peers.by_address(address) else { return 0 };
        match family {
            None => peer.tally.received.iter().sum(),
            Some(family) => table_of(family).map_or(0, |table| peer.tally.received[table]),
        }
    }

    /// How many prefixes of a family a neighbour announces that are accepted.
    #[must_use]
    pub fn accepted(&self, address: IpAddr, family: Family) -> u64 {
        let found = self.peers.by_address(address).zip(table_of(family));
        found.map_or(0, |(peer, table)| peer.tally.accepted(table))
    }

    /// How many prefixes of a family are kept from a neighbour, whole or some of their paths, by its export limit.
    #[must_use]
    pub fn withheld(&self, address: IpAddr, family: Family) -> u64 {
        let found = self.peers.by_address(address).zip(table_of(family));
        let Some((peer, table)) = found else { return 0 };
        let group = self.groups.get(peer.group).and_then(Option::as_ref);
        group.map_or(0, |group| group.withheld[table].count())
    }

    /// The most octets that were handed out for a neighbour and not yet reported as sent since its session came up.
    #[must_use]
    pub fn backlog_high(&self, address: IpAddr) -> usize {
        self.peers.by_address(address).map_or(0, |peer| peer.backlog_high)
    }

    /// How many prefixes of a family are known.
    #[must_use]
    pub fn prefixes(&self, family: Family) -> usize {
        table_of(family).map_or(0, |table| self.tables[table].len())
    }

    /// How many routes of a family a neighbour was told.
    #[must_use]
    pub fn told(&self, address: IpAddr, family: Family) -> u64 {
        let found = self.peers.by_address(address).zip(table_of(family));
        let Some((peer, table)) = found else { return 0 };
        let group = self.groups.get(peer.group).and_then(Option::as_ref);
        let told =
            |group: &Group| group.columns_of(table).map(|column| group.out(column).told_to(peer.id)).sum();
        group.map_or(0, told)
    }

    /// How many routes of a family are kept from a neighbour because they would leak (RFC 9234 section 5).
    #[must_use]
    pub fn leaks_kept(&self, address: IpAddr, family: Family) -> u64 {
        let found = self.peers.by_address(address).zip(table_of(family));
        let Some((peer, table)) = found else { return 0 };
        let group = self.groups.get(peer.group).and_then(Option::as_ref);
        group.map_or(0, |group| group.kept[table].count_for(peer.id))
    }
}
