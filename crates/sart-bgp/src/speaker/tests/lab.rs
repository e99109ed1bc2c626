//! Speakers joined by links that cut the byte stream at will, and a raw neighbour that says what a test wants.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use crate::config::{Config, Global, ImportPolicy, LocalPath, NeighborConfig, TransitPolicy};
use crate::family::LocalAddresses;
use crate::policy::PolicyConfig;
use crate::session::{ConnId, ConnectionEnd};
use crate::speaker::{Speaker, SpeakerInput, SpeakerOutput};
use crate::wire::capability::Capability;
use crate::wire::frame::{Frame, Framer};
use crate::wire::message::{MessageKind, keepalive};
use crate::wire::open::Open;
use crate::wire::update::{Update, UpdateContext};

pub(super) fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

pub(super) fn local(prefix: &str) -> LocalPath {
    LocalPath::new(prefix.parse().unwrap())
}

/// A configuration that imports everything from neighbours given as (last octet, AS).
pub(super) fn config(me: u8, asn: u32, neighbors: &[(u8, u32)]) -> Config {
    let mut global = Global::new(asn, Ipv4Addr::new(10, 0, 0, me));
    global.import = ImportPolicy { accept_all: true, ..ImportPolicy::default() };
    global.transit = TransitPolicy::Full;
    global.decision.multipath = true;
    global.ebgp_requires_policy = false;
    let neighbor = |(last, asn): &(u8, u32)| NeighborConfig::new(&format!("n{last}"), ip(*last), *asn);
    let neighbors = neighbors.iter().map(neighbor).collect();
    Config { global, neighbors, paths: Vec::new(), policy: PolicyConfig::default() }
}

/// Several speakers and the connections between them.
pub(super) struct Lab {
    pub now: Duration,
    pub speakers: BTreeMap<u8, Speaker>,
    /// Outputs that are not about connections.
    pub events: Vec<(u8, SpeakerOutput)>,
    /// Bytes of UPDATEs carried.
    pub updates: usize,
    ends: BTreeMap<ConnId, (u8, ConnId)>,
    next: u64,
    random: u64,
    /// One dial in so many fails; 0 never.
    pub dial_loss: u64,
    /// One message in so many breaks its connection; 0 never.
    pub send_loss: u64,
}

impl Lab {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: Duration::from_secs(1),
            speakers: BTreeMap::new(),
            events: Vec::new(),
            updates: 0,
            ends: BTreeMap::new(),
            next: 1,
            random: seed | 1,
            dial_loss: 0,
            send_loss: 0,
        }
    }

    pub(super) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 16
    }

    pub(super) fn add(&mut self, me: u8, config: Config) {
        let mut speaker = Speaker::new(u64::from(me));
        speaker.apply_config(config, self.now).unwrap();
        self.speakers.insert(me, speaker);
    }

    fn chance(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random().is_multiple_of(one_in)
    }

    /// Carries everything until nobody has anything to say.
    pub(super) fn carry(&mut self) {
        while let Some((me, output)) =
            self.speakers.iter_mut().find_map(|(me, speaker)| Some((*me, speaker.poll_output()?)))
        {
            match output {
                SpeakerOutput::Dial { peer, .. } => self.dial(me, peer),
                SpeakerOutput::Send { conn, bytes } => self.send(conn, &bytes),
                SpeakerOutput::Close { conn } => self.close(conn),
                other => self.events.push((me, other)),
            }
        }
    }

    fn input(&mut self, to: u8, input: SpeakerInput<'_>) {
        self.speakers.get_mut(&to).unwrap().handle(input, self.now);
    }

    fn dial(&mut self, me: u8, peer: IpAddr) {
        let IpAddr::V4(v4) = peer else { panic!("the lab has only IPv4 links") };
        let to = v4.octets()[3];
        if !self.speakers.contains_key(&to) || self.chance(self.dial_loss) {
            self.input(me, SpeakerInput::DialFailed { peer, error: "refused" });
            return;
        }
        let (mine, theirs) = (ConnId(self.next), ConnId(self.next + 1));
        self.next += 2;
        self.ends.insert(mine, (to, theirs));
        self.ends.insert(theirs, (me, mine));
        let dialled = SpeakerInput::Dialled { conn: mine, peer, local: LocalAddresses::of(ip(me)) };
        self.input(me, dialled);
        let accepted = SpeakerInput::Accepted {
            conn: theirs,
            peer: SocketAddr::new(ip(me), 40000),
            local: LocalAddresses::of(ip(to)),
        };
        self.input(to, accepted);
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some((to, far)) = self.ends.get(&conn).copied() else { return };
        if self.chance(self.send_loss) {
            self.cut(conn);
            return;
        }
        self.updates += messages(bytes, MessageKind::Update);
        let mut rest = bytes;
        while !rest.is_empty() {
            let cut = (self.random() as usize % rest.len().min(700)) + 1;
            let (head, tail) = rest.split_at(cut);
            self.input(to, SpeakerInput::Received { conn: far, bytes: head });
            rest = tail;
        }
    }

    fn close(&mut self, conn: ConnId) {
        if let Some((to, far)) = self.ends.remove(&conn) {
            self.ends.remove(&far);
            self.input(to, SpeakerInput::Closed { conn: far, end: ConnectionEnd::Finished });
        }
    }

    /// Breaks a connection at both ends.
    pub(super) fn cut(&mut self, conn: ConnId) {
        if let Some((to, far)) = self.ends.remove(&conn) {
            let (me, _) = self.ends.remove(&far).unwrap();
            self.input(to, SpeakerInput::Closed { conn: far, end: ConnectionEnd::Broken });
            self.input(me, SpeakerInput::Closed { conn, end: ConnectionEnd::Broken });
        }
    }

    /// Lets time pass from deadline to deadline.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.carry();
            let deadline = self.speakers.values().filter_map(Speaker::next_deadline).min();
            let Some(at) = deadline.filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            for speaker in self.speakers.values_mut() {
                speaker.handle(SpeakerInput::Tick, self.now);
            }
        }
        self.now = end;
    }

    pub(super) fn update_paths(&mut self, me: u8, upserts: Vec<LocalPath>, withdrawals: &[&str]) {
        let withdrawals: Vec<_> = withdrawals.iter().map(|prefix| prefix.parse().unwrap()).collect();
        self.speakers.get_mut(&me).unwrap().update_paths(upserts, &withdrawals, self.now).unwrap();
    }

    /// Prefixes of the Loc-RIB of one speaker, repeats included.
    pub(super) fn table(&self, me: u8) -> Vec<String> {
        use crate::speaker::{PathFilter, Table};
        let paths = self.speakers[&me].paths(Table::LocRib, PathFilter::default(), self.now).unwrap();
        paths.iter().map(|path| path.prefix.to_string()).collect()
    }
}

