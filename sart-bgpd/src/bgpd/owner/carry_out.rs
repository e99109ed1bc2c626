//! Does what the speaker wants done: dial, send, close, tell watchers, log. Must never wait for any of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use sart_bgp::config::Transport;
use sart_bgp::family::Family;
use sart_bgp::session::{ConnId, ConnectionEnd, SessionEvent, SessionState};
use sart_bgp::speaker::{SpeakerInput, SpeakerOutput};

use tokio::time::Instant;

use super::{BestPathEvent, Event, NeighborEvent, Owner};
use crate::bgpd::connection::SendError;
use crate::bgpd::dial;
use crate::bgpd::transport::Transports;

/// Between two log lines about faulty UPDATEs of one neighbour.
const FAULT_LOG_PAUSE: Duration = Duration::from_secs(1);

impl Owner {
    /// Does everything the speaker wants done.
    pub(super) fn carry_out(&mut self) {
        let (mut changed, mut deleted) = (BTreeSet::new(), false);
        while let Some(output) = self.speaker.poll_output() {
            match output {
                SpeakerOutput::Dial { peer, port, transport } => self.dial((peer, port), transport),
                SpeakerOutput::Send { conn, bytes } => self.send(conn, bytes),
                SpeakerOutput::Close { conn } => {
                    self.connections.remove(&conn);
                }
                SpeakerOutput::NeighborChanged { peer } => {
                    changed.insert(peer);
                }
                SpeakerOutput::NeighborDeleted { peer } => {
                    deleted = true;
                    self.neighbor_deleted(peer, &mut changed);
                }
                SpeakerOutput::Session { peer, event } => {
                    self.log(peer, &event);
                    if let SessionEvent::State { to, .. } = event {
                        self.tell_passed_state(peer, to);
                    }
                }
                SpeakerOutput::BestPath(path) => {
                    let family = Family::of_prefix(&path.prefix);
                    self.tell_best_paths(&BestPathEvent::Path(path), |families| {
                        families.is_empty() || families.contains(&family)
                    });
                }
                SpeakerOutput::EndOfRib { peer, family } => {
                    tracing::info!(%peer, %family, "the neighbor has sent all its routes");
                }
                SpeakerOutput::NextHops(changes) => self.tell_tracker(&changes),
                SpeakerOutput::Settled => self.tell_best_paths(&BestPathEvent::Settled, |_| true),
            }
        }
        if deleted || !changed.is_empty() {
            self.follow_transports();
        }
        self.tell_neighbors(changed);
        if self.feeding && self.best_paths.is_empty() {
            self.feeding = false;
            self.speaker.set_fed(false);
        }
        if let Some(listeners) = &mut self.listeners {
            listeners.ensure(self.speaker.global().map(sart_bgp::config::Global::listen_port));
        }
    }

    fn dial(&mut self, (peer, port): (IpAddr, u16), transport: Box<Transport>) {
        let number = self.number();
        let (events, options) = (self.events.clone(), self.options.clone());
        let task = self.tasks.spawn(async move {
            let result = dial::dial(SocketAddr::new(peer, port), &transport, &options).await;
            if events.send(Event::Dialled { peer, number, result }).await.is_err() {
                tracing::debug!(%peer, "dialled a neighbor while stopping");
            }
        });
        if let Some((_, replaced)) = self.dials.insert(peer, (number, task)) {
            replaced.abort();
        }
    }

    /// Listeners know keys and TTLs before a neighbour can be told that it is configured.
    fn follow_transports(&self) {
        if let Some(listeners) = &self.listeners {
            let all = || self.speaker.transports().map(|(peer, transport)| (peer, transport.clone()));
            listeners.transports(|| Transports::new(all().collect()));
        }
    }

    fn send(&mut self, conn: ConnId, bytes: Bytes) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let Err(error) = connection.send(bytes) else { return };
        if error == SendError::Full {
            self.metrics.queue_full("send");
        }
        tracing::warn!(conn = conn.0, %error, "gave a connection up");
        self.connections.remove(&conn);
        self.input(SpeakerInput::Closed { conn, end: ConnectionEnd::Broken });
    }

    fn neighbor_deleted(&mut self, peer: IpAddr, changed: &mut BTreeSet<IpAddr>) {
        changed.remove(&peer);
        self.fault_logged.remove(&peer);
        self.metrics.forget(peer);
        if let Some((_, dial)) = self.dials.remove(&peer) {
            dial.abort();
        }
        let slow = self.neighbors.send(&NeighborEvent::Deleted(peer), |()| true);
        self.count_slow("neighbors", slow);
    }

    fn tell_neighbors(&mut self, changed: BTreeSet<IpAddr>) {
        let now = self.now();
        for peer in changed {
            if let Some(view) = self.speaker.neighbor(peer, now) {
                let slow = self.neighbors.send(&NeighborEvent::Changed(Box::new(view)), |()| true);
                self.count_slow("neighbors", slow);
            }
        }
    }

    /// One read can carry a session through several states; watchers are promised each of them. The last one is told with
    /// everything else that changed.
    fn tell_passed_state(&mut self, peer: IpAddr, passed: SessionState) {
        let Some(mut view) = self.speaker.neighbor(peer, self.now()) else { return };
        if view.state != passed {
            view.state = passed;
            let slow = self.neighbors.send(&NeighborEvent::Changed(Box::new(view)), |()| true);
            self.count_slow("neighbors", slow);
        }
    }

    fn tell_best_paths(&mut self, event: &BestPathEvent, wants: impl Fn(&Vec<Family>) -> bool) {
        let slow = self.best_paths.send(event, wants);
        self.count_slow("best_paths", slow);
    }

    pub(super) fn count_slow(&self, stream: &'static str, slow: usize) {
        for _ in 0..slow {
            tracing::warn!(stream, "ended a watcher that read too slowly");
            self.metrics.watcher_dropped(stream);
        }
    }

    fn log(&mut self, peer: IpAddr, event: &SessionEvent) {
        self.metrics.session_event(peer, event);
        match event {
            SessionEvent::State { to: SessionState::Established, .. } => self.metrics.established(1),
            SessionEvent::State { from: SessionState::Established, .. } => self.metrics.established(-1),
            SessionEvent::UpdateFault { .. } | SessionEvent::EarlyRefresh { .. } => {
                return self.log_fault(peer, event);
            }
            _ => {}
        }
        if event.is_failure() || event.is_warning() {
            tracing::warn!(%peer, reason = event.reason(), "{event}");
        } else {
            tracing::info!(%peer, reason = event.reason(), "{event}");
        }
    }

    /// A neighbour can send faults as fast as the wire allows; the log gets one line a second of them.
    fn log_fault(&mut self, peer: IpAddr, event: &SessionEvent) {
        let now = Instant::now();
        let unlogged = match self.fault_logged.get_mut(&peer) {
            Some((last, unlogged)) if now.duration_since(*last) < FAULT_LOG_PAUSE => {
                *unlogged += 1;
                return;
            }
            Some((_, unlogged)) => *unlogged,
            None => 0,
        };
        self.fault_logged.insert(peer, (now, 0));
        tracing::warn!(%peer, reason = event.reason(), unlogged, "{event}");
    }
}
