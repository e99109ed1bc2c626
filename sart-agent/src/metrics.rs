//! What the agent counts. Names and buckets only; nobody decides by them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use sart_telemetry::metrics::Registry;

/// Upper bounds in seconds: around the 100 ms that an endpoint's change may take to the wire.
const LATENCY: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Handles to the agent's metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// EndpointSlice event received → speaker confirmed.
    pub endpoint_to_ack: Histogram,
    /// Configurations confirmed.
    pub configs: Counter,
    /// Configurations refused.
    pub configs_refused: Counter,
    /// Paths announced, changed or withdrawn.
    pub paths_changed: Counter,
    /// Failed connections and lost ones.
    pub speaker_losses: Counter,
    /// Status writes.
    pub status_writes: Counter,
    /// Status writes that failed.
    pub status_failures: Counter,
    /// Routes and rules that the kernel refused.
    pub stopper_failures: Counter,
    /// The pod network's.
    pub pods: crate::cni::Metrics,
}

impl Metrics {
    /// Registers everything.
    pub fn new(registry: &mut Registry) -> Self {
        let endpoint_to_ack = Histogram::new(LATENCY);
        let help = "Seconds from the EndpointSlice event to the speaker's confirmation";
        registry.register("endpoint_to_ack_seconds", help, endpoint_to_ack.clone());
        let pods = crate::cni::Metrics::new(registry);
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            endpoint_to_ack,
            pods,
            configs: counter("speaker_configs", "Configurations the speaker confirmed"),
            configs_refused: counter("speaker_configs_refused", "Configurations the speaker refused"),
            paths_changed: counter("paths_changed", "Paths announced, changed or withdrawn"),
            speaker_losses: counter(
                "speaker_connection_failures",
                "Connections to the speaker failed or lost",
            ),
            status_writes: counter("status_writes", "Status writes to the API server"),
            status_failures: counter("status_write_failures", "Status writes that failed"),
            stopper_failures: counter("loop_stopper_failures", "Routes and rules the kernel refused"),
        }
    }
}
