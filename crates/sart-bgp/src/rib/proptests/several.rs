//! Neighbours that are told several paths of a prefix (RFC 7911), against a model that sorts lists.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::family::Family;
use crate::rib::tests::stage::{announce_as, ip, neighbor, numbered, path, rib, rules, withdraw_as};
use crate::rib::{Outgoing, PeerConfig, Rib};

const PEERS: core::ops::Range<u8> = 1..5;

#[derive(Clone, Debug)]
enum Step {
    Up(u8),
    Down(u8),
    /// Neighbour, its identifier, prefix, how many ASes more than its own.
    Announce(u8, u32, u8, u32),
    Withdraw(u8, u32, u8),
    Flush,
    /// The neighbour has read everything.
    Read(u8),
    Refresh(u8),
    /// Moves the neighbour to an update group of its own, or back.
    Regroup(u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let route = || (PEERS, 1u32..3, 0u8..3);
    prop_oneof![
        1 => PEERS.prop_map(Step::Up),
        1 => PEERS.prop_map(Step::Down),
        6 => (route(), 0u32..3).prop_map(|((peer, id, prefix), extra)| Step::Announce(peer, id, prefix, extra)),
        3 => route().prop_map(|(peer, id, prefix)| Step::Withdraw(peer, id, prefix)),
        3 => Just(Step::Flush),
        2 => PEERS.prop_map(Step::Read),
        1 => PEERS.prop_map(Step::Refresh),
        1 => (PEERS, any::<bool>()).prop_map(|(peer, alone)| Step::Regroup(peer, alone)),
    ]
}

fn name(prefix: u8) -> String {
    format!("10.0.{prefix}.0/24")
}

fn asns(peer: u8, extra: u32) -> Vec<u32> {
    vec![u32::from(peer); extra as usize + 1]
}

/// AS path by prefix and path identifier.
type Told = BTreeMap<(String, u32), Vec<u32>>;

#[derive(Default)]
struct Model {
    up: BTreeSet<u8>,
    /// How long each path is, by prefix, neighbour and identifier.
    paths: BTreeMap<(u8, u8, u32), u32>,
    believed: BTreeMap<u8, Told>,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Up(peer) | Step::Down(peer) => {
                self.paths.retain(|(_, source, _), _| *source != peer);
                self.believed.insert(peer, Told::new());
                if matches!(step, Step::Up(_)) {
                    self.up.insert(peer)
                } else {
                    self.up.remove(&peer)
                };
            }
            Step::Announce(peer, id, prefix, extra) if self.up.contains(&peer) => {
                self.paths.insert((prefix, peer, id), extra);
            }
            Step::Withdraw(peer, id, prefix) => {
                self.paths.remove(&(prefix, peer, id));
            }
            _ => {}
        }
    }

    /// The AS paths that a neighbour has to know: of the best ones those that are not its own. Paths of one neighbour
    /// that look the same are one.
    fn wanted(&self, peer: u8, prefix: u8, paths: usize) -> BTreeSet<Vec<u32>> {
        let of_prefix = self.paths.iter().filter(|((of, ..), _)| *of == prefix);
        let mut ranked: Vec<_> = of_prefix.map(|((_, source, id), extra)| (*extra, *source, *id)).collect();
        ranked.sort_unstable();
        let best = ranked.into_iter().take(paths).filter(|(_, source, _)| *source != peer);
        best.map(|(extra, source, _)| [vec![crate::rib::tests::stage::OWN_AS], asns(source, extra)].concat())
            .collect()
    }

    fn hear(&mut self, outgoing: &[Outgoing], paths: u8) {
        for peer in self.up.clone() {
            let believed = self.believed.entry(peer).or_default();
            let mut touched = BTreeSet::new();
            for (id, prefix, path) in numbered(outgoing, peer) {
                assert!((1..=u32::from(paths)).contains(&id), "identifier {id}");
                let key = (prefix, id);
                match path {
                    Some(path) => {
                        touched.insert(key.clone());
                        believed.insert(key, path);
                    }
                    None => {
                        assert!(!touched.contains(&key), "announced and withdrawn in one pass");
                        assert!(believed.remove(&key).is_some(), "withdrew {key:?} that was never told");
                    }
                }
            }
        }
    }
}

