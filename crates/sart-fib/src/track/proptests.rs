//! Whatever is asked and whatever changes in between: in the end the speaker holds exactly what is known now.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Deed {
    Begin(u8),
    End(u8),
    /// The kernel changes: the distance of an address, or none.
    Kernel(u8, Option<u32>),
    /// The engine looks.
    Look,
    /// The answers go out.
    Tell,
    /// The speaker comes back.
    Again,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..5u8).prop_map(Deed::Begin),
        2 => (0..5u8).prop_map(Deed::End),
        3 => (0..5u8, proptest::option::of(0..4u32)).prop_map(|(at, metric)| Deed::Kernel(at, metric)),
        3 => Just(Deed::Look),
        3 => Just(Deed::Tell),
        1 => Just(Deed::Again),
    ]
}

fn address(number: u8) -> IpAddr {
    [9, 9, 9, number].into()
}

#[derive(Default)]
struct World {
    kernel: BTreeMap<IpAddr, u32>,
    tracked: Tracked,
    known: Distances,
    told: Told,
    /// What the speaker uses, and what it believes of each.
    in_use: BTreeSet<IpAddr>,
    believed: BTreeMap<IpAddr, Option<u32>>,
}

impl World {
    fn look(&mut self) {
        let of = |address: &IpAddr| self.kernel.get(address).copied().ok_or(Unresolved::NoRoute(*address));
        self.known = self.tracked.wanted.iter().map(|address| (*address, of(address))).collect();
    }

    fn tell(&mut self) {
        for (address, answer) in self.told.plan(&self.known) {
            let answer = answer.ok();
            assert!(self.in_use.contains(&address), "answered without a question");
            assert_ne!(self.believed.insert(address, answer), Some(answer), "no news");
        }
    }

    fn change(&mut self, begin: &[IpAddr], end: &[IpAddr]) {
        self.tracked.want(begin, end);
        self.told.asked(begin, end);
        self.believed.retain(|address, _| !end.contains(address));
    }

    fn act(&mut self, deed: &Deed) {
        match *deed {
            Deed::Begin(number) if self.in_use.insert(address(number)) => {
                self.change(&[address(number)], &[])
            }
            Deed::End(number) if self.in_use.remove(&address(number)) => self.change(&[], &[address(number)]),
            Deed::Begin(_) | Deed::End(_) => {}
            Deed::Kernel(number, metric) => {
                self.kernel.remove(&address(number));
                self.kernel.extend(metric.map(|metric| (address(number), metric)));
            }
            Deed::Look => self.look(),
            Deed::Tell => self.tell(),
            Deed::Again => {
                self.tracked.clear();
                (self.told, self.believed) = (Told::default(), BTreeMap::new());
                let all: Vec<_> = self.in_use.iter().copied().collect();
                self.change(&all, &[]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_speaker_ends_up_with_what_the_kernel_says(deeds in prop::collection::vec(deed(), 0..60)) {
        let mut world = World::default();
        deeds.iter().for_each(|deed| world.act(deed));
        world.look();
        world.tell();
        let now: BTreeMap<_, _> =
            world.in_use.iter().map(|address| (*address, world.kernel.get(address).copied())).collect();
        prop_assert_eq!(&world.believed, &now);
    }
}
