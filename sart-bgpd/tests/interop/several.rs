//! Several paths of a prefix told to one neighbour (RFC 7911), taken by BIRD, FRR, GoBGP and a raw peer.

use std::collections::BTreeMap;
use std::time::Instant;

use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::raw_peer::{NOTIFICATION, UPDATE, message};
use sart_testkit::{
    Bird, Frr, Gobgp, RawPeer, Update, missing, missing_with_bird, missing_with_frr, missing_with_gobgp,
    wait_for,
};

use crate::fixture::{Fabric, LIMIT, Sart, far, near};
use crate::needs;
use crate::scene::{address, establish, open, transit, waiting};
use crate::speakers::{Session, bird_config, frr_config, gobgp_config};

const PREFIX: &str = "10.50.0.0/24";
/// The best path first, as a neighbour sees them behind our own AS.
const PATHS: [&str; 3] = ["65000 65001", "65000 65002 65102", "65000 65003 65103 65203"];
/// The AS of the neighbour that takes two paths.
const TAKER: u32 = 65_004;

/// ADD-PATH for IPv4 unicast, receive only (RFC 7911 section 4).
const ADD_PATH: (u8, &[u8]) = (69, &[0, 1, 1, 1]);
const REFRESH: u8 = 5;
const CAN_REFRESH: u8 = 2;

/// Three senders, neighbours 0 to 2, with a path of the prefix each; neighbour 3 is told two of them.
struct Stage {
    sart: Sart,
    senders: Vec<RawPeer>,
}

impl Stage {
    fn new(purpose: &str, passive: bool) -> (Fabric, Self) {
        let fabric = Fabric::new(purpose, 4);
        let mut sart = Sart::start(&fabric.sart, &[]);
        let features = Some(v1::Features { add_path_send: 2, ..Default::default() });
        let taker = v1::NeighborConfig { passive, features, ..waiting(3, TAKER) };
        sart.apply(&transit(&[waiting(0, 65_001), waiting(1, 65_002), waiting(2, 65_003), taker]));
        let mut senders = Vec::new();
        for (n, path) in [vec![65_001], vec![65_002, 65_102], vec![65_003, 65_103, 65_203]].iter().enumerate()
        {
            let mut sender = establish(&fabric, &sart, n, &open(n, path[0]));
            sart.wait_state(n, Established);
            sender.send(&Update::announce(&[PREFIX], path, address(n).into()).bytes()).unwrap();
            senders.push(sender);
        }
        wait_for("three paths", LIMIT, || Ok((sart.paths(v1::Table::Local, 0).len() == 3).then_some(())))
            .unwrap();
        (fabric, Self { sart, senders })
    }

    fn session() -> [Session; 1] {
        [Session { own: far(3), peer: near(3), asn: 65_000 }]
    }

    fn withdraw(&mut self, n: usize) {
        self.senders[n].send(&Update::withdraw(&[PREFIX]).bytes()).unwrap();
    }

    /// What the neighbour is told, asks for again if it knows how, and loses.
    fn play(mut self, ask: Option<&dyn Fn()>, show: impl Fn() -> anyhow::Result<String>) {
        self.sart.wait_state(3, Established);
        shows(&self.sart, &show, [1, 1, 0]);
        if let Some(ask) = ask {
            let before = self.sart.neighbor(3).sent.unwrap_or_default().update;
            ask();
            let again = wait_for("the routes again", LIMIT, || {
                let sent = self.sart.neighbor(3).sent.unwrap_or_default().update;
                Ok((sent >= before + 2).then_some(()))
            });
            again.unwrap_or_else(|error| panic!("{error:#}\n{}", self.sart.process.log()));
            // With other identifiers than before there would be more than two.
            shows(&self.sart, &show, [1, 1, 0]);
        }
        self.withdraw(0);
        shows(&self.sart, &show, [0, 1, 1]);
        self.withdraw(2);
        shows(&self.sart, &show, [0, 1, 0]);
        assert_eq!((self.sart.neighbor(3).flaps, self.sart.neighbor(3).prefixes_sent), (0, 1));
    }
}

