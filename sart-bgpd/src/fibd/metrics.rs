//! What the route manager counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use sart_fib::Decision;
use sart_telemetry::metrics::Registry;

/// One label with a fixed set of values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Label {
    /// The value.
    pub kind: &'static str,
}

/// All counters; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Speakers followed now.
    pub connected: Gauge,
    /// Dumps of the kernel's tables.
    pub dumps: Counter,
    /// Times the kernel's notifications overran.
    pub overruns: Counter,
    /// Paths left out because they made no sense.
    pub invalid_paths: Counter,
    writes: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    routes: Family<Label, Gauge>,
    next_hops: Family<Label, Gauge>,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("speakers_followed", "Streams of best paths open now", metrics.connected.clone());
        registry.register("kernel_dumps", "Dumps of the kernel's tables", metrics.dumps.clone());
        registry.register("kernel_overruns", "Notification overruns", metrics.overruns.clone());
        registry.register("invalid_paths", "Paths left out as invalid", metrics.invalid_paths.clone());
        registry.register("kernel_writes", "Route writes asked of the kernel", metrics.writes.clone());
        registry.register("kernel_failures", "Failed netlink operations", metrics.failures.clone());
        registry.register("routes", "Routes by state", metrics.routes.clone());
        let help = "Next hops that speakers ask about, by state";
        registry.register("next_hops", help, metrics.next_hops.clone());
        metrics
    }

    pub(super) fn write(&self, kind: &'static str) {
        self.writes.get_or_create(&Label { kind }).inc();
    }

    pub(super) fn failure(&self, kind: &'static str) {
        self.failures.get_or_create(&Label { kind }).inc();
    }

    pub(super) fn next_hops(&self, reachable: usize, unreachable: usize) {
        for (kind, count) in [("reachable", reachable), ("unreachable", unreachable)] {
            self.next_hops.get_or_create(&Label { kind }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn routes(&self, decision: &Decision) {
        for kind in ["installed", "pending", "unresolved", "refused"] {
            let count = decision.verdicts.iter().filter(|verdict| verdict.state.word() == kind).count();
            self.routes.get_or_create(&Label { kind }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
