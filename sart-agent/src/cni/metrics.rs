//! What the pod network counts: calls by verb and result code, their time, attachments, and how full each block is. Figures of
//! what stands are read when they are scraped, never kept beside the truth.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use sart_cni::environment::Verb;
use sart_telemetry::metrics::Registry;

use super::addresses::BlockUse;
use super::server::Server;

/// Upper bounds in seconds: an ADD takes milliseconds, or waits for a block.
const DURATIONS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 60.0];

/// Handles; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    calls: Family<Call, Counter>,
    seconds: Family<Asked, Histogram, fn() -> Histogram>,
    standing: Standing,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    verb: &'static str,
    code: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    verb: &'static str,
}

/// Name, help, and the figure of a block.
type Figure = (&'static str, &'static str, fn(&BlockUse) -> i64);

/// Where the figures come from; empty until somebody serves.
#[derive(Clone, Default)]
struct Standing(Arc<OnceLock<Weak<Server>>>);

impl Default for Metrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            standing: Standing::default(),
        }
    }
}

impl Metrics {
    /// Registers everything.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "cni_calls",
            "Questions of the CNI plugin by result code; 0 is success",
            metrics.calls.clone(),
        );
        registry.register(
            "cni_call_seconds",
            "Seconds from a question to its answer",
            metrics.seconds.clone(),
        );
        registry.register_collector(Box::new(metrics.standing.clone()));
        metrics
    }

    /// From here on this server's figures are shown; it may end at any time.
    pub fn show(&self, server: &Arc<Server>) {
        // The first one stays: an agent has one server.
        drop(self.standing.0.set(Arc::downgrade(server)));
    }

    /// A question was answered; code 0 is success.
    pub(super) fn answered(&self, verb: Verb, code: u32, took: Duration) {
        let verb = name(verb);
        self.calls.get_or_create(&Call { verb, code }).inc();
        self.seconds.get_or_create(&Asked { verb }).observe(took.as_secs_f64());
    }
}

const fn name(verb: Verb) -> &'static str {
    match verb {
        Verb::Add => "ADD",
        Verb::Del => "DEL",
        Verb::Check => "CHECK",
        Verb::Gc => "GC",
        Verb::Status => "STATUS",
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "Standing" } else { "Standing(nobody serves)" })
    }
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(server) = self.0.get().and_then(Weak::upgrade) else { return Ok(()) };
        let machine = server.machine();
        let live = count(machine.journal.count());
        let help = "Attachments in the journal";
        let metric = encoder.encode_descriptor("cni_attachments", help, None, MetricType::Gauge)?;
        ConstGauge::new(live).encode(metric)?;
        let blocks = machine.addresses.blocks();
        let figures: [Figure; 3] = [
            ("pod_addresses_free", "Addresses of this node's block that may be given now", |one| one.free),
            ("pod_addresses_held", "Addresses of this node's block that pods hold", |one| count(one.held)),
            ("pod_addresses_cooling", "Addresses of this node's block that cool down", |one| {
                count(one.cooling)
            }),
        ];
        for (name, help, figure) in figures {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for block in &blocks {
                let labels = [("pool", block.pool.as_str()), ("block", block.name.as_str())];
                ConstGauge::new(figure(block)).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
