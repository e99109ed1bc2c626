//! Two speakers on a link that delays, freezes, cuts and half-delivers, and that come back without memory: once the
//! link is whole again, both hold what a model of two maps says, attribute by attribute.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::lab::{config, ip};
use crate::config::LocalPath;
use crate::family::{Family, LocalAddresses};
use crate::session::{ConnId, ConnectionEnd};
use crate::speaker::{PathFilter, PathView, Speaker, SpeakerInput, SpeakerOutput, Table};

/// Something that happens to a speaker (0 or 1) or to the link.
#[derive(Clone, Debug)]
enum Event {
    Originate(usize, u8, u8),
    Withdraw(usize, u8),
    /// Every connection breaks; what is under way is lost, but for half of the next delivery.
    Cut,
    /// Only one end learns of the break at once, the other after so many seconds.
    CutUnseen(usize, u8),
    /// Nothing is delivered for so many seconds.
    Freeze(u8),
    /// From now on deliveries take so many milliseconds.
    Delay(u16),
    /// No dial succeeds for so many seconds.
    Refuse(u8),
    /// The speaker begins anew, with its own paths only.
    Restart(usize),
    Wait(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let side = 0usize..2;
    prop_oneof![
        6 => (side.clone(), 0u8..8, any::<u8>()).prop_map(|(s, p, v)| Event::Originate(s, p, v)),
        3 => (side.clone(), 0u8..8).prop_map(|(s, p)| Event::Withdraw(s, p)),
        2 => Just(Event::Cut),
        1 => (side.clone(), 0u8..120).prop_map(|(s, t)| Event::CutUnseen(s, t)),
        1 => (0u8..120).prop_map(Event::Freeze),
        1 => (0u16..2000).prop_map(Event::Delay),
        1 => (0u8..60).prop_map(Event::Refuse),
        1 => side.prop_map(Event::Restart),
        4 => any::<u16>().prop_map(Event::Wait),
    ]
}

/// What is under way to a speaker.
#[derive(Debug)]
enum Delivery {
    Dialled(ConnId),
    Accepted(ConnId),
    Refused,
    Bytes(ConnId, Vec<u8>),
    Closed(ConnId, ConnectionEnd),
}

/// What each side originates, by prefix: the model.
type Own = BTreeMap<u8, u8>;

struct World {
    now: Duration,
    speakers: [Speaker; 2],
    own: [Own; 2],
    /// By time and order, to whom.
    under_way: BTreeMap<(Duration, u64), (usize, Delivery)>,
    /// Each end's other end.
    ends: BTreeMap<ConnId, ConnId>,
    /// When the last delivery to each side is due: TCP does not reorder.
    due: [Duration; 2],
    delay: Duration,
    frozen_until: Duration,
    refused_until: Duration,
    count: u64,
}

const ADDRESS: [u8; 2] = [1, 2];

fn addresses(side: usize) -> LocalAddresses {
    let v4 = ip(ADDRESS[side]);
    let v6 = if side == 0 { "2001:db8::1" } else { "2001:db8::2" };
    LocalAddresses { v6: v6.parse().ok(), ..LocalAddresses::of(v4) }
}

fn peer(side: usize) -> IpAddr {
    ip(ADDRESS[1 - side])
}

fn asn(side: usize) -> u32 {
    65001 + side as u32
}

/// Half of the prefixes are IPv6; both sides may originate the same one.
fn path(prefix: u8, version: u8) -> LocalPath {
    let name = if prefix.is_multiple_of(2) {
        format!("10.9.{prefix}.0/24")
    } else {
        format!("2001:db8:{prefix}::/48")
    };
    let mut path = LocalPath::new(name.parse().unwrap());
    path.med = (!version.is_multiple_of(3)).then(|| u32::from(version));
    path.communities = (0..u32::from(version % 4)).map(|n| 65000 << 16 | n).collect();
    path
}

fn speaker(side: usize, own: &Own, now: Duration) -> Speaker {
    let mut config = config(ADDRESS[side], asn(side), &[(ADDRESS[1 - side], asn(1 - side))]);
    config.neighbors[0].families = Family::SUPPORTED.to_vec();
    let mut speaker = Speaker::new(side as u64 + 1);
    speaker.apply_config(config, now).unwrap();
    let paths = own.iter().map(|(prefix, version)| path(*prefix, *version)).collect();
    speaker.update_paths(paths, &[], now).unwrap();
    speaker
}

impl World {
    fn new() -> Self {
        let now = Duration::from_secs(1);
        Self {
            now,
            speakers: [0, 1].map(|side| speaker(side, &Own::new(), now)),
            own: [Own::new(), Own::new()],
            under_way: BTreeMap::new(),
            ends: BTreeMap::new(),
            due: [now; 2],
            delay: Duration::from_millis(1),
            frozen_until: now,
            refused_until: now,
            count: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Puts a delivery on its way, behind everything on its way to that side.
    fn deliver(&mut self, to: usize, delivery: Delivery) {
        let at = (self.now + self.delay).max(self.due[to]).max(self.frozen_until);
        self.due[to] = at;
        let order = self.number();
        self.under_way.insert((at, order), (to, delivery));
    }

    fn dial(&mut self, me: usize) {
        if self.now < self.refused_until {
            self.deliver(me, Delivery::Refused);
            return;
        }
        let (mine, theirs) = (ConnId(self.number()), ConnId(self.number()));
        self.ends.insert(mine, theirs);
        self.ends.insert(theirs, mine);
        self.deliver(1 - me, Delivery::Accepted(theirs));
        self.deliver(me, Delivery::Dialled(mine));
    }

    fn drain(&mut self) {
        for me in [0, 1] {
            while let Some(output) = self.speakers[me].poll_output() {
                match output {
                    SpeakerOutput::Dial { .. } => self.dial(me),
                    SpeakerOutput::Send { conn, bytes } => self.send(me, conn, &bytes),
                    SpeakerOutput::Close { conn } => {
                        if let Some(far) = self.ends.get(&conn).copied() {
                            self.deliver(1 - me, Delivery::Closed(far, ConnectionEnd::Finished));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// In two pieces, cut somewhere.
    fn send(&mut self, me: usize, conn: ConnId, bytes: &[u8]) {
        let Some(far) = self.ends.get(&conn).copied() else { return };
        let cut = self.number() as usize * 7 % (bytes.len() + 1);
        let (head, tail) = bytes.split_at(cut);
        for piece in [head, tail] {
            self.deliver(1 - me, Delivery::Bytes(far, piece.to_vec()));
        }
    }

    fn input(&mut self, to: usize, delivery: Delivery) {
        let speaker = &mut self.speakers[to];
        let local = addresses(to);
        match delivery {
            Delivery::Dialled(conn) => {
                speaker.handle(SpeakerInput::Dialled { conn, peer: peer(to), local }, self.now);
            }
            Delivery::Accepted(conn) => {
                let peer = SocketAddr::new(peer(to), 40000);
                speaker.handle(SpeakerInput::Accepted { conn, peer, local }, self.now);
            }
            Delivery::Refused => {
                speaker.handle(SpeakerInput::DialFailed { peer: peer(to), error: "refused" }, self.now);
            }
            Delivery::Bytes(conn, bytes) => {
                speaker.handle(SpeakerInput::Received { conn, bytes: &bytes }, self.now);
            }
            Delivery::Closed(conn, end) => {
                speaker.handle(SpeakerInput::Closed { conn, end }, self.now);
                if let Some(far) = self.ends.remove(&conn) {
                    self.ends.remove(&far);
                }
            }
        }
    }

    /// Lets time pass from one thing that happens to the next.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..200_000 {
            self.drain();
            let delivery = self.under_way.keys().next().map(|(at, _)| *at);
            let deadline = self.speakers.iter().filter_map(Speaker::next_deadline).min();
            let Some(at) = delivery.into_iter().chain(deadline).min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            if delivery.is_some_and(|at| at <= self.now)
                && let Some((_, (to, delivery))) = self.under_way.pop_first()
            {
                self.input(to, delivery);
            }
            for speaker in &mut self.speakers {
                speaker.handle(SpeakerInput::Tick, self.now);
            }
        }
        panic!("the speakers never fall silent");
    }

    /// Loses what is under way, but for half of the next bytes, and tells each side after its own delay.
    fn cut(&mut self, unseen: [Duration; 2]) {
        let mut lost = core::mem::take(&mut self.under_way);
        if let Some((at, (to, Delivery::Bytes(conn, mut bytes)))) = lost.pop_first() {
            bytes.truncate(bytes.len() / 2);
            self.under_way.insert(at, (to, Delivery::Bytes(conn, bytes)));
        }
        // A dial that nobody has heard of yet fails.
        for (to, delivery) in lost.into_values() {
            if matches!(delivery, Delivery::Dialled(_) | Delivery::Refused) {
                self.deliver(to, Delivery::Refused);
            }
        }
        let ends: Vec<_> = self.ends.keys().copied().collect();
        self.ends.clear();
        for conn in ends {
            // Nobody but its owner knows a connection, so both may be told of it.
            for (to, later) in unseen.into_iter().enumerate() {
                let order = self.number();
                let closed = Delivery::Closed(conn, ConnectionEnd::Broken);
                self.under_way.insert((self.now + later, order), (to, closed));
            }
        }
    }

    fn act(&mut self, event: &Event) {
        let seconds = |seconds: u8| Duration::from_secs(u64::from(seconds));
        match *event {
            Event::Originate(side, prefix, version) => {
                self.own[side].insert(prefix, version);
                let paths = vec![path(prefix, version)];
                self.speakers[side].update_paths(paths, &[], self.now).unwrap();
            }
            Event::Withdraw(side, prefix) => {
                self.own[side].remove(&prefix);
                let gone = [path(prefix, 0).prefix];
                self.speakers[side].update_paths(vec![], &gone, self.now).unwrap();
            }
            Event::Cut => self.cut([Duration::ZERO; 2]),
            Event::CutUnseen(side, later) => {
                let mut unseen = [Duration::ZERO; 2];
                unseen[side] = seconds(later);
                self.cut(unseen);
            }
            Event::Freeze(span) => self.frozen_until = self.now + seconds(span),
            Event::Delay(milliseconds) => self.delay = Duration::from_millis(u64::from(milliseconds)),
            Event::Refuse(span) => self.refused_until = self.now + seconds(span),
            Event::Restart(side) => {
                self.speakers[side] = speaker(side, &self.own[side], self.now);
                self.cut([Duration::ZERO; 2]);
                // A dial of the one that is gone is nobody's.
                self.under_way
                    .retain(|_, (to, delivery)| *to != side || !matches!(delivery, Delivery::Refused));
            }
            Event::Wait(milliseconds) => self.run(Duration::from_millis(u64::from(milliseconds))),
        }
        self.drain();
    }

    fn rows(&self, side: usize, table: Table) -> Vec<PathView> {
        self.speakers[side].paths(table, PathFilter::default(), self.now).unwrap()
    }
}

/// What a row says, as far as both sides must agree on it.
type Fact = (String, String, Option<u32>, Vec<u32>);

fn fact(row: &PathView) -> Fact {
    let attributes = &row.attributes;
    (row.prefix.to_string(), attributes.as_path.to_string(), attributes.med, attributes.communities.clone())
}

fn expected(own: &Own, asn: &str) -> BTreeSet<Fact> {
    let fact = |(prefix, version): (&u8, &u8)| {
        let path = path(*prefix, *version);
        (path.prefix.to_string(), asn.to_owned(), path.med, path.communities)
    };
    own.iter().map(fact).collect()
}

fn check(world: &World) {
    for side in [0, 1] {
        let own = expected(&world.own[side], "");
        let told = expected(&world.own[side], &asn(side).to_string());
        let heard = expected(&world.own[1 - side], &asn(1 - side).to_string());
        let set = |table| world.rows(side, table).iter().map(fact).collect::<BTreeSet<_>>();
        assert_eq!(set(Table::AdjRibIn(peer(side))), heard, "what {side} heard");
        assert_eq!(set(Table::AdjRibOut(peer(side))), told, "what {side} told");
        assert_eq!(set(Table::LocRib), &own | &heard, "what {side} knows");
        let best = world.rows(side, Table::LocRib).into_iter().filter(|row| row.best);
        let chosen: BTreeMap<String, bool> =
            best.map(|row| (row.prefix.to_string(), row.peer.is_none())).collect();
        let prefixes = world.own[side].keys().chain(world.own[1 - side].keys());
        let model: BTreeMap<String, bool> = prefixes
            .map(|prefix| (path(*prefix, 0).prefix.to_string(), world.own[side].contains_key(prefix)))
            .collect();
        assert_eq!(chosen, model, "what {side} prefers: its own where it has one");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn two_speakers_agree_with_the_model_whatever_the_link_did(events in proptest::collection::vec(event(), 1..40)) {
        let mut world = World::new();
        world.run(Duration::from_secs(10));
        for event in &events {
            world.act(event);
        }
        world.delay = Duration::from_millis(1);
        world.frozen_until = world.now;
        world.refused_until = world.now;
        // The longest that a broken connection stays unseen, a hold time, and the longest pause before a dial.
        world.run(Duration::from_secs(120 + 90 + 300));
        check(&world);
    }
}
