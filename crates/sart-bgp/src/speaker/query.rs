//! Reads for the API: copies of rows, made on demand. Must never change anything.

use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;

use super::{NeighborView, PathFilter, PathView, QueryError, Running, Speaker, Table};
use crate::config::{Global, Transport};
use crate::family::Family;
use crate::rib::feed::BestPath;
use crate::rib::{Cursor, Destination, HopState, Path, Route};

/// Why an accepted path is not used while next hops are tracked.
const NEXT_HOP_UNREACHABLE: &str = "next_hop_unreachable";

impl Speaker {
    /// Identity and switches; `None` while no configuration has been applied.
    #[must_use]
    pub fn global(&self) -> Option<&Global> {
        self.running.as_ref().map(|running| &running.global)
    }

    /// Every neighbour, in order of address.
    #[must_use]
    pub fn neighbors(&self, now: Duration) -> Vec<NeighborView> {
        self.neighbors.keys().filter_map(|address| self.neighbor(*address, now)).collect()
    }

    /// How connections with every neighbour are made, in order of address.
    pub fn transports(&self) -> impl Iterator<Item = (IpAddr, &Transport)> {
        self.neighbors
            .iter()
            .map(|(address, neighbor)| (*address, &neighbor.session.config().neighbor.transport))
    }

    /// How long a neighbour may take to read something (RFC 9687); `None` for ever.
    #[must_use]
    pub fn send_hold(&self, address: IpAddr) -> Option<Duration> {
        let config = &self.neighbors.get(&address)?.session.config().neighbor;
        config.transport.send_hold(config.proposed_hold_time())
    }

    /// One neighbour.
    #[must_use]
    pub fn neighbor(&self, address: IpAddr, now: Duration) -> Option<NeighborView> {
        let counts = self.running.as_ref().map(|running| {
            let (received, sent) = running.rib.counts(address);
            let withheld = Family::SUPPORTED.map(|family| running.rib.withheld(address, family));
            (received, sent, withheld.iter().sum())
        });
        let counts = counts.unwrap_or_default();
        self.neighbors.get(&address).map(|neighbor| neighbor.view(&counts, now))
    }

    /// The rows of a table that match `filter`, in order of prefix.
    ///
    /// # Errors
    /// If an adjacency table of an unknown neighbour is asked for.
    pub fn paths(
        &self,
        table: Table,
        filter: PathFilter,
        now: Duration,
    ) -> Result<Vec<PathView>, QueryError> {
        self.check(table)?;
        let mut views = Vec::new();
        let mut next = Some(Cursor::default());
        while let Some(cursor) = next {
            let slice = self.rows((table, filter), cursor, usize::MAX, now);
            views.extend(slice.0);
            next = slice.1;
        }
        views.sort_by_key(|view| view.prefix);
        Ok(views)
    }

    /// The next rows of a table that match `filter`, in no order, and where to go on; `None` at the end. Looks at no more
    /// than `at_most` prefixes, so that a listing of a full table never holds up anything: a prefix that stays is met
    /// exactly once, one that comes or goes meanwhile may be met or not.
    ///
    /// # Errors
    /// If an adjacency table of an unknown neighbour is asked for.
    pub fn paths_from(
        &self,
        (table, filter): (Table, PathFilter),
        cursor: Cursor,
        at_most: usize,
        now: Duration,
    ) -> Result<(Vec<PathView>, Option<Cursor>), QueryError> {
        self.check(table)?;
        Ok(self.rows((table, filter), cursor, at_most, now))
    }

    /// What is known of a next hop; `None` if no route has it.
    #[must_use]
    pub fn next_hop(&self, address: IpAddr) -> Option<HopState> {
        self.running.as_ref()?.rib.next_hop(address)
    }

    /// Every next hop of a route and what is known of it, in order of address.
    #[must_use]
    pub fn next_hops(&self) -> Vec<(IpAddr, HopState)> {
        self.running.iter().flat_map(|running| running.rib.next_hops()).collect()
    }

