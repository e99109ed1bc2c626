//! Next hops behind a tracker that comes, goes and changes its mind: the best path is always the nearest one that can be
//! reached, and everybody is told so.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::rib::tests::stage::{NOW, best, changes, ip, net, path, rules, up, withdraw};
use crate::rib::{Rib, RibConfig};
use crate::wire::attr::NextHop;
use crate::wire::update::{Announced, Update};

/// A neighbour that only listens.
const HEARER: u8 = 9;

#[derive(Clone, Debug)]
enum Step {
    Up(u8),
    Down(u8),
    /// Neighbour, prefix, next hop.
    Announce(u8, u8, u8),
    Withdraw(u8, u8),
    Answer(u8, Option<u32>),
    Attend(bool),
    Switch(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let (peer, prefix, hop) = (1u8..4, 0u8..3, 20u8..24);
    prop_oneof![
        1 => peer.clone().prop_map(Step::Up),
        1 => peer.clone().prop_map(Step::Down),
        6 => (peer.clone(), prefix.clone(), hop.clone()).prop_map(|(p, n, h)| Step::Announce(p, n, h)),
        2 => (peer, prefix).prop_map(|(p, n)| Step::Withdraw(p, n)),
        6 => (hop, proptest::option::of(0..3u32)).prop_map(|(h, metric)| Step::Answer(h, metric)),
        1 => any::<bool>().prop_map(Step::Attend),
        1 => any::<bool>().prop_map(Step::Switch),
    ]
}

fn name(prefix: u8) -> String {
    format!("10.0.{prefix}.0/24")
}

/// Who announces what over which next hop, and what the tracker said of those it watches.
#[derive(Default)]
struct Model {
    up: BTreeSet<u8>,
    paths: BTreeMap<(u8, u8), u8>,
    on: bool,
    watched: BTreeSet<IpAddr>,
    said: BTreeMap<IpAddr, Option<u32>>,
    /// What the hearer and a route manager believe.
    told: BTreeSet<String>,
    fed: BTreeMap<String, usize>,
}

impl Model {
    fn distance(&self, hop: u8) -> Option<u32> {
        if self.on { self.said.get(&ip(hop)).copied().flatten() } else { Some(0) }
    }

    /// RFC 4271 section 9.1.2.2 e and f: all else is equal here.
    fn best(&self, prefix: u8) -> Option<u8> {
        let paths = self.paths.iter().filter(|((_, of), _)| *of == prefix);
        let near = paths.filter_map(|((peer, _), hop)| Some((self.distance(*hop)?, *peer)));
        near.min().map(|(_, peer)| peer)
    }

    fn act(&mut self, rib: &mut Rib, step: &Step) {
        match *step {
            Step::Up(peer) | Step::Down(peer) => {
                self.paths.retain(|(source, _), _| *source != peer);
                rib.peer_down(ip(peer));
                self.up.remove(&peer);
                if matches!(step, Step::Up(_)) {
                    up(rib, peer, u32::from(peer));
                    self.up.insert(peer);
                }
            }
            Step::Announce(peer, prefix, hop) if self.up.contains(&peer) => {
                announce_over(rib, peer, &name(prefix), hop);
                self.paths.insert((peer, prefix), hop);
            }
            Step::Announce(..) => {}
            Step::Withdraw(peer, prefix) => {
                withdraw(rib, peer, &name(prefix));
                self.paths.remove(&(peer, prefix));
            }
            Step::Answer(hop, metric) => {
                rib.answer_next_hops(&[(ip(hop), metric)]);
                if self.watched.contains(&ip(hop)) {
                    self.said.insert(ip(hop), metric);
                }
            }
            Step::Attend(there) => {
                rib.attend_next_hops(there);
                self.watched.clear();
                if there {
                    let used: BTreeSet<_> = rib.next_hops().map(|(address, _)| address).collect();
                    self.said.retain(|address, _| used.contains(address));
                }
            }
            Step::Switch(on) if on != self.on => self.switch(rib, on),
            Step::Switch(_) => {}
        }
    }

    fn switch(&mut self, rib: &mut Rib, on: bool) {
        let used: Vec<_> = rib.next_hops().map(|(address, _)| address).collect();
        rib.configure(RibConfig { track_next_hops: on, ..rules() });
        self.on = on;
        self.said = used.into_iter().filter(|_| on).map(|address| (address, Some(0))).collect();
    }

    /// Everything is told to everybody.
    fn settle(&mut self, rib: &mut Rib) {
        let outgoing = rib.flush();
        let asked = rib.take_hop_changes();
        self.watched.extend(asked.begin);
        for address in asked.end {
            self.watched.remove(&address);
            self.said.remove(&address);
        }
        let (announced, withdrawn) = changes(&outgoing, HEARER);
        withdrawn.iter().for_each(|prefix| assert!(self.told.remove(prefix), "never told: {prefix}"));
        self.told.extend(announced);
        for best in rib.take_feed() {
            self.fed.insert(best.prefix.to_string(), best.next_hops.len());
        }
        rib.sent_to(ip(HEARER), usize::MAX);
    }
}

fn announce_over(rib: &mut Rib, from: u8, prefix: &str, hop: u8) {
    let next_hop = NextHop { address: ip(hop), link_local: None };
    let update = Update {
        announced: vec![Announced { next_hop, prefixes: vec![net(prefix)] }],
        attributes: path(&[u32::from(from)]),
        ..Update::default()
    };
    rib.update(ip(from), &update, NOW);
}

proptest! {
    #[test]
    fn criterion_19_the_nearest_path_that_can_be_reached_is_best_whatever_the_tracker_does(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut rib = crate::rib::tests::stage::rib(RibConfig { track_next_hops: true, ..rules() });
        let mut model = Model { on: true, ..Model::default() };
        rib.attend_next_hops(true);
        up(&mut rib, HEARER, 65009);
        for step in &steps {
            model.act(&mut rib, step);
            model.settle(&mut rib);
            for prefix in 0..3 {
                let expected = model.best(prefix);
                prop_assert_eq!(best(&rib, &name(prefix)), expected, "{} after {:?}", name(prefix), step);
                prop_assert_eq!(model.told.contains(&name(prefix)), expected.is_some());
                prop_assert_eq!(model.fed.get(&name(prefix)).copied().unwrap_or(0) > 0, expected.is_some());
            }
        }
    }
}
