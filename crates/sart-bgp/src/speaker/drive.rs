//! Carries events to sessions, what sessions say to the RIB, and what the RIB says back to sessions. Must never judge a
//! message or a route itself.

use core::net::IpAddr;
use core::time::Duration;

use super::record::Step;
use super::{Link, LocalAddresses, Speaker, SpeakerInput, SpeakerOutput};
use crate::family::Family;
use crate::rib::{PeerConfig, Rib};
use crate::session::{ConnId, Direction, Input, Output, SessionEvent};

impl Speaker {
    /// Feeds one event. Then drain [`Speaker::poll_output`].
    pub fn handle(&mut self, input: SpeakerInput<'_>, now: Duration) {
        self.take_in(input, now);
        self.flush(now);
    }

    /// Feeds one event where more are waiting: what follows for routes is left to a later [`Speaker::flush`], so that it
    /// is packed together. Everything else is done at once.
    pub fn take_in(&mut self, input: SpeakerInput<'_>, now: Duration) {
        self.note(now, || Step::from(&input));
        match input {
            SpeakerInput::Accepted { conn, peer, local } => {
                self.connected(conn, (peer.ip().to_canonical(), local), Direction::Inbound, now);
            }
            SpeakerInput::Dialled { conn, peer, local } => {
                self.connected(conn, (peer, local), Direction::Outbound, now);
            }
            SpeakerInput::DialFailed { peer, error } => self.feed(peer, Input::DialFailed { error }, now),
            SpeakerInput::Received { conn, bytes } => {
                if let Some(link) = self.connections.get(&conn) {
                    self.feed(link.peer, Input::Received { conn, bytes }, now);
                }
            }
            SpeakerInput::Closed { conn, end } => {
                if let Some(link) = self.connections.get(&conn) {
                    self.feed(link.peer, Input::Closed { conn, end }, now);
                }
            }
            SpeakerInput::Sent { conn, octets } => self.sent(conn, octets),
            SpeakerInput::TrackerUp => self.attend(true),
            SpeakerInput::TrackerDown => self.attend(false),
            SpeakerInput::NextHops { answers } => self.on_rib(|rib| rib.answer_next_hops(answers)),
            SpeakerInput::Tick => self.tick(now),
        }
    }

    fn sent(&mut self, conn: ConnId, octets: usize) {
        if let (Some(link), Some(running)) = (self.connections.get(&conn), self.running.as_mut()) {
            running.rib.sent_to(link.peer, octets);
        }
    }

    fn attend(&mut self, there: bool) {
        self.tracked = there;
        self.on_rib(|rib| rib.attend_next_hops(there));
    }

    fn tick(&mut self, now: Duration) {
        let due = |deadline: Option<Duration>| deadline.is_some_and(|deadline| deadline <= now);
        let late: Vec<_> = self
            .neighbors
            .iter()
            .filter(|(_, neighbor)| due(neighbor.session.next_deadline()))
            .map(|(address, _)| *address)
            .collect();
        for address in late {
            self.feed(address, Input::Tick, now);
        }
    }

    fn connected(
        &mut self,
        conn: ConnId,
        (peer, local): (IpAddr, LocalAddresses),
        direction: Direction,
        now: Duration,
    ) {
        if !self.neighbors.contains_key(&peer) {
            self.outputs.push_back(SpeakerOutput::Close { conn });
            return;
        }
        self.connections.insert(conn, Link { peer, local });
        self.feed(peer, Input::Connected { conn, direction }, now);
    }

    /// Gives a session its input and does what it says.
    pub(super) fn feed(&mut self, address: IpAddr, input: Input<'_>, now: Duration) {
        if let Some(neighbor) = self.neighbors.get_mut(&address) {
            let outputs = neighbor.session.handle(input, now);
            self.follow(address, outputs, now);
        }
    }

    pub(super) fn follow(&mut self, address: IpAddr, outputs: Vec<Output>, now: Duration) {
        for output in outputs {
            match output {
                Output::Dial => self.dial(address),
                Output::Send { conn, bytes } => {
                    self.outputs.push_back(SpeakerOutput::Send { conn, bytes: bytes.into() });
                }
                Output::Close { conn } => {
                    self.connections.remove(&conn);
                    self.outputs.push_back(SpeakerOutput::Close { conn });
                }
                Output::Up => self.up(address),
                Output::Down => self.on_rib(|rib| rib.peer_down(address)),
                Output::Update(body) => self.update(address, &body, now),
                Output::Refresh(family) => self.on_rib(|rib| rib.refresh(address, family)),
                Output::RefreshBegins(family) => self.refresh_begins(address, family),
                Output::RefreshEnds(family) => self.on_rib(|rib| rib.end_of_refresh(address, family)),
                Output::Event(event) => self.event(address, event),
            }
        }
    }

    fn dial(&mut self, peer: IpAddr) {
        if let Some(neighbor) = self.neighbors.get(&peer) {
            let config = &neighbor.session.config().neighbor;
            let (port, transport) = (config.dial_port(), Box::new(config.transport.clone()));
            self.outputs.push_back(SpeakerOutput::Dial { peer, port, transport });
        }
    }