fn messages(bytes: &[u8], kind: MessageKind) -> usize {
    frames(bytes).iter().filter(|frame| frame.kind == kind).count()
}

pub(super) fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut framer = Framer::default();
    framer.push(bytes);
    core::iter::from_fn(|| framer.next_frame().unwrap()).collect()
}

/// One speaker and one neighbour made of bytes.
pub(super) struct Raw {
    pub speaker: Speaker,
    pub now: Duration,
    /// What the speaker sent, by connection.
    pub heard: Vec<(ConnId, Frame)>,
    pub closed: Vec<ConnId>,
    pub others: Vec<SpeakerOutput>,
}

pub(super) const OUTBOUND: ConnId = ConnId(100);
pub(super) const INBOUND: ConnId = ConnId(101);

impl Raw {
    /// A speaker 192.0.2.1 (router id 10.0.0.1) in AS 65000 with the neighbour 192.0.2.2 in AS 65100.
    pub(super) fn new() -> Self {
        Self::with(config(1, 65000, &[(2, 65100)]))
    }

    pub(super) fn with(config: Config) -> Self {
        let mut speaker = Speaker::new(7);
        let now = Duration::from_secs(1);
        speaker.apply_config(config, now).unwrap();
        let mut raw = Self { speaker, now, heard: Vec::new(), closed: Vec::new(), others: Vec::new() };
        raw.drain();
        raw
    }

    pub(super) fn handle(&mut self, input: SpeakerInput<'_>) {
        self.speaker.handle(input, self.now);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.speaker.poll_output() {
            match output {
                SpeakerOutput::Send { conn, bytes } => {
                    self.heard.extend(frames(&bytes).into_iter().map(|frame| (conn, frame)));
                }
                SpeakerOutput::Close { conn } => self.closed.push(conn),
                other => self.others.push(other),
            }
        }
    }

    pub(super) fn dialled(&mut self) {
        let local = LocalAddresses::of(ip(1));
        self.handle(SpeakerInput::Dialled { conn: OUTBOUND, peer: ip(2), local });
    }

    pub(super) fn accepted(&mut self) {
        let local = LocalAddresses::of(ip(1));
        let peer = SocketAddr::new(ip(2), 50000);
        self.handle(SpeakerInput::Accepted { conn: INBOUND, peer, local });
    }

    pub(super) fn say(&mut self, conn: ConnId, bytes: &[u8]) {
        self.handle(SpeakerInput::Received { conn, bytes });
    }

    /// The neighbour's OPEN, changed at will.
    pub(super) fn open(edit: impl FnOnce(&mut Open)) -> Vec<u8> {
        let mut open = Open {
            asn: 65100,
            hold_time: 90,
            router_id: Ipv4Addr::new(10, 0, 0, 2),
            capabilities: vec![Capability::FourOctetAs(65100)],
        };
        edit(&mut open);
        open.encode()
    }

    pub(super) fn establish(&mut self) {
        self.dialled();
        self.say(OUTBOUND, &Self::open(|_| {}));
        self.say(OUTBOUND, &keepalive());
        assert_eq!(self.state(), "Established");
    }

    pub(super) fn state(&self) -> String {
        self.speaker.neighbor(ip(2), self.now).unwrap().state.to_string()
    }

    /// Code and subcode of the NOTIFICATIONs sent on a connection.
    pub(super) fn notifications(&self, conn: ConnId) -> Vec<(u8, u8)> {
        self.heard
            .iter()
            .filter(|(on, frame)| *on == conn && frame.kind == MessageKind::Notification)
            .map(|(_, frame)| (frame.body[0], frame.body[1]))
            .collect()
    }

    /// The UPDATEs sent since the last call, decoded.
    pub(super) fn take_updates(&mut self) -> Vec<Update> {
        self.take_updates_as(false)
    }

    pub(super) fn take_updates_as(&mut self, internal: bool) -> Vec<Update> {
        use crate::family::Family;
        let context = UpdateContext {
            as4: true,
            internal,
            families: Family::SUPPORTED.to_vec(),
            ..UpdateContext::default()
        };
        core::mem::take(&mut self.heard)
            .iter()
            .filter(|(_, frame)| frame.kind == MessageKind::Update)
            .map(|(_, frame)| Update::decode(&frame.body, &context).unwrap())
            .collect()
    }

    pub(super) fn tick_at(&mut self, seconds: u64) {
        self.now = Duration::from_secs(seconds);
        self.handle(SpeakerInput::Tick);
    }
}
