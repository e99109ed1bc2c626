//! Random histories of sources and kernel routes: after each event the table is what a naive reader would expect.

use proptest::prelude::*;

use super::*;
use crate::plan::{RouteAction, plan};
use crate::route::{RouteKind, TABLE_MAIN};

#[derive(Debug, Clone)]
enum Event {
    /// A speaker's route with these next hops, or none to withdraw it.
    Bgp(u8, Vec<u8>),
    /// A static route to a next hop, by prefix length, over a link; none to delete it.
    Static(u8, Option<u8>),
    /// A link goes down or up.
    Link(u8, bool),
    /// Somebody deletes a route of ours.
    Vandal(u8),
    /// The speaker starts again and says only these prefixes.
    Restart(Vec<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    let hops = prop::collection::vec(0u8..6, 0..3);
    prop_oneof![
        4 => (0u8..4, hops).prop_map(|(prefix, hops)| Event::Bgp(prefix, hops)),
        3 => (28u8..=32, prop::option::of(0u8..2)).prop_map(|(len, link)| Event::Static(len, link)),
        1 => (0u8..2, any::<bool>()).prop_map(|(link, up)| Event::Link(link, up)),
        1 => (0u8..4).prop_map(Event::Vandal),
        1 => prop::collection::vec(0u8..4, 0..3).prop_map(Event::Restart),
    ]
}

/// Hops 0 and 1 are neighbours on the links, the rest are addresses behind the static routes.
fn hop(number: u8) -> IpAddr {
    if number < 2 { [10, 9, number, 2].into() } else { [9, 9, 9, number].into() }
}

fn prefix(number: u8) -> IpNet {
    IpNet::from(IpAddr::from([10, 0, 1, number]))
}

#[derive(Default)]
struct World {
    statics: BTreeMap<u8, u8>,
    down: BTreeSet<u8>,
    bgp: BTreeMap<u8, Vec<u8>>,
    ours: Vec<KernelRoute>,
}

impl World {
    fn found(&self, prefix: IpNet, protocol: u8, gateway: Option<IpAddr>, link: u8) -> KernelRoute {
        let key = RouteKey { table: TABLE_MAIN, prefix: prefix.trunc(), metric: 0 };
        let leg = Leg { gateway, ifindex: u32::from(link) + 2, weight: 1, onlink: false };
        let down = if self.down.contains(&link) { vec![leg] } else { Vec::new() };
        KernelRoute { route: Route::unicast(key, protocol, vec![leg]), down }
    }

    fn kernel(&self) -> Vec<KernelRoute> {
        let mut kernel = self.ours.clone();
        for link in 0..2 {
            kernel.push(self.found(IpNet::new([10, 9, link, 0].into(), 24).unwrap(), 2, None, link));
        }
        for (len, link) in &self.statics {
            let to = IpNet::new([9, 9, 9, 5].into(), *len).unwrap();
            kernel.push(self.found(to, 4, Some([10, 9, *link, 2].into()), *link));
        }
        kernel
    }

    /// The link that leads to a hop, by trying every static route.
    fn link(&self, number: u8) -> Option<u8> {
        let link = if number < 2 {
            number
        } else {
            let covers =
                |len: u8| IpNet::new([9, 9, 9, 5].into(), len).unwrap().trunc().contains(&hop(number));
            *self.statics.iter().filter(|(len, _)| covers(**len)).max_by_key(|(len, _)| **len)?.1
        };
        (!self.down.contains(&link)).then_some(link)
    }

    fn expected(&self) -> BTreeMap<IpNet, BTreeSet<(IpAddr, u32)>> {
        let routes = self.bgp.iter().map(|(number, hops)| {
            let legs = hops.iter().filter_map(|number| {
                let link = self.link(*number)?;
                Some((IpAddr::from([10, 9, link, 2]), u32::from(link) + 2))
            });
            (prefix(*number), legs.collect::<BTreeSet<_>>())
        });
        routes.filter(|(_, legs)| !legs.is_empty()).collect()
    }

    fn apply(&mut self, actions: &[RouteAction]) {
        for action in actions {
            self.ours.retain(|found| found.route.key != action.route().key);
            if !matches!(action, RouteAction::Delete(_)) {
                self.ours.push(KernelRoute::up(action.route().clone()));
            }
        }
    }
}

fn bgp_route(number: u8, hops: &[u8]) -> SourceRoute {
    SourceRoute {
        prefix: prefix(number),
        source: Source::Bgp { internal: false },
        target: Target::NextHops(hops.iter().map(|number| (hop(*number), 1)).collect()),
    }
}

fn happen(world: &mut World, rib: &mut Rib, event: &Event) {
    match event {
        Event::Bgp(number, hops) if hops.is_empty() => {
            rib.withdraw(0, prefix(*number));
            world.bgp.remove(number);
        }
        Event::Bgp(number, hops) => {
            rib.upsert(0, bgp_route(*number, hops));
            world.bgp.insert(*number, hops.clone());
        }
        Event::Static(len, Some(link)) => {
            world.statics.insert(*len, *link);
        }
        Event::Static(len, None) => {
            world.statics.remove(len);
        }
        Event::Link(link, true) => {
            world.down.remove(link);
        }
        Event::Link(link, false) => {
            world.down.insert(*link);
        }
        Event::Vandal(number) => world.ours.retain(|found| found.route.key.prefix != prefix(*number)),
        Event::Restart(kept) => {
            world.bgp.retain(|number, _| kept.contains(number));
            rib.replace(
                0,
                world.bgp.iter().map(|(number, hops)| bgp_route(*number, hops)).collect::<Vec<_>>(),
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn after_every_event_the_table_is_what_is_expected_and_stays(events in prop::collection::vec(event(), 1..40)) {
        let policy = Policy { protocol: 186, resolve: ResolveOptions::default(), protected: Vec::new() };
        let (mut world, mut rib) = (World::default(), Rib::new(1));
        rib.end_of_rib(0);
        for event in &events {
            happen(&mut world, &mut rib, event);
            let channel = [Channel { rib: &rib, tables: &[TABLE_MAIN] }];
            let actions = plan(&decide(&channel, &world.kernel(), &policy).desired, &world.kernel(), true);
            world.apply(&actions);
            let again = decide(&channel, &world.kernel(), &policy);
            prop_assert_eq!(plan(&again.desired, &world.kernel(), true), vec![], "after {:?}", event);
            let table: BTreeMap<_, BTreeSet<_>> = world.ours.iter().map(|found| {
                assert_eq!(found.route.kind, RouteKind::Unicast);
                let legs = found.route.legs.iter().filter_map(|leg| Some((leg.gateway?, leg.ifindex)));
                (found.route.key.prefix, legs.collect())
            }).collect();
            prop_assert_eq!(table, world.expected(), "after {:?}", event);
            let installed = again.verdicts.iter().filter(|verdict| verdict.state == State::Installed).count();
            prop_assert_eq!(installed, world.ours.len());
        }
    }
}
