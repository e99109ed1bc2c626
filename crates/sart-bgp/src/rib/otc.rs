//! Route leaks (RFC 9234 section 5): what our role towards a neighbour makes of the attribute Only to Customer, on the way
//! in and on the way out. Only the rules; must never look at a session or a table.

use crate::wire::attr::{AttrBlock, put_attribute};
use crate::wire::capability::Role;
use crate::wire::code;

/// Flags of the attribute: optional, transitive (RFC 9234 section 5).
const FLAGS: u8 = 0xc0;

/// Whether what came in is a leak: a neighbour below us, or a route server's client, may not have such a route at all, and
/// one beside us only if it marked it itself.
pub(crate) fn leaks(ours: Option<Role>, neighbor: u32, otc: Option<u32>) -> bool {
    let Some(otc) = otc else { return false };
    match ours {
        Some(Role::PROVIDER | Role::ROUTE_SERVER) => true,
        Some(Role::PEER) => otc != neighbor,
        _ => false,
    }
}

/// What a route without the attribute gets on its way in: the neighbour's number, if the neighbour is above or beside us
/// or a route server.
pub(crate) fn mark_in(ours: Option<Role>, neighbor: u32) -> Option<u32> {
    let marks = matches!(ours, Some(Role::CUSTOMER | Role::PEER | Role::ROUTE_SERVER_CLIENT));
    marks.then_some(neighbor)
}

/// What is done on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It must not leave.
    Stays,
    /// It leaves with the mark that it has, or without one.
    AsItIs,
    /// It leaves with our number as its mark.
    Marked,
}

/// What becomes of a route towards a neighbour; `has` says whether it has the attribute, be it from its way in.
pub(crate) fn leaving(ours: Option<Role>, has: bool) -> Leaving {
    match ours {
        Some(Role::CUSTOMER | Role::PEER | Role::ROUTE_SERVER_CLIENT) if has => Leaving::Stays,
        Some(Role::PROVIDER | Role::PEER | Role::ROUTE_SERVER) if !has => Leaving::Marked,
        _ => Leaving::AsItIs,
    }
}

/// The canonical list with the attribute, which it must not have yet.
pub(crate) fn mark(canonical: &[u8], asn: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(canonical.len() + 7);
    let mut owed = Some(asn);
    for raw in AttrBlock::new(canonical).iter() {
        if raw.code > code::OTC
            && let Some(asn) = owed.take()
        {
            put_attribute(&mut out, code::OTC, FLAGS, &asn.to_be_bytes());
        }
        put_attribute(&mut out, raw.code, raw.flags, raw.value);
    }
    if let Some(asn) = owed {
        put_attribute(&mut out, code::OTC, FLAGS, &asn.to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::attr::Attributes;

    /// Our role, then for a route without the attribute, one marked by the neighbour (65001) and one marked by another:
    /// whether it leaks in. Then what a route without it gets on its way in, and what a route without and one with it meets
    /// on its way out.
    type Rule = (Option<Role>, [bool; 3], Option<u32>, [Leaving; 2]);

    const RULES: [Rule; 7] = [
        (Some(Role::PROVIDER), [false, true, true], None, [Leaving::Marked, Leaving::AsItIs]),
        (Some(Role::ROUTE_SERVER), [false, true, true], None, [Leaving::Marked, Leaving::AsItIs]),
        (Some(Role::PEER), [false, false, true], Some(65001), [Leaving::Marked, Leaving::Stays]),
        (Some(Role::CUSTOMER), [false; 3], Some(65001), [Leaving::AsItIs, Leaving::Stays]),
        (Some(Role::ROUTE_SERVER_CLIENT), [false; 3], Some(65001), [Leaving::AsItIs, Leaving::Stays]),
        (None, [false; 3], None, [Leaving::AsItIs; 2]),
        (Some(Role(9)), [false; 3], None, [Leaving::AsItIs; 2]),
    ];

    #[test]
    fn each_role_has_its_rules_of_rfc_9234() {
        for (role, leaky, marked, out) in RULES {
            let attributes = [None, Some(65001), Some(7)];
            assert_eq!(attributes.map(|otc| leaks(role, 65001, otc)), leaky, "{role:?} in");
            assert_eq!(mark_in(role, 65001), marked, "{role:?} mark");
            assert_eq!([false, true].map(|has| leaving(role, has)), out, "{role:?} out");
        }
    }

    #[test]
    fn a_mark_has_its_place_in_the_list() {
        let plain = Attributes { med: Some(3), large_communities: vec![[1, 2, 3]], ..Attributes::default() };
        let unknown_above = {
            let mut list = Vec::new();
            plain.encode(&mut list).unwrap();
            put_attribute(&mut list, 200, 0xe0, &[1, 2]);
            list
        };
        let marked = Attributes { only_to_customer: Some(65001), ..plain.clone() };
        let (mut before, mut after) = (Vec::new(), Vec::new());
        plain.encode(&mut before).unwrap();
        marked.encode(&mut after).unwrap();
        assert_eq!(mark(&before, 65001), after);
        put_attribute(&mut after, 200, 0xe0, &[1, 2]);
        assert_eq!(mark(&unknown_above, 65001), after);
    }
}