    /// The RIB takes the neighbour in at the very moment it is Established, with everything there is to tell: nothing
    /// can get lost in between.
    fn up(&mut self, address: IpAddr) {
        let (Some(neighbor), Some(running)) = (self.neighbors.get_mut(&address), self.running.as_mut())
        else {
            return;
        };
        neighbor.ended.clear();
        neighbor.warned.clear();
        neighbor.withheld.clear();
        let session = &neighbor.session;
        let link = session.established_conn().and_then(|conn| self.connections.get(&conn));
        let (Some(negotiated), Some(link)) = (session.negotiated(), link) else { return };
        // It was made once when the configuration was found good.
        let Ok(policies) = running.source.of(&session.config().neighbor) else { return };
        let wanted = &session.config().neighbor;
        let config = PeerConfig {
            groups: wanted.groups.clone(),
            policies,
            extended_messages: negotiated.extended_messages,
            send_paths: negotiated.send_paths.clone(),
            reflector_client: wanted.reflector_client,
            enforce_first_as: wanted.enforce_first_as,
            export_limit: wanted.export_limit,
            role: wanted.features.role,
            marks_refresh: negotiated.enhanced_refresh,
            ..PeerConfig::new(wanted.asn, negotiated.router_id, negotiated.update.clone(), link.local)
        };
        running.rib.peer_up(address, config);
    }

    fn update(&mut self, peer: IpAddr, body: &[u8], now: Duration) {
        let Some(running) = &mut self.running else { return };
        // The session has read the body already, and ends where it cannot be read.
        let Ok(end_of_rib) = running.rib.receive(peer, body, now) else { return };
        self.check_prefix_limit(peer, now);
        if let (Some(family), Some(neighbor)) = (end_of_rib, self.neighbors.get_mut(&peer)) {
            if !neighbor.ended.contains(&family) {
                neighbor.ended.push(family);
            }
            self.flush_feed();
            self.outputs.push_back(SpeakerOutput::EndOfRib { peer, family });
        }
    }

    /// RFC 7313 section 4: from a neighbour that marks its End-of-RIB, a BoRR before it is ignored. Else the EoRR would
    /// void what the neighbour has still to tell.
    fn refresh_begins(&mut self, peer: IpAddr, family: Family) {
        let Some(neighbor) = self.neighbors.get(&peer) else { return };
        if neighbor.marks_end_of_rib() && !neighbor.ended.contains(&family) {
            self.event(peer, SessionEvent::EarlyRefresh { family });
        } else {
            self.on_rib(|rib| rib.begin_of_refresh(peer, family));
        }
    }

    fn on_rib(&mut self, act: impl FnOnce(&mut Rib)) {
        if let Some(running) = &mut self.running {
            act(&mut running.rib);
        }
    }

    fn event(&mut self, peer: IpAddr, event: SessionEvent) {
        let shown = event.is_failure() || matches!(event, SessionEvent::State { .. });
        self.outputs.push_back(SpeakerOutput::Session { peer, event });
        if shown {
            self.outputs.push_back(SpeakerOutput::NeighborChanged { peer });
        }
    }

    fn flush_feed(&mut self) {
        if let Some(running) = &mut self.running {
            self.outputs.extend(running.rib.take_feed().into_iter().map(SpeakerOutput::BestPath));
        }
    }

    fn ask_tracker(&mut self) {
        let Some(running) = &mut self.running else { return };
        let changes = running.rib.take_hop_changes();
        if !changes.is_empty() {
            self.outputs.push_back(SpeakerOutput::NextHops(changes));
        }
    }

    /// Sends what follows from everything that has happened.
    pub fn flush(&mut self, now: Duration) {
        self.note(now, || Step::Flush);
        self.send_all(now);
    }

    pub(super) fn send_all(&mut self, now: Duration) {
        let rib = self.running.as_mut().map(|running| &mut running.rib).filter(|rib| rib.wants_flush());
        let flushed = rib.map(crate::rib::Rib::flush);
        if flushed.is_some() {
            self.check_export_limits();
        }
        let outgoing = flushed.unwrap_or_default();
        self.flush_feed();
        for outgoing in outgoing {
            let Some(neighbor) = self.neighbors.get_mut(&outgoing.peer) else { continue };
            let Some(conn) = neighbor.session.established_conn() else { continue };
            neighbor.session.count_updates_sent(outgoing.messages);
            self.outputs.push_back(SpeakerOutput::Send { conn, bytes: outgoing.bytes });
        }
        self.ask_tracker();
        // Whoever sweeps what is not in use must not do so while a path only waits for an answer.
        let awaits = || self.running.as_ref().is_some_and(|running| running.rib.awaits_next_hops());
        if self.settle.check(self.neighbors.values(), awaits, now) {
            self.outputs.push_back(SpeakerOutput::Settled);
        }
    }
}
