//! Fifty crafted prefixes, each from several neighbours, chosen among by us, by BIRD and by FRR: all must agree.

use std::collections::BTreeMap;

use sart_rpc::v1;
use sart_testkit::load::Random;
use sart_testkit::update::{
    CLUSTER_LIST, LOCAL_PREF, MED, NON_TRANSITIVE, ORIGIN, ORIGINATOR_ID, WELL_KNOWN,
};
use sart_testkit::{Bird, Frr, Open, RawPeer, Update, frr, missing_with_bird, missing_with_frr, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, far, near};
use crate::needs;
use crate::scene::{HOLD, OWN, address, transit, waiting};

const PREFIXES: u32 = 50;

/// AS number and router id of each neighbour. The ids are in another order than the addresses.
const NEIGHBORS: [(u32, [u8; 4]); 5] = [
    (65_001, [9, 0, 0, 3]),
    (65_001, [9, 0, 0, 1]),
    (65_003, [9, 0, 0, 2]),
    (OWN, [9, 0, 0, 5]),
    (OWN, [9, 0, 0, 4]),
];

/// Which neighbour's path each prefix uses.
type Choice = BTreeMap<String, usize>;

fn is_internal(n: usize) -> bool {
    NEIGHBORS[n].0 == OWN
}

/// What may differ between the paths of a prefix; the step that decides follows from it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vary {
    LocalPref,
    Length,
    Origin,
    Med,
    MedOfSomeAses,
    Nothing,
    ExternalOnly,
    Originator,
    ClusterList,
    Everything,
}

const LEVELS: [Vary; 10] = [
    Vary::LocalPref,
    Vary::Length,
    Vary::Origin,
    Vary::Med,
    Vary::MedOfSomeAses,
    Vary::Nothing,
    Vary::ExternalOnly,
    Vary::Originator,
    Vary::ClusterList,
    Vary::Everything,
];

/// Who announces a prefix of this kind.
fn senders(vary: Vary) -> &'static [usize] {
    match vary {
        Vary::ExternalOnly => &[0, 1, 2],
        Vary::Originator | Vary::ClusterList => &[3, 4],
        _ => &[0, 1, 2, 3, 4],
    }
}

/// The announcement of one prefix by neighbour `n`.
fn offer(prefix: u32, n: usize, random: &mut Random) -> Update {
    let vary = LEVELS[(prefix % 10) as usize];
    let varies = |what: Vary| vary == what || vary == Vary::Everything;
    let length = if varies(Vary::Length) { 2 + random.below(3) } else { 3 };
    let first = match n {
        3 | 4 if prefix.is_multiple_of(2) => 65_001,
        3 | 4 => 65_005,
        _ => NEIGHBORS[n].0,
    };
    let path: Vec<u32> = (0..length).map(|hop| if hop == 0 { first } else { 100 + hop }).collect();
    let mut update = Update::announce(&[&format!("10.50.{prefix}.0/24")], &path, address(n).into());
    if varies(Vary::Origin) {
        update = update.with(WELL_KNOWN, ORIGIN, &[u8::try_from(random.below(3)).unwrap()]);
    }
    let some = varies(Vary::MedOfSomeAses) && random.below(2) == 0;
    if varies(Vary::Med) || some {
        update = update.attribute(NON_TRANSITIVE, MED, &random.below(3).to_be_bytes());
    }
    if is_internal(n) { internal(update, vary, random) } else { update }
}

fn internal(update: Update, vary: Vary, random: &mut Random) -> Update {
    let varies = |what: Vary| vary == what || vary == Vary::Everything;
    let local_pref = if varies(Vary::LocalPref) { 90 + 10 * random.below(3) } else { 100 };
    let mut update = update.attribute(WELL_KNOWN, LOCAL_PREF, &local_pref.to_be_bytes());
    if varies(Vary::Originator) || vary == Vary::ClusterList {
        // One originator for all, so that the list and then the address decide; else one of a few.
        let last = if vary == Vary::ClusterList { 9 } else { u8::try_from(random.below(4)).unwrap() };
        let clusters = if vary == Vary::ClusterList { 1 + random.below(3) } else { 1 };
        let list: Vec<u8> = (0..clusters).flat_map(|cluster| (0x0b00_0000 + cluster).to_be_bytes()).collect();
        update = update.attribute(NON_TRANSITIVE, ORIGINATOR_ID, &[9, 1, 0, last]);
        update = update.attribute(NON_TRANSITIVE, CLUSTER_LIST, &list);
    }
    update
}

/// Everything that neighbour `n` says, and a prefix of its own at the end.
fn speech(n: usize) -> Vec<u8> {
    // Each prefix and neighbour draws its own numbers, so all three speakers hear the same.
    let offers = (0..PREFIXES).filter(|prefix| senders(LEVELS[(prefix % 10) as usize]).contains(&n));
    let mut bytes: Vec<u8> = offers
        .flat_map(|prefix| offer(prefix, n, &mut Random::new(u64::from(prefix) * 31 + n as u64)).bytes())
        .collect();
    let last = Update::announce(&[&last_of(n)], &[first_as(n)], address(n).into());
    let last = if is_internal(n) { last.attribute(WELL_KNOWN, LOCAL_PREF, &[0, 0, 0, 100]) } else { last };
    bytes.extend(last.bytes());
    bytes
}

fn first_as(n: usize) -> u32 {
    if is_internal(n) { 65_005 } else { NEIGHBORS[n].0 }
}