/// Waits until each path is shown so many times.
fn shows(sart: &Sart, show: &impl Fn() -> anyhow::Result<String>, wanted: [usize; 3]) {
    let seen = wait_for("the paths", LIMIT, || {
        let text = show()?;
        let seen = PATHS.map(|path| text.matches(path).count());
        if seen == wanted { Ok(Some(())) } else { anyhow::bail!("wanted {wanted:?}, have {seen:?}:\n{text}") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
}

#[test]
fn criterion_21_bird_takes_two_paths_and_loses_them_one_by_one() {
    needs!(missing_with_bird());
    let (fabric, stage) = Stage::new("c21bird", false);
    let config = bird_config(TAKER, &far(3), &Stage::session());
    let config = config.replace("ipv4 { import all;", "ipv4 { add paths rx; import all;");
    let bird = Bird::start(&fabric.peers[3], &config).unwrap();
    let ask = || drop(bird.birdc("reload in s0").unwrap());
    stage.play(Some(&ask), || bird.birdc(&format!("show route for {PREFIX} all")));
}

#[test]
fn criterion_21_frr_takes_two_paths_and_loses_them_one_by_one() {
    needs!(missing_with_frr());
    let (fabric, stage) = Stage::new("c21frr", false);
    let frr = Frr::start_alone(&fabric.peers[3], &frr_config(TAKER, &far(3), &Stage::session())).unwrap();
    let ask = || drop(frr.vtysh("clear bgp ipv4 unicast * soft in").unwrap());
    stage.play(Some(&ask), || frr.vtysh(&format!("show bgp ipv4 unicast {PREFIX}")));
}

#[test]
fn criterion_21_gobgp_takes_two_paths_and_loses_them_one_by_one() {
    needs!(missing_with_gobgp());
    let (fabric, stage) = Stage::new("c21gobgp", false);
    let family = "afi-safi-name = \"ipv4-unicast\"\n";
    let takes = format!("{family}  [neighbors.afi-safis.add-paths.config]\n   receive = true\n");
    let config = gobgp_config(TAKER, &far(3), &Stage::session()).replace(family, &takes);
    let gobgp = Gobgp::start(&fabric.peers[3], &config).unwrap();
    // It keeps what it was told and never asks again.
    stage.play(None, || gobgp.run("global rib"));
}

/// Identifier and first AS behind ours; none if the route goes.
type Numbered = BTreeMap<u32, Option<u32>>;

/// What the next UPDATEs say of the prefix, until `count` identifiers were named.
fn numbered(peer: &mut RawPeer, count: usize) -> Numbered {
    let end = Instant::now() + LIMIT;
    let mut seen = Numbered::new();
    while seen.len() < count {
        let message = peer.receive(end.saturating_duration_since(Instant::now())).unwrap();
        assert_ne!(message.kind, NOTIFICATION, "{:?}", message.body);
        if message.kind == UPDATE {
            read(&message.body, &mut seen);
        }
    }
    seen
}

/// Takes the routes of an UPDATE in the classic form apart.
fn read(body: &[u8], seen: &mut Numbered) {
    let length = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let attributes_at = 4 + length(0);
    let routes_at = attributes_at + length(attributes_at - 2);
    // Four octets of identifier, one of length, three of prefix.
    let ids = |bytes: &[u8]| -> Vec<u32> {
        let (routes, rest) = bytes.as_chunks::<8>();
        assert!(rest.is_empty(), "{body:?}");
        routes
            .iter()
            .map(|[a, b, c, d, tail @ ..]| {
                assert_eq!(tail, &[24, 10, 50, 0]);
                u32::from_be_bytes([*a, *b, *c, *d])
            })
            .collect()
    };
    seen.extend(ids(&body[2..attributes_at - 2]).into_iter().map(|id| (id, None)));
    let attributes = &body[attributes_at..routes_at];
    let own = 65_000u32.to_be_bytes();
    let next = attributes.windows(8).find(|window| window[..4] == own);
    let next = next.map(|window| u32::from_be_bytes([window[4], window[5], window[6], window[7]]));
    seen.extend(ids(&body[routes_at..]).into_iter().map(|id| (id, next)));
}

#[test]
fn criterion_21_identifiers_stay_with_their_paths_over_a_refresh_and_go_one_by_one() {
    needs!(missing());
    let (fabric, mut stage) = Stage::new("c21raw", true);
    let open = open(3, TAKER).capability(ADD_PATH.0, ADD_PATH.1).capability(CAN_REFRESH, &[]);
    let mut taker = establish(&fabric, &stage.sart, 3, &open);
    let told = numbered(&mut taker, 2);
    assert_eq!(told.values().copied().collect::<Vec<_>>(), [Some(65_001), Some(65_002)], "{told:?}");
    taker.send(&message(REFRESH, &[0, 1, 0, 1])).unwrap();
    assert_eq!(numbered(&mut taker, 2), told);
    let of = |asn: u32| told.iter().find(|(_, path)| **path == Some(asn)).map(|(id, _)| *id).unwrap();
    stage.withdraw(1);
    assert_eq!(
        numbered(&mut taker, 1),
        Numbered::from([(of(65_002), Some(65_003))]),
        "the third takes its place"
    );
    stage.withdraw(2);
    assert_eq!(numbered(&mut taker, 1), Numbered::from([(of(65_002), None)]));
    stage.withdraw(0);
    assert_eq!(numbered(&mut taker, 1), Numbered::from([(of(65_001), None)]));
    assert_eq!(stage.sart.neighbor(3).flaps, 0);
}

/// Two paths of the prefix come from one neighbour, with the MEDs 10 and 20. Asked for again they come with the identifiers
/// they had, and one of them can go alone.
fn taken(mut sart: Sart, lose_the_first: impl Fn()) {
    sart.wait_state(0, Established);
    let first = wait_numbered(&mut sart, &[10, 20]);
    let before = sart.neighbor(0).received.unwrap_or_default().update;
    let request = v1::RefreshNeighborRequest { address: far(0) };
    sart.call(async |client| client.refresh_neighbor(request).await);
    let again = wait_for("the routes again", LIMIT, || {
        let received = sart.neighbor(0).received.unwrap_or_default().update;
        Ok((received > before).then_some(()))
    });
    again.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()));
    assert_eq!(wait_numbered(&mut sart, &[10, 20]), first);
    lose_the_first();
    assert_eq!(wait_numbered(&mut sart, &[20])[&20], first[&20]);
    assert_eq!(sart.neighbor(0).flaps, 0);
}

/// The identifiers of the neighbour's paths by MED, once these are all it has.
fn wait_numbered(sart: &mut Sart, meds: &[u32]) -> BTreeMap<u32, u32> {
    let seen = wait_for("the paths", LIMIT, || {
        let rows = sart.paths(v1::Table::AdjIn, 0);
        let seen: BTreeMap<_, _> = rows.iter().map(|path| (path.med.unwrap_or(0), path.path_id)).collect();
        if rows.len() == meds.len() && seen.keys().eq(meds) {
            Ok(Some(seen))
        } else {
            anyhow::bail!("{rows:?}")
        }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", sart.process.log()))
}

fn taking(purpose: &str) -> (Fabric, Sart, [Session; 1]) {
    let fabric = Fabric::new(purpose, 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let features = Some(v1::Features { add_path_receive: true, ..Default::default() });
    sart.apply(&transit(&[v1::NeighborConfig { passive: false, features, ..waiting(0, TAKER) }]));
    (fabric, sart, [Session { own: far(0), peer: near(0), asn: 65_000 }])
}

#[test]
fn criterion_21_identifiers_of_gobgp_stay_over_a_refresh_and_its_paths_go_one_by_one() {
    needs!(missing_with_gobgp());
    let (fabric, sart, session) = taking("c21rxgobgp");
    let family = "afi-safi-name = \"ipv4-unicast\"\n";
    let tells = format!("{family}  [neighbors.afi-safis.add-paths.config]\n   send-max = 2\n");
    let config = gobgp_config(TAKER, &far(0), &session).replace(family, &tells);
    let gobgp = Gobgp::start(&fabric.peers[0], &config).unwrap();
    for (id, med) in [(7, 10), (9, 20)] {
        gobgp.run(&format!("global rib add {PREFIX} identifier {id} med {med}")).unwrap();
    }
    taken(sart, || drop(gobgp.run(&format!("global rib del {PREFIX} identifier 7")).unwrap()));
}

#[test]
fn criterion_21_identifiers_of_bird_stay_over_a_refresh_and_its_paths_go_one_by_one() {
    needs!(missing_with_bird());
    let (fabric, sart, session) = taking("c21rxbird");
    let config = bird_config(TAKER, &far(0), &session);
    let mut config = config.replace("ipv4 { import all;", "ipv4 { add paths tx; import all;");
    for (name, med) in [("one", 10), ("two", 20)] {
        config.push_str(&format!(
            "protocol static {name} {{ ipv4; route {PREFIX} unreachable {{ bgp_med = {med}; }}; }}\n"
        ));
    }
    let bird = Bird::start(&fabric.peers[0], &config).unwrap();
    taken(sart, || drop(bird.birdc("disable one").unwrap()));
}
