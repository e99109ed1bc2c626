//! Whatever comes, goes and is switched: a tracker that does what it is told watches exactly what is in use, and what it
//! said last is what counts.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{HopState, Track};

#[derive(Clone, Copy, Debug)]
enum Deed {
    Use(u8),
    Leave(u8),
    Switch(bool),
    Attend(bool),
    Tell,
    Answer(u8, Option<u32>),
}

fn deed() -> impl Strategy<Value = Deed> {
    let hop = 0..6u8;
    prop_oneof![
        4 => hop.clone().prop_map(Deed::Use),
        4 => hop.clone().prop_map(Deed::Leave),
        1 => any::<bool>().prop_map(Deed::Switch),
        2 => any::<bool>().prop_map(Deed::Attend),
        3 => Just(Deed::Tell),
        4 => (hop, proptest::option::of(0..9u32)).prop_map(|(hop, metric)| Deed::Answer(hop, metric)),
    ]
}

fn address(hop: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, hop))
}

/// The tracker and what an observer knows.
#[derive(Default)]
struct World {
    track: Track,
    on: bool,
    there: bool,
    in_use: BTreeSet<IpAddr>,
    /// What the tracker watches, if it does as it is told.
    watched: BTreeSet<IpAddr>,
    /// What it said last about what it watches.
    said: BTreeMap<IpAddr, Option<u32>>,
}

impl World {
    fn tell(&mut self) {
        let in_use = self.in_use.clone();
        let changes = self.track.take_changes(|address| in_use.contains(&address));
        assert!(self.there || changes.is_empty(), "nobody is there to be told");
        for address in changes.begin {
            assert!(self.watched.insert(address), "asked twice");
        }
        for address in changes.end {
            assert!(self.watched.remove(&address), "ended twice");
            self.said.remove(&address);
        }
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Use(hop) if self.in_use.insert(address(hop)) => self.track.note(address(hop)),
            Deed::Leave(hop) if self.in_use.remove(&address(hop)) => self.track.note(address(hop)),
            Deed::Use(_) | Deed::Leave(_) => {}
            Deed::Switch(on) if on != self.on => {
                self.on = on;
                self.track.switch(on, self.in_use.iter().copied());
                self.said = self.in_use.iter().filter(|_| on).map(|address| (*address, Some(0))).collect();
            }
            Deed::Switch(_) => {}
            Deed::Attend(there) => {
                self.there = there;
                self.watched.clear();
                self.track.attend(there, self.in_use.iter().copied());
                if there && self.on {
                    self.said.retain(|address, _| self.in_use.contains(address));
                }
            }
            Deed::Tell => self.tell(),
            Deed::Answer(hop, metric) => {
                self.track.answer(&[(address(hop), metric)]);
                if self.watched.contains(&address(hop)) && self.on {
                    self.said.insert(address(hop), metric);
                }
            }
        }
    }

    fn check(&mut self) {
        self.tell();
        let wanted = if self.on && self.there { self.in_use.clone() } else { BTreeSet::new() };
        assert_eq!(self.watched, wanted);
        for address in &self.in_use {
            let expected = match self.said.get(address) {
                _ if !self.on => HopState::Reachable(0),
                None => HopState::Unanswered,
                Some(None) => HopState::Unreachable,
                Some(Some(metric)) => HopState::Reachable(*metric),
            };
            assert_eq!(self.track.state(*address), expected, "{address}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_obedient_tracker_watches_what_is_in_use_and_its_last_word_counts(
        deeds in proptest::collection::vec(deed(), 0..60)
    ) {
        let mut world = World::default();
        for deed in deeds {
            world.act(deed);
        }
        world.check();
    }
}
