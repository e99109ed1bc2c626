//! Random histories of a node: whatever happens in whatever order, no prefix is announced that is not served, planning is
//! idempotent, and planning only what changed equals planning everything.

use proptest::prelude::*;

use super::fixtures::*;
use super::*;

#[derive(Clone, Debug)]
enum Event {
    Slice { index: u8, local: Vec<(u8, bool)>, elsewhere: bool },
    SliceGone(u8),
    Policy(bool),
    ServiceGone,
    Excluded(bool),
    Ingress(bool),
    Rules(bool),
    Refuse,
    Serve,
    Program,
    Acknowledge,
    SpeakerLost,
}

fn event() -> impl Strategy<Value = Event> {
    let local = prop::collection::vec((1u8..4, any::<bool>()), 0..3);
    prop_oneof![
        4 => (0u8..3, local, any::<bool>())
            .prop_map(|(index, local, elsewhere)| Event::Slice { index, local, elsewhere }),
        1 => (0u8..3).prop_map(Event::SliceGone),
        1 => any::<bool>().prop_map(Event::Policy),
        1 => Just(Event::ServiceGone),
        1 => any::<bool>().prop_map(Event::Excluded),
        1 => any::<bool>().prop_map(Event::Ingress),
        1 => any::<bool>().prop_map(Event::Rules),
        1 => Just(Event::Refuse),
        1 => Just(Event::Serve),
        4 => Just(Event::Program),
        4 => Just(Event::Acknowledge),
        1 => Just(Event::SpeakerLost),
    ]
}

/// Applies an event to the view and says what it touched, as the engine does.
fn apply(observed: &mut Observed, event: &Event, last: &Plan) -> Change {
    match event {
        Event::Slice { index, local, elsewhere } => {
            let local: Vec<_> = local.iter().map(|(last, ready)| endpoint(*last, *ready)).collect();
            let ready = *elsewhere || local.iter().any(|endpoint| endpoint.ready);
            let key = ObjectKey::new("ns", format!("web-{index}"));
            observed.slices.set(key, web(), slice(ready, local));
        }
        Event::SliceGone(index) => {
            observed.slices.remove(&ObjectKey::new("ns", format!("web-{index}")));
        }
        Event::Policy(local) => {
            let policy = if *local { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
            observed.services.insert(web(), service(policy));
        }
        Event::ServiceGone => {
            observed.services.remove(&web());
        }
        Event::Ingress(held) => {
            if let Some(service) = observed.services.get_mut(&web()) {
                service.ingress = if *held { vec![vip().address] } else { Vec::new() };
            }
        }
        other => return apply_wide(observed, other, last),
    }
    Change::Service(web())
}

fn apply_wide(observed: &mut Observed, event: &Event, last: &Plan) -> Change {
    match event {
        Event::Excluded(excluded) => {
            observed.node.as_mut().unwrap().excluded = *excluded;
            Change::Everything
        }
        Event::Rules(present) => {
            observed.proxy = rules(*present);
            Change::Vip(vip().address)
        }
        Event::Refuse => {
            let (reason, message) = ("VerifierRefused".to_owned(), "test".to_owned());
            observed.forwarding = Forwarding::Refused { reason, message };
            Change::Everything
        }
        Event::Serve => {
            observed.forwarding = serving();
            Change::Everything
        }
        Event::Program => {
            program(observed, last);
            Change::Vip(vip().address)
        }
        Event::SpeakerLost => {
            observed.speaker = SpeakerView { link: SpeakerLink::Up, ..SpeakerView::default() };
            Change::Everything
        }
        _ => {
            acknowledge(observed, last);
            Change::Vip(vip().address)
        }
    }
}

/// The reference: a node may announce only when it is not excluded, the Service holds the address, and the policy's own
/// endpoint condition holds over the union of the slices.
fn may_announce(observed: &Observed) -> bool {
    let Some(service) = observed.services.get(&web()) else { return false };
    let key = web();
    let slices: Vec<_> = observed.slices.group(&key).map(|(_, slice)| slice).collect();
    let local_ready = slices.iter().flat_map(|slice| &slice.local).any(|endpoint| endpoint.ready);
    let any_ready = slices.iter().any(|slice| slice.ready_anywhere);
    let endpoints = match service.policy {
        TrafficPolicy::Local => local_ready,
        TrafficPolicy::Cluster => any_ready,
    };
    endpoints && service.ingress.contains(&vip().address) && !observed.node.as_ref().unwrap().excluded
}

fn is_proven(observed: &Observed) -> bool {
    let in_maps = match &observed.forwarding {
        Forwarding::Serving { rows, .. } => rows.contains_key(&vip()),
        _ => false,
    };
    let in_rules = observed.proxy == rules(true);
    match (&observed.forwarding, observed.services.get(&web()).map(|service| service.policy)) {
        (Forwarding::Serving { .. }, Some(TrafficPolicy::Local)) => in_maps,
        _ => in_rules,
    }
}

/// A row may leave the maps only when no confirmed path still leads here, or the path is served by kube-proxy.
fn keeps_what_is_announced(observed: &Observed, plan: &Plan) -> bool {
    let Forwarding::Serving { rows, .. } = &observed.forwarding else { return true };
    let prefix = vip().address.into();
    let leaving = observed.speaker.announced.contains_key(&prefix) && !announces(plan);
    !(leaving && rows.contains_key(&vip())) || programs(plan)
}

proptest! {
    #[test]
    fn no_history_announces_what_is_not_served(
        events in prop::collection::vec(event(), 1..60),
        start_local in any::<bool>(),
    ) {
        let policy = if start_local { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
        let mut observed = observed(policy);
        let mut planner = Planner::new();
        let mut last = planner.plan(&observed);
        for event in &events {
            let change = apply(&mut observed, event, &last);
            planner.mark(change);
            last = planner.plan(&observed);
            prop_assert_eq!(&last, &plan(&observed), "incremental and full plan differ after {:?}", event);
            if announces(&last) {
                prop_assert!(may_announce(&observed) && is_proven(&observed), "after {:?}", event);
            }
            prop_assert!(keeps_what_is_announced(&observed, &last), "after {:?}", event);
        }
        let settled = settle(&mut observed);
        prop_assert_eq!(&settled, &plan(&observed), "planning again after applying changes nothing");
        prop_assert_eq!(announces(&settled), may_announce(&observed) && is_proven(&observed));
    }
}