fn run(rib: &mut Rib, step: &Step, paths: u8) {
    match *step {
        Step::Up(peer) => {
            let mut config = PeerConfig {
                send_paths: vec![(Family::IPV4_UNICAST, paths)],
                ..neighbor(peer, u32::from(peer))
            };
            config.update.path_ids = vec![Family::IPV4_UNICAST];
            rib.peer_up(ip(peer), config);
        }
        Step::Down(peer) => rib.peer_down(ip(peer)),
        Step::Announce(peer, id, prefix, extra) => {
            announce_as(rib, peer, id, &name(prefix), &path(&asns(peer, extra)));
        }
        Step::Withdraw(peer, id, prefix) => withdraw_as(rib, peer, id, &name(prefix)),
        Step::Flush => {}
        Step::Read(peer) => rib.sent_to(ip(peer), usize::MAX),
        Step::Refresh(peer) => rib.refresh(ip(peer), Family::IPV4_UNICAST),
        Step::Regroup(peer, alone) => {
            let groups: Vec<String> = alone.then(|| format!("g{peer}")).into_iter().collect();
            rib.set_groups(ip(peer), &groups);
        }
    }
}

/// Everyone reads on until nobody is owed anything.
fn settle(rib: &mut Rib, model: &mut Model, paths: u8) {
    for _ in 0..200 {
        for peer in PEERS {
            rib.sent_to(ip(peer), usize::MAX);
        }
        let outgoing = rib.flush();
        if outgoing.is_empty() {
            return;
        }
        model.hear(&outgoing, paths);
    }
    panic!("it never ends");
}

proptest! {
    #[test]
    fn neighbors_that_take_several_paths_know_the_best_ones_of_the_model(
        steps in proptest::collection::vec(step(), 1..80),
        paths in 1u8..4,
        high_water in prop_oneof![Just(1usize), 60usize..400, Just(1 << 20)],
    ) {
        let mut rib = rib(rules());
        rib.high_water = high_water;
        let mut model = Model::default();
        // All are there from the beginning, or most steps would do nothing.
        let begin: Vec<Step> = PEERS.map(Step::Up).collect();
        for step in begin.iter().chain(&steps) {
            run(&mut rib, step, paths);
            model.apply(step);
            if matches!(step, Step::Flush) {
                let outgoing = rib.flush();
                model.hear(&outgoing, paths);
            }
        }
        settle(&mut rib, &mut model, paths);
        let known: BTreeSet<_> = model.paths.keys().map(|(prefix, ..)| *prefix).collect();
        prop_assert_eq!(rib.size().0, known.len(), "rows without paths are left");
        for peer in model.up.clone() {
            let believed = model.believed.get(&peer).cloned().unwrap_or_default();
            for prefix in 0..3 {
                let of_prefix = believed.iter().filter(|((of, _), _)| *of == name(prefix));
                let known: BTreeSet<_> = of_prefix.map(|(_, path)| path.clone()).collect();
                prop_assert_eq!(known, model.wanted(peer, prefix, usize::from(paths)));
            }
            let shown: Vec<_> = rib.sent(ip(peer)).map(|(prefix, route)| (prefix.to_string(), route.path_id)).collect();
            prop_assert_eq!(&shown, &believed.keys().cloned().collect::<Vec<_>>());
            prop_assert_eq!(rib.counts(ip(peer)).1, shown.len() as u64);
            rib.refresh(ip(peer), Family::IPV4_UNICAST);
        }
        let before = model.believed.clone();
        settle(&mut rib, &mut model, paths);
        prop_assert_eq!(before, model.believed, "a refresh changes no identifier");
    }
}