    /// How many prefixes are known.
    #[must_use]
    pub fn prefixes(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.rib.size().0)
    }

    fn check(&self, table: Table) -> Result<(), QueryError> {
        match table {
            Table::AdjRibIn(address) | Table::AdjRibOut(address)
                if !self.neighbors.contains_key(&address) =>
            {
                Err(QueryError::UnknownNeighbor { address })
            }
            _ => Ok(()),
        }
    }

    fn rows(
        &self,
        (table, filter): (Table, PathFilter),
        cursor: Cursor,
        at_most: usize,
        now: Duration,
    ) -> (Vec<PathView>, Option<Cursor>) {
        let Some(running) = &self.running else { return (Vec::new(), None) };
        if let Table::AdjRibOut(address) = table {
            return self.told(running, address, filter, (cursor, at_most));
        }
        let (rows, next) = match filter.prefix {
            // One prefix is looked up, however large the table is.
            Some(prefix) => {
                (running.rib.destination(&prefix).map(|found| (prefix, found)).into_iter().collect(), None)
            }
            None => running.rib.walk(filter.family, cursor, at_most),
        };
        let wanted = |path: &Path| match table {
            Table::AdjRibIn(address) => path.learned.is_some_and(|learned| learned.peer == address),
            _ => path.refused.is_none(),
        };
        (running.views(rows, filter, now, wanted), next)
    }

    fn told(
        &self,
        running: &Running,
        address: IpAddr,
        filter: PathFilter,
        (cursor, at_most): (Cursor, usize),
    ) -> (Vec<PathView>, Option<Cursor>) {
        let asn = self.neighbors.get(&address).map_or(0, |neighbor| neighbor.session.config().neighbor.asn);
        let view = |(prefix, route): (IpNet, Route)| PathView {
            prefix,
            path_id: route.path_id,
            next_hop: Some(route.next_hop.address),
            attributes: route.attributes,
            peer: Some(address),
            peer_asn: asn,
            best: true,
            multipath: false,
            refused: None,
            age: Duration::ZERO,
        };
        let (rows, next) = running.rib.walk_sent(address, cursor, at_most);
        (rows.into_iter().filter(|(prefix, _)| filter.takes(prefix)).map(view).collect(), next)
    }

    /// Works out the multipath sets for [`super::SpeakerOutput::BestPath`] and [`Speaker::best_paths`], or leaves it while
    /// nobody asks.
    pub fn set_fed(&mut self, fed: bool) {
        self.note_fed(fed);
        self.fed = fed;
        if let Some(running) = &mut self.running {
            running.rib.set_fed(fed);
        }
    }

    /// The multipath set of every prefix learned from neighbours, of the families asked for (none means all), in order
    /// of prefix.
    #[must_use]
    pub fn best_paths(&self, families: &[Family]) -> Vec<BestPath> {
        self.running.iter().flat_map(|running| running.rib.best_paths(families)).collect()
    }
}

impl PathFilter {
    fn takes(&self, prefix: &IpNet) -> bool {
        self.family.is_none_or(|family| family == Family::of_prefix(prefix))
            && self.prefix.is_none_or(|wanted| wanted == *prefix)
    }
}

impl Running {
    fn views(
        &self,
        rows: Vec<(IpNet, Destination)>,
        filter: PathFilter,
        now: Duration,
        wanted: impl Fn(&Path) -> bool,
    ) -> Vec<PathView> {
        let mut views = Vec::new();
        for (prefix, destination) in rows.into_iter().filter(|(prefix, _)| filter.takes(prefix)) {
            let paths = destination.paths().iter().filter(|path| wanted(path));
            views.extend(paths.map(|path| self.view(&prefix, &destination, path, now)));
        }
        views
    }

    fn view(&self, prefix: &IpNet, destination: &Destination, path: &Path, now: Duration) -> PathView {
        let unreachable = (!path.reachable).then_some(NEXT_HOP_UNREACHABLE);
        PathView {
            prefix: *prefix,
            path_id: path.id,
            next_hop: path.next_hop,
            attributes: path.attributes.clone(),
            peer: path.learned.map(|learned| learned.peer),
            peer_asn: path.learned.map_or(self.global.asn, |learned| learned.asn),
            best: destination.best() == Some(path),
            multipath: destination.multipath().any(|chosen| chosen == path),
            refused: path.refused.map(crate::rib::Refusal::reason).or(unreachable),
            age: now.saturating_sub(path.changed_at),
        }
    }
}
