//! The figures of the speaker daemon. Counts; must never influence it.

mod peers;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sart_bgp::session::SessionEvent;
use sart_bgp::speaker::Speaker;

use self::peers::Peers;

type Labels = [(&'static str, &'static str); 1];

/// All figures; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    queue_full: Family<Labels, Counter>,
    session_events: Family<Labels, Counter>,
    watchers_dropped: Family<Labels, Counter>,
    reloads: Family<Labels, Counter>,
    refused: Family<Labels, Counter>,
    established: Gauge,
    tracker: Gauge,
    peers: Arc<Peers>,
}

impl Metrics {
    /// Registers every figure.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "queue_full",
            "Times a bounded queue had no room, by queue",
            self.queue_full.clone(),
        );
        registry.register(
            "session_events",
            "What happened on sessions, by reason",
            self.session_events.clone(),
        );
        registry.register(
            "watchers_dropped",
            "API watchers ended because they read too slowly, by stream",
            self.watchers_dropped.clone(),
        );
        registry.register("reloads", "Readings of the configuration file, by result", self.reloads.clone());
        registry.register(
            "connections_refused",
            "Connections dropped before they were used, by reason",
            self.refused.clone(),
        );
        registry.register(
            "next_hop_tracker",
            "1 while a route manager tracks next hops",
            self.tracker.clone(),
        );
        registry.register("established", "Sessions in Established", self.established.clone());
        registry.register_collector(Box::new(Arc::clone(&self.peers)));
    }

    /// A bounded queue had no room.
    pub fn queue_full(&self, queue: &'static str) {
        self.queue_full.get_or_create(&[("queue", queue)]).inc();
    }

    /// How often `queue` had no room.
    #[must_use]
    pub fn queue_full_count(&self, queue: &'static str) -> u64 {
        self.queue_full.get_or_create(&[("queue", queue)]).get()
    }

    /// Something happened on the session of a neighbor.
    pub fn session_event(&self, peer: IpAddr, event: &SessionEvent) {
        self.session_events.get_or_create(&[("reason", event.reason())]).inc();
        self.peers.count(peer, event);
    }

    /// A session entered (+1) or left (-1) Established.
    pub fn established(&self, change: i64) {
        self.established.inc_by(change);
    }

    /// Shows every neighbor and table as they are now.
    pub fn publish(&self, speaker: &Speaker) {
        self.peers.publish(speaker.figures(), &speaker.table_sizes());
    }

    /// A neighbor is configured no more: nothing is shown of it.
    pub fn forget(&self, peer: IpAddr) {
        self.peers.forget(peer);
    }

    /// A next hop tracker came or went.
    pub fn tracker(&self, there: bool) {
        self.tracker.set(i64::from(there));
    }

    /// A watcher was too slow.
    pub fn watcher_dropped(&self, stream: &'static str) {
        self.watchers_dropped.get_or_create(&[("stream", stream)]).inc();
    }

    /// A connection was refused before the speaker saw it.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// The configuration file was read.
    pub fn reload(&self, result: &'static str) {
        self.reloads.get_or_create(&[("result", result)]).inc();
    }
}
