//! The tables against a model that is nothing but maps, under any sequence of events.

mod limited;
mod several;
mod tracked;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use proptest::prelude::*;

use super::tests::stage::{NOW, announce, changes, ip, net, path, rules, up, withdraw};
use super::{Outgoing, Rib};
use crate::config::LocalPath;
use crate::family::Family;

#[derive(Clone, Debug)]
enum Step {
    Up(u8),
    Down(u8),
    Announce(u8, u8, u32),
    Withdraw(u8, u8),
    Originate(u8, Option<u32>),
    WithdrawOwn(u8),
    Flush,
    /// The neighbour has read everything.
    Read(u8),
    Refresh(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let peer = 1u8..4;
    let prefix = 0u8..4;
    prop_oneof![
        peer.clone().prop_map(Step::Up),
        peer.clone().prop_map(Step::Down),
        (peer.clone(), prefix.clone(), 1u32..4).prop_map(|(p, n, extra)| Step::Announce(p, n, extra)),
        (peer.clone(), prefix.clone()).prop_map(|(p, n)| Step::Withdraw(p, n)),
        (prefix.clone(), proptest::option::of(0u32..3)).prop_map(|(n, med)| Step::Originate(n, med)),
        prefix.prop_map(Step::WithdrawOwn),
        Just(Step::Flush),
        peer.clone().prop_map(Step::Read),
        peer.prop_map(Step::Refresh),
    ]
}

fn name(prefix: u8) -> String {
    format!("10.0.{prefix}.0/24")
}

/// What everyone knows: (source, prefix), 0 being ourselves, and what each neighbour believes after its UPDATEs.
#[derive(Default)]
struct Model {
    up: BTreeSet<u8>,
    paths: BTreeSet<(u8, u8)>,
    believed: BTreeMap<u8, BTreeSet<String>>,
    fed: BTreeMap<IpNet, usize>,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Up(peer) | Step::Down(peer) => {
                self.paths.retain(|(source, _)| *source != peer);
                self.believed.insert(peer, BTreeSet::new());
                if matches!(step, Step::Up(_)) {
                    self.up.insert(peer)
                } else {
                    self.up.remove(&peer)
                };
            }
            Step::Announce(peer, prefix, _) if self.up.contains(&peer) => {
                self.paths.insert((peer, prefix));
            }
            Step::Withdraw(peer, prefix) => {
                self.paths.remove(&(peer, prefix));
            }
            Step::Originate(prefix, _) => {
                self.paths.insert((0, prefix));
            }
            Step::WithdrawOwn(prefix) => {
                self.paths.remove(&(0, prefix));
            }
            Step::Announce(..) | Step::Flush | Step::Read(_) | Step::Refresh(_) => {}
        }
    }

    fn hear(&mut self, outgoing: &[Outgoing]) {
        for peer in self.up.clone() {
            let (announced, withdrawn) = changes(outgoing, peer);
            let believed = self.believed.entry(peer).or_default();
            for prefix in &withdrawn {
                assert!(believed.remove(prefix), "withdrew {prefix} that was never told");
                assert!(!announced.contains(prefix), "announced and withdrawn in one pass");
            }
            believed.extend(announced);
        }
    }
}

fn run(rib: &mut Rib, step: &Step) {
    match *step {
        Step::Up(peer) => up(rib, peer, u32::from(peer)),
        Step::Down(peer) => rib.peer_down(ip(peer)),
        Step::Announce(peer, prefix, extra) => {
            let hops: Vec<u32> = (0..extra).map(|_| u32::from(peer)).collect();
            announce(rib, peer, &name(prefix), path(&hops));
        }
        Step::Withdraw(peer, prefix) => withdraw(rib, peer, &name(prefix)),
        Step::Originate(prefix, med) => {
            let mut local = LocalPath::new(net(&name(prefix)));
            local.med = med;
            rib.originate(local, NOW);
        }
        Step::WithdrawOwn(prefix) => {
            rib.withdraw(&net(&name(prefix)));
        }
        Step::Read(peer) => rib.sent_to(ip(peer), usize::MAX),
        Step::Refresh(peer) => rib.refresh(ip(peer), Family::IPV4_UNICAST),
        Step::Flush => {}
    }
}

proptest! {
    #[test]
    fn tables_advertisements_and_feed_agree_with_the_model(
        steps in proptest::collection::vec(step(), 1..60),
        // From a neighbour that takes one message at a time to one that takes everything.
        high_water in prop_oneof![Just(1usize), 60usize..400, Just(1 << 20)],
    ) {
        let mut rib = super::tests::stage::rib(rules());
        rib.high_water = high_water;
        let mut model = Model::default();
        for step in steps.iter().chain([&Step::Flush]) {
            run(&mut rib, step);
            model.apply(step);
            for best in rib.take_feed() {
                model.fed.insert(best.prefix, best.next_hops.len());
            }
            if matches!(step, Step::Flush) {
                model.hear(&rib.flush());
            }
        }
        // Everyone reads on until nobody is owed anything.
        for _ in 0..100 {
            for peer in 1..4 {
                rib.sent_to(ip(peer), usize::MAX);
            }
            let outgoing = rib.flush();
            if outgoing.is_empty() {
                break;
            }
            model.hear(&outgoing);
        }
        for peer in &model.up {
            let told: BTreeSet<_> = rib.sent(ip(*peer)).map(|(prefix, _)| prefix.to_string()).collect();
            prop_assert_eq!(&told, &model.believed.get(peer).cloned().unwrap_or_default());
            prop_assert_eq!(rib.counts(ip(*peer)).1, told.len() as u64);
        }
        let known = rib.destinations().map(|(_, destination)| destination.paths().len()).sum::<usize>();
        prop_assert_eq!(known, model.paths.len());
        for prefix in 0..4 {
            let sources: Vec<u8> =
                model.paths.iter().filter(|(_, n)| *n == prefix).map(|(source, _)| *source).collect();
            let fed = model.fed.get(&net(&name(prefix))).copied().unwrap_or(0);
            prop_assert_eq!(fed > 0, !sources.is_empty() && !sources.contains(&0));
            let best = super::tests::stage::best(&rib, &name(prefix));
            for peer in &model.up {
                let expected = best.is_some_and(|best| best != *peer);
                let told = model.believed.get(peer).is_some_and(|told| told.contains(&name(prefix)));
                prop_assert_eq!(told, expected, "{} to neighbour {}", name(prefix), peer);
            }
        }
        prop_assert_eq!(rib.flush(), vec![], "a second flush has nothing to say");
    }
}
