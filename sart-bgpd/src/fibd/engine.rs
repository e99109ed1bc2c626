//! The loop: events of sources and of the kernel in, plans out to the kernel. One task owns the tables; nothing that
//! netlink or a speaker does ends it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sart_fib::{
    Channel, Decision, Policy, ResolveOptions, Rib, RouteAction, RouteKey, SourceId, decide, merge, plan,
};
use sart_netlink::{Change, OpenError, RequestError, RouteHandle, RouteMonitor};
use sart_telemetry::Readiness;
use tokio::sync::{mpsc, watch};

use super::config::{Config, Family, Subscriber};
use super::kernel::Kernel;
use super::metrics::Metrics;
use super::next_hops::NextHops;
use super::source::{Follow, Origin, SourceEvent, follow};

/// Events waiting between the sources and the loop.
const QUEUE: usize = 4096;
/// Events taken before the kernel is written: whatever has arrived becomes one plan.
const AT_ONCE: usize = 16_384;
/// First pause before a failed write or dump is tried again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the API shows: the last decision, as it was applied.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Desired routes and verdicts.
    pub decision: Decision,
    /// Writes that the kernel refused, with its words.
    pub failures: BTreeMap<RouteKey, String>,
    /// Interface names.
    pub links: BTreeMap<u32, String>,
    /// For each channel whether its sources have said everything.
    pub synced: Vec<bool>,
}

/// The owner of all tables.
pub struct Engine {
    channels: Vec<Owned>,
    policy: Policy,
    kernel: Kernel,
    monitor: RouteMonitor,
    events: mpsc::Receiver<(Origin, SourceEvent)>,
    next_hops: NextHops,
    failures: BTreeMap<RouteKey, String>,
    pause: Option<Duration>,
    out: Outputs,
}

/// Where the engine reports.
pub struct Outputs {
    /// For the API.
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    /// Counters.
    pub metrics: Metrics,
    /// Ready once the kernel's tables have been read.
    pub ready: Readiness,
}

struct Owned {
    rib: Rib,
    family: Family,
    tables: Vec<u32>,
    imports: Vec<(SourceId, Vec<u32>)>,
}

impl Engine {
    /// Opens the sockets in the current network namespace and starts following the speakers.
    pub fn start(config: &Config, out: Outputs) -> Result<Self, OpenError> {
        // The monitor first: a change between the first dump and the subscription would be lost.
        let mut monitor = RouteMonitor::open()?;
        let handle = RouteHandle::open()?;
        monitor.ignore(handle.port());
        let (sender, events) = mpsc::channel(QUEUE);
        let mut channels = Vec::new();
        for (channel, config) in config.channels.iter().enumerate() {
            let mut imports = Vec::new();
            for (source, subscriber) in config.subscribers.iter().enumerate() {
                match subscriber {
                    Subscriber::Kernel(tables) => imports.push((source, tables.clone())),
                    Subscriber::Bgp(socket) => {
                        let origin = Origin { channel, source };
                        let what = Follow { socket: socket.clone(), family: config.family, origin };
                        tokio::spawn(follow(what, sender.clone()));
                    }
                }
            }
            let rib = Rib::new(config.subscribers.len());
            channels.push(Owned { rib, family: config.family, tables: config.tables.clone(), imports });
        }
        let policy = Policy {
            protocol: sart_fib::route::PROTOCOL_FIBD,
            resolve: ResolveOptions { via_default: config.resolve_via_default, ..ResolveOptions::default() },
            protected: config.protected.clone(),
        };
        let kernel = Kernel::new(handle);
        let next_hops = NextHops::start(config);
        let failures = BTreeMap::new();
        Ok(Self { channels, policy, kernel, monitor, events, next_hops, failures, pause: None, out })
    }