fn last_of(n: usize) -> String {
    format!("10.51.{n}.0/24")
}

/// Every neighbour's session with the speaker in the middle of `fabric`, everything said.
fn speak(fabric: &Fabric) -> Vec<RawPeer> {
    let peers = NEIGHBORS.iter().enumerate().map(|(n, (asn, router_id))| {
        let open = Open::new(*asn, HOLD, (*router_id).into()).family(1, 1).four_octets();
        let established = wait_for("the session", LIMIT, || {
            let mut peer = fabric.raw(n);
            peer.establish(&open.body(), LIMIT)?;
            Ok(Some(peer))
        });
        let mut peer = established.unwrap();
        peer.send(&speech(n)).unwrap();
        peer
    });
    peers.collect()
}

/// Asks until every neighbour's last prefix is there.
fn ask(who: &str, look: impl Fn() -> anyhow::Result<Choice>) -> Choice {
    let complete = wait_for(who, LIMIT, || {
        let choice = look()?;
        let whole = (0..NEIGHBORS.len()).all(|n| choice.get(&last_of(n)) == Some(&n));
        if whole { Ok(Some(choice)) } else { anyhow::bail!("{choice:?}") }
    });
    complete.unwrap_or_else(|error| panic!("{error:#}"))
}

fn by_us() -> Choice {
    let fabric = Fabric::new("c15us", NEIGHBORS.len());
    let mut sart = Sart::start(&fabric.sart, &[]);
    let neighbors: Vec<_> = NEIGHBORS.iter().enumerate().map(|(n, (asn, _))| waiting(n, *asn)).collect();
    sart.apply(&transit(&neighbors));
    let _peers = speak(&fabric);
    let sart = std::cell::RefCell::new(sart);
    ask("sart", || {
        let rows = sart.borrow_mut().paths(v1::Table::Local, 0);
        let best = rows.into_iter().filter(|path| path.best);
        Ok(best.filter_map(|path| Some((path.prefix, neighbor_of(&path.peer_address)?))).collect())
    })
}

fn neighbor_of(address: &str) -> Option<usize> {
    (0..NEIGHBORS.len()).find(|n| far(*n) == address)
}

fn by_bird() -> Choice {
    let fabric = Fabric::new("c15bird", NEIGHBORS.len());
    let mut config = "router id 10.77.255.1;\nprotocol device {}\n".to_owned();
    for (n, (asn, _)) in NEIGHBORS.iter().enumerate() {
        config.push_str(&format!(
            "protocol bgp n{n} {{ local {} as {OWN}; neighbor {} as {asn}; passive on; hold time {HOLD}; direct; \
             deterministic med on; ipv4 {{ import all; export none; gateway direct; }}; }}\n",
            near(n),
            far(n)
        ));
    }
    let bird = Bird::start(&fabric.sart, &config).unwrap();
    let _peers = speak(&fabric);
    ask("BIRD", || {
        let text = bird.birdc("show route primary")?;
        let row = |line: &str| {
            let prefix = line.split_whitespace().next()?;
            let name = line.split_once("[n")?.1.split_whitespace().next()?;
            Some((prefix.to_owned(), name.parse().ok()?))
        };
        Ok(text.lines().filter_map(row).collect())
    })
}

fn by_frr() -> Choice {
    let fabric = Fabric::new("c15frr", NEIGHBORS.len());
    let addresses: Vec<String> = (0..NEIGHBORS.len()).map(far).collect();
    let neighbors: Vec<_> =
        addresses.iter().zip(NEIGHBORS).map(|(address, (asn, _))| (address.as_str(), asn)).collect();
    let mut lines = vec!["bgp bestpath compare-routerid".to_owned(), "bgp deterministic-med".to_owned()];
    for address in &addresses {
        lines.push(format!("neighbor {address} timers 80 {HOLD}"));
        lines.push(format!("neighbor {address} passive"));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let config = frr::config(OWN, "10.77.255.1", &neighbors, &lines);
    let frr = Frr::start_alone(&fabric.sart, &config).unwrap();
    let _peers = speak(&fabric);
    ask("FRR", || {
        let table = frr.json("show bgp ipv4 unicast json")?;
        let routes = table["routes"].as_object().into_iter().flatten();
        let best = routes.filter_map(|(prefix, paths)| {
            let best = paths.as_array()?.iter().find(|path| path["bestpath"] == true)?;
            Some((prefix.clone(), neighbor_of(best["peerId"].as_str()?)?))
        });
        Ok(best.collect())
    })
}

#[test]
fn criterion_15_fifty_crafted_prefixes_take_the_same_path_as_with_bird_and_frr() {
    needs!(missing_with_frr().or_else(missing_with_bird));
    let ours = by_us();
    assert_eq!(ours.len(), PREFIXES as usize + NEIGHBORS.len());
    for n in 0..NEIGHBORS.len() {
        let won = ours.values().filter(|winner| **winner == n).count();
        assert!(won > 2, "neighbor {n} won {won} prefixes: the crafted ones do not tell the steps apart");
    }
    for (who, theirs) in [("BIRD", by_bird()), ("FRR", by_frr())] {
        let differ: Vec<_> = ours
            .iter()
            .filter(|(prefix, winner)| theirs.get(*prefix) != Some(winner))
            .map(|(prefix, winner)| (prefix, winner, theirs.get(prefix)))
            .collect();
        assert!(differ.is_empty(), "(prefix, ours, {who}'s): {differ:?}");
    }
}
