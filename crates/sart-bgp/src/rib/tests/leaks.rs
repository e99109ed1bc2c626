//! Roles where routes meet them (RFC 9234 section 5): what is refused on its way in, marked, and kept from leaving.

use super::stage::{OWN_AS, announce, best, changes, ip, neighbor, path, rib, rules, told, withdraw};
use crate::config::LocalPath;
use crate::family::Family;
use crate::rib::{PeerConfig, Refusal, Rib};
use crate::wire::attr::Attributes;
use crate::wire::capability::Role;

const P: &str = "10.0.0.0/24";

/// What we are to neighbour 1, then to neighbour 2; neighbour 3 is internal.
fn between(first: Option<Role>, second: Option<Role>) -> Rib {
    let mut rib = rib(rules());
    rib.peer_up(ip(1), PeerConfig { role: first, ..neighbor(1, 65001) });
    rib.peer_up(ip(2), PeerConfig { role: second, ..neighbor(2, 65002) });
    rib.peer_up(ip(3), neighbor(3, OWN_AS));
    rib.flush();
    rib
}

fn marked(otc: Option<u32>) -> Attributes {
    Attributes { only_to_customer: otc, med: Some(1), ..path(&[65001]) }
}

#[test]
fn a_leak_is_received_counted_and_not_used() {
    let cases = [
        (Role::PROVIDER, Some(65001), true),
        (Role::ROUTE_SERVER, Some(7), true),
        (Role::PEER, Some(7), true),
        (Role::PEER, Some(65001), false),
        (Role::PROVIDER, None, false),
        (Role::CUSTOMER, Some(7), false),
        (Role::ROUTE_SERVER_CLIENT, Some(7), false),
    ];
    for (role, otc, leak) in cases {
        let mut rib = between(Some(role), None);
        announce(&mut rib, 1, P, marked(otc));
        let refused = rib.counts(ip(1)).0.refused.get(&Refusal::RouteLeak).copied().unwrap_or(0);
        assert_eq!((best(&rib, P).is_none(), refused), (leak, u64::from(leak)), "{role} {otc:?}");
        assert_eq!(changes(&rib.flush(), 2).0.is_empty(), leak, "{role} {otc:?}");
    }
    assert_eq!(Refusal::RouteLeak.reason(), "route_leak");
}

/// Our roles towards the sender and the hearer, the mark it comes with, what the hearer and an internal neighbour see: no
/// route or one with that mark.
type Case = (Option<Role>, Option<Role>, Option<u32>, Option<Option<u32>>, Option<u32>);

#[test]
fn a_route_is_marked_on_its_way_in_and_out_and_stays_where_it_must() {
    use Role as R;
    let (up, across, down) = (Some(R::CUSTOMER), Some(R::PEER), Some(R::PROVIDER));
    let cases: [Case; 12] = [
        // From a provider: only customers hear of it.
        (up, up, None, None, Some(65001)),
        (up, across, None, None, Some(65001)),
        (up, down, None, Some(Some(65001)), Some(65001)),
        (up, down, Some(7), Some(Some(7)), Some(7)),
        (Some(R::ROUTE_SERVER_CLIENT), Some(R::ROUTE_SERVER_CLIENT), None, None, Some(65001)),
        (across, down, Some(65001), Some(Some(65001)), Some(65001)),
        (across, up, None, None, Some(65001)),
        // From a customer: everybody does, and who is not above us gets our mark.
        (down, up, None, Some(None), None),
        (down, across, None, Some(Some(OWN_AS)), None),
        (down, down, None, Some(Some(OWN_AS)), None),
        (Some(R::ROUTE_SERVER), Some(R::ROUTE_SERVER), None, Some(Some(OWN_AS)), None),
        // Without roles nothing changes.
        (None, None, Some(7), Some(Some(7)), Some(7)),
    ];
    for (from, to, otc, hearer, internal) in cases {
        let mut rib = between(from, to);
        announce(&mut rib, 1, P, marked(otc));
        let outgoing = rib.flush();
        let seen = |to: u8| told(&outgoing, to).pop().map(|update| update.attributes.only_to_customer);
        let what = format!("{from:?} to {to:?} with {otc:?}");
        assert_eq!((seen(2), seen(3)), (hearer, Some(internal)), "{what}");
        let kept = [1, 2, 3].map(|to| rib.leaks_kept(ip(to), Family::IPV4_UNICAST));
        // What it sent itself is not kept from a neighbour for its mark.
        assert_eq!(kept, [0, u64::from(hearer.is_none()), 0], "{what}");
        withdraw(&mut rib, 1, P);
        rib.flush();
        assert_eq!(rib.leaks_kept(ip(2), Family::IPV4_UNICAST), 0, "{what}");
    }
}

#[test]
fn our_own_route_is_marked_for_who_is_not_above_us() {
    for (role, otc) in [(Role::PROVIDER, Some(OWN_AS)), (Role::PEER, Some(OWN_AS)), (Role::CUSTOMER, None)] {
        let mut rib = between(Some(role), None);
        rib.originate(LocalPath::new(P.parse().unwrap()), super::stage::NOW);
        let outgoing = rib.flush();
        let seen = |to: u8| told(&outgoing, to).pop().map(|update| update.attributes.only_to_customer);
        assert_eq!((seen(1), seen(2), seen(3)), (Some(otc), Some(None), Some(None)), "{role}");
    }
}