    /// Runs until cancelled; every await inside a write completes first only if the caller lets it.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            self.converge().await;
            let retry = self.pause;
            tokio::select! {
                // Without any speaker the queue is closed from the start; the kernel's changes still count.
                Some((origin, event)) = self.events.recv() => self.take(origin, event),
                () = self.next_hops.asked() => {}
                changes = self.monitor.changed() => match changes {
                    Ok(changes) => self.notice(&changes),
                    Err(error) => self.resubscribe(&error).await,
                },
                () = tokio::time::sleep(retry.unwrap_or(LONGEST_PAUSE)), if retry.is_some() => self.kernel.forget(),
                _ = stop.changed() => {}
            }
        }
    }

    fn take(&mut self, origin: Origin, event: SourceEvent) {
        self.source_event(origin, event);
        for _ in 0..AT_ONCE {
            let Ok((origin, event)) = self.events.try_recv() else { return };
            self.source_event(origin, event);
        }
    }

    fn source_event(&mut self, origin: Origin, event: SourceEvent) {
        let Some(channel) = self.channels.get_mut(origin.channel) else { return };
        let (rib, source) = (&mut channel.rib, origin.source);
        match event {
            SourceEvent::Begin => {
                rib.begin(source);
                self.out.metrics.connected.inc();
            }
            SourceEvent::Route(route) => rib.upsert(source, route),
            SourceEvent::Withdraw(prefix) => rib.withdraw(source, prefix),
            SourceEvent::EndOfRib => rib.end_of_rib(source),
            SourceEvent::Lost => {
                self.out.metrics.connected.dec();
            }
            SourceEvent::Invalid(why) => {
                self.out.metrics.invalid_paths.inc();
                tracing::warn!(%why, "left out a path of the speaker");
            }
        }
    }

    fn notice(&mut self, changes: &[Change]) {
        let overruns = changes.iter().filter(|change| **change == Change::Overrun).count();
        self.out.metrics.overruns.inc_by(overruns as u64);
        if changes.iter().any(|change| *change != Change::Rule) {
            self.kernel.forget();
        }
    }

    /// A broken subscription is replaced, not often, and what it may have missed is read.
    async fn resubscribe(&mut self, error: &RequestError) {
        tracing::warn!(%error, "the kernel's notifications failed; subscribing again");
        self.out.metrics.failure(error.reason());
        tokio::time::sleep(FIRST_PAUSE).await;
        match RouteMonitor::open() {
            Ok(monitor) => {
                self.monitor = monitor;
                self.monitor.ignore(self.kernel.port());
            }
            Err(error) => {
                self.out.metrics.failure(error.reason());
                tracing::warn!(%error, "could not subscribe again");
            }
        }
        self.kernel.forget();
    }

    /// Brings the kernel to what is decided now, and publishes the result.
    async fn converge(&mut self) {
        if !self.look().await {
            return;
        }
        // Before anything is written: a speaker has to hear at once that a next hop is gone.
        self.next_hops.answer(self.kernel.routes(), &self.policy.resolve, &self.out.metrics);
        let mut decision = self.decide();
        let sweep = self.channels.iter().all(|channel| channel.rib.synced());
        let actions = plan(&decision.desired, self.kernel.routes(), sweep);
        self.failures.clear();
        if !actions.is_empty() {
            self.count(&actions);
            match self.kernel.apply(&actions).await {
                Ok(failures) => self.failures = failures,
                Err(error) => return self.failed("writing routes", &error),
            }
            if !self.look().await {
                return;
            }
            decision = self.decide();
        }
        self.judge();
        self.publish(decision);
    }

    /// Reads the kernel's tables if they are not known; false if that failed.
    async fn look(&mut self) -> bool {
        match self.kernel.refresh().await {
            Ok(false) => {}
            Ok(true) => {
                self.out.metrics.dumps.inc();
                self.out.ready.ready();
                self.next_hops.look_again();
                self.import();
            }
            Err(error) => {
                self.failed("reading the kernel's tables", &error);
                return false;
            }
        }
        true
    }

    /// Plans the next try if the kernel refused something.
    fn judge(&mut self) {
        if self.failures.is_empty() {
            self.pause = None;
            return;
        }
        for (key, why) in &self.failures {
            tracing::warn!(prefix = %key.prefix, table = key.table, %why, "a route is not installed");
        }
        self.out.metrics.failure("refused");
        self.back_off();
    }

    fn decide(&self) -> Decision {
        let channels: Vec<_> = self
            .channels
            .iter()
            .map(|channel| Channel { rib: &channel.rib, tables: &channel.tables })
            .collect();
        decide(&channels, self.kernel.routes(), &self.policy)
    }

    fn import(&mut self) {
        for channel in &mut self.channels {
            for (source, tables) in &channel.imports {
                let v4 = channel.family == Family::V4;
                let routes =
                    merge::import(self.kernel.routes(), tables, v4, &self.policy.resolve.skip_protocols);
                channel.rib.replace(*source, routes);
            }
        }
    }

    fn failed(&mut self, doing: &str, error: &RequestError) {
        tracing::warn!(%error, "{doing} failed; trying again");
        self.out.metrics.failure(error.reason());
        self.back_off();
    }

    fn back_off(&mut self) {
        let next = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        self.pause = Some(next);
    }

    fn count(&self, actions: &[RouteAction]) {
        for action in actions {
            self.out.metrics.write(match action {
                RouteAction::Add(_) => "add",
                RouteAction::Replace(_) => "replace",
                RouteAction::Delete(_) => "delete",
            });
        }
        tracing::debug!(writes = actions.len(), "changing the kernel's tables");
    }

    fn publish(&self, decision: Decision) {
        self.out.metrics.routes(&decision);
        let snapshot = Snapshot {
            decision,
            failures: self.failures.clone(),
            links: self.kernel.links().clone(),
            synced: self.channels.iter().map(|channel| channel.rib.synced()).collect(),
        };
        self.out.snapshot.send_replace(Arc::new(snapshot));
    }
}
