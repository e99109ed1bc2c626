//! A neighbour with an export limit beside one without: it never counts too much, and lacks nothing there is room for.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::family::Family;
use crate::rib::tests::stage::{announce, ip, neighbor, numbered, path, rib, rules, up, withdraw};
use crate::rib::{PeerConfig, Rib};

const SOURCES: core::ops::Range<u8> = 1..4;
const FREE: u8 = 8;
const LIMITED: u8 = 9;

#[derive(Clone, Debug)]
enum Step {
    Down(u8),
    /// Source, prefix, how many ASes more than its own.
    Announce(u8, u8, u32),
    Withdraw(u8, u8),
    Flush,
    /// The neighbour has read everything.
    Read,
    Refresh,
    Limit(Option<u32>),
    Regroup(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let route = || (SOURCES, 0u8..8);
    prop_oneof![
        1 => SOURCES.prop_map(Step::Down),
        8 => (route(), 0u32..3).prop_map(|((peer, prefix), extra)| Step::Announce(peer, prefix, extra)),
        5 => route().prop_map(|(peer, prefix)| Step::Withdraw(peer, prefix)),
        4 => Just(Step::Flush),
        2 => Just(Step::Read),
        1 => Just(Step::Refresh),
        1 => proptest::option::of(1u32..9).prop_map(Step::Limit),
        1 => any::<bool>().prop_map(Step::Regroup),
    ]
}

fn name(prefix: u8) -> String {
    format!("10.0.{prefix}.0/24")
}

/// AS path by prefix and path identifier.
type Told = BTreeMap<(String, u32), Vec<u32>>;

struct Scene {
    rib: Rib,
    limit: Option<u32>,
    believed: Told,
}

impl Scene {
    fn new(limit: u32, paths: u8, high_water: usize) -> Self {
        let mut rib = rib(rules());
        rib.high_water = high_water;
        SOURCES.for_each(|peer| up(&mut rib, peer, u32::from(peer)));
        for (peer, export_limit) in [(FREE, None), (LIMITED, Some(limit))] {
            let send_paths = vec![(Family::IPV4_UNICAST, paths)];
            rib.peer_up(ip(peer), PeerConfig { send_paths, export_limit, ..neighbor(peer, u32::from(peer)) });
        }
        Self { rib, limit: Some(limit), believed: Told::new() }
    }

    fn run(&mut self, step: &Step) {
        let rib = &mut self.rib;
        match *step {
            Step::Down(peer) => up(rib, peer, u32::from(peer)),
            Step::Announce(peer, prefix, extra) => {
                announce(rib, peer, &name(prefix), path(&vec![u32::from(peer); extra as usize + 1]));
            }
            Step::Withdraw(peer, prefix) => withdraw(rib, peer, &name(prefix)),
            Step::Flush => {
                self.flush();
            }
            Step::Read => rib.sent_to(ip(LIMITED), usize::MAX),
            Step::Refresh => rib.refresh(ip(LIMITED), Family::IPV4_UNICAST),
            Step::Limit(limit) => {
                self.limit = limit;
                rib.set_export_limit(ip(LIMITED), limit);
            }
            Step::Regroup(there) => {
                let groups: Vec<String> = there.then(|| "g".to_owned()).into_iter().collect();
                rib.set_groups(ip(LIMITED), &groups);
            }
        }
    }

    /// The neighbour counts after every single route. Whether anybody is told anything.
    fn flush(&mut self) -> bool {
        let max = self.limit.map_or(usize::MAX, |limit| limit as usize);
        let outgoing = self.rib.flush();
        for (id, prefix, path) in numbered(&outgoing, LIMITED) {
            let known = self.believed.len();
            match path {
                Some(path) => self.believed.insert((prefix, id), path),
                None => self.believed.remove(&(prefix, id)),
            };
            let counted = self.believed.len();
            assert!(counted <= max.max(known), "{counted} routes where {max} may be told");
        }
        !outgoing.is_empty()
    }

    fn settle(&mut self) {
        for _ in 0..500 {
            for peer in SOURCES.chain([FREE, LIMITED]) {
                self.rib.sent_to(ip(peer), usize::MAX);
            }
            if !self.flush() {
                return;
            }
        }
        panic!("it never ends");
    }

    fn sent(&self, peer: u8) -> BTreeMap<String, BTreeSet<String>> {
        let mut by_prefix = BTreeMap::<_, BTreeSet<_>>::new();
        for (prefix, route) in self.rib.sent(ip(peer)) {
            by_prefix.entry(prefix.to_string()).or_default().insert(route.attributes.as_path.to_string());
        }
        by_prefix
    }
}

proptest! {
    #[test]
    fn criterion_22_a_limited_neighbor_never_counts_too_much_and_lacks_nothing_there_is_room_for(
        steps in proptest::collection::vec(step(), 1..120),
        limit in 1u32..9,
        paths in 1u8..4,
        high_water in prop_oneof![Just(1usize), 60usize..400, Just(1 << 20)],
    ) {
        let mut scene = Scene::new(limit, paths, high_water);
        steps.iter().for_each(|step| scene.run(step));
        scene.settle();
        let (all, told) = (scene.sent(FREE), scene.sent(LIMITED));
        prop_assert_eq!(scene.rib.size().0, all.len(), "a row without paths is left");
        let count = |routes: &BTreeMap<String, BTreeSet<String>>| routes.values().map(BTreeSet::len).sum::<usize>();
        let max = scene.limit.map_or(usize::MAX, |limit| limit as usize);
        prop_assert_eq!(count(&told), count(&all).min(max));
        let none = BTreeSet::new();
        for (prefix, paths) in &told {
            prop_assert!(paths.is_subset(all.get(prefix).unwrap_or(&none)), "{} {:?} {:?}", prefix, paths, all);
        }
        let short = all.iter().filter(|(prefix, paths)| told.get(*prefix).is_none_or(|told| told.len() < paths.len()));
        prop_assert_eq!(scene.rib.withheld(ip(LIMITED), Family::IPV4_UNICAST), short.count() as u64);
        let shown: Vec<_> =
            scene.rib.sent(ip(LIMITED)).map(|(prefix, route)| (prefix.to_string(), route.path_id)).collect();
        prop_assert_eq!(shown, scene.believed.into_keys().collect::<Vec<_>>());
    }
}
