//! The one owner of the node's view: takes events, plans what they touched, and hands each executor its desired state.
//! Between a watch event and the order to the speaker there is only work in memory; nothing waits for a timer.

mod outputs;
mod take;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sart_api::{BGPPeerStatus, NodeBGPStatus};
use sart_telemetry::Readiness;
use tokio::sync::mpsc::Receiver;

pub use outputs::{Orders, Outputs, SpeakerOrder, StatusOrder, orders};

use crate::event::Event;
use crate::node::{Observed, Planner, SpeakerLink, report};

/// `NodeBGP.status` is written at most once in this time.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// A start without a speaker is reported after this time, so that a restart beside a running one reports nothing new.
const REPORT_GRACE: Duration = Duration::from_secs(3);
/// Events taken before planning, at most: a flood must not keep the plan waiting.
const BATCH: usize = 256;

/// Loss counters that outlive the process in the objects' statuses.
#[derive(Debug, Default)]
struct Losses {
    /// The speaker's, once its status has been read.
    speaker: Option<u32>,
    /// The sessions', by peer.
    peers: BTreeMap<String, u32>,
}

/// View, planner and outputs.
pub struct Engine {
    observed: Observed,
    planner: Planner,
    outputs: Outputs,
    readiness: Readiness,
    losses: Losses,
    node_status: NodeBGPStatus,
    peer_statuses: BTreeMap<String, BGPPeerStatus>,
    sessions_listed: bool,
    started: Instant,
    reported: Option<Instant>,
    report_due: bool,
    /// This node's blocks of pods; `None` before they have been listed, or without pods.
    own_blocks: Option<BTreeSet<IpNet>>,
    /// When the oldest slice event of this round, not yet answered by the speaker, arrived.
    since: Option<Instant>,
}

impl Engine {
    /// An engine for the view `observed`.
    pub fn new(observed: Observed, outputs: Outputs, readiness: Readiness) -> Self {
        Self {
            observed,
            planner: Planner::new(),
            outputs,
            readiness,
            losses: Losses::default(),
            node_status: NodeBGPStatus::default(),
            peer_statuses: BTreeMap::new(),
            sessions_listed: false,
            started: Instant::now(),
            reported: None,
            report_due: true,
            own_blocks: None,
            since: None,
        }
    }

    /// Runs until every sender of events is gone.
    pub async fn run(mut self, mut events: Receiver<Event>) {
        loop {
            let due = self.report_at();
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => self.round(event, &mut events),
                    None => return,
                },
                () = sleep_until(due), if due.is_some() => self.report(),
            }
        }
    }

    /// Takes what has arrived, plans once, hands out the orders, and then looks after the report.
    fn round(&mut self, first: Event, events: &mut Receiver<Event>) {
        self.take(first);
        for _ in 1..BATCH {
            let Ok(event) = events.try_recv() else { break };
            self.take(event);
        }
        self.publish();
        if self.report_at().is_some_and(|due| due <= Instant::now()) {
            self.report();
        }
    }

    fn publish(&mut self) {
        self.tell_announced();
        let plan = self.planner.plan(&self.observed);
        if self.outputs.publish(plan, self.since) {
            self.report_due = true;
        }
        // A flip that changed nothing for the speaker is answered; one whose rows are on their way is not.
        if !self.outputs.forwarding_pending(&self.observed.forwarding) {
            self.since = None;
        }
        self.tell_readiness();
    }

    /// Which of this node's blocks the speaker announces: one that is given back waits for its withdrawal.
    fn tell_announced(&self) {
        let up = self.observed.speaker.link == SpeakerLink::Up;
        let known = self.own_blocks.as_ref().filter(|_| up);
        let announced = &self.observed.speaker.announced;
        let still =
            |own: &BTreeSet<IpNet>| own.iter().filter(|net| announced.contains_key(net)).copied().collect();
        self.outputs.announced(known.map(still));
    }

    fn tell_readiness(&self) {
        if self.observed.complete() {
            self.readiness.ready();
        } else {
            let missing = self.observed.synced.missing();
            self.readiness.not_ready(if missing.is_empty() {
                "waiting for the first answer of dataplane, kube-proxy and routes".to_owned()
            } else {
                format!("not yet listed: {}", missing.join(", "))
            });
        }
    }

    /// When the next report may go out; `None` while there is nothing to say or too little is known.
    fn report_at(&self) -> Option<Instant> {
        if !self.report_due || !self.observed.complete() {
            return None;
        }
        let settled = if self.sessions_listed { self.started } else { self.started + REPORT_GRACE };
        Some(self.reported.map_or(settled, |last| (last + REPORT_INTERVAL).max(settled)))
    }

    fn report(&mut self) {
        self.report_due = false;
        self.reported = Some(Instant::now());
        let plan = self.outputs.plan();
        let order = StatusOrder {
            node: self.observed.bgp.as_ref().map(|_| report::node(&self.observed, plan)),
            node_backoff: self.losses.speaker.unwrap_or_default(),
            node_status: self.node_status.clone(),
            peers: report::peers(&self.observed, plan),
            peer_backoffs: self.losses.peers.clone(),
            peer_statuses: self.peer_statuses.clone(),
        };
        self.outputs.report(order);
    }
}

async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due.into()).await;
    }
}
