//! Reads for the API: copies of rows, made on demand. Must never change anything.

use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;

use super::{NeighborView, PathFilter, PathView, QueryError, Running, Speaker, Table};
use crate::config::Global;
use crate::family::Family;
use crate::rib::feed::BestPath;
use crate::rib::{Destination, Path, Route};

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

    /// One neighbour.
    #[must_use]
    pub fn neighbor(&self, address: IpAddr, now: Duration) -> Option<NeighborView> {
        let counts = self.running.as_ref().map(|running| running.rib.counts(address)).unwrap_or_default();
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
        if let Table::AdjRibIn(address) | Table::AdjRibOut(address) = table
            && !self.neighbors.contains_key(&address)
        {
            return Err(QueryError::UnknownNeighbor { address });
        }
        let Some(running) = &self.running else { return Ok(Vec::new()) };
        Ok(match table {
            Table::LocRib => running.received(filter, now, |path| path.refused.is_none()),
            Table::AdjRibIn(address) => running
                .received(filter, now, |path| path.learned.is_some_and(|learned| learned.peer == address)),
            Table::AdjRibOut(address) => self.told(running, address, filter),
        })
    }

    fn told(&self, running: &Running, address: IpAddr, filter: PathFilter) -> Vec<PathView> {
        let asn = self.neighbors.get(&address).map_or(0, |neighbor| neighbor.session.config().neighbor.asn);
        let view = |(prefix, route): (IpNet, Route)| PathView {
            prefix,
            next_hop: Some(route.next_hop.address),
            attributes: route.attributes.clone(),
            peer: Some(address),
            peer_asn: asn,
            best: true,
            multipath: false,
            refused: None,
            age: Duration::ZERO,
        };
        running.rib.sent(address).filter(|(prefix, _)| filter.takes(prefix)).map(view).collect()
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
    fn received(&self, filter: PathFilter, now: Duration, wanted: impl Fn(&Path) -> bool) -> Vec<PathView> {
        let mut views = Vec::new();
        for (prefix, destination) in self.rib.destinations().filter(|(prefix, _)| filter.takes(prefix)) {
            let paths = destination.paths().iter().filter(|path| wanted(path));
            views.extend(paths.map(|path| self.view(&prefix, &destination, path, now)));
        }
        views
    }

    fn view(&self, prefix: &IpNet, destination: &Destination, path: &Path, now: Duration) -> PathView {
        PathView {
            prefix: *prefix,
            next_hop: path.next_hop,
            attributes: path.attributes.clone(),
            peer: path.learned.map(|learned| learned.peer),
            peer_asn: path.learned.map_or(self.global.asn, |learned| learned.asn),
            best: destination.best() == Some(path),
            multipath: destination.multipath().any(|chosen| chosen == path),
            refused: path.refused.map(crate::rib::Refusal::reason),
            age: now.saturating_sub(path.changed_at),
        }
    }
}
