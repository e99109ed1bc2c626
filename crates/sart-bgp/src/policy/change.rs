//! What a chain changed about a route. Holds final values only, so that applying them twice is the same as once.

use core::net::IpAddr;

use super::model::{Actions, ListChange, MedChange, NextHopAction, Prepend};
use crate::wire::attr::{AsPath, Attributes, Origin};

/// The attributes that a chain gave a value to; `None` leaves what the route has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Changes {
    /// ORIGIN.
    pub origin: Option<Origin>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// AS_PATH.
    pub as_path: Option<AsPath>,
    /// COMMUNITIES.
    pub communities: Option<Vec<u32>>,
    /// EXTENDED COMMUNITIES.
    pub ext_communities: Option<Vec<u64>>,
    /// LARGE_COMMUNITY.
    pub large_communities: Option<Vec<[u32; 3]>>,
    /// Next hop.
    pub next_hop: Option<NextHopChange>,
}

/// The next hop that a route gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NextHopChange {
    /// Our own address on the link of the neighbour that gets the route.
    Own,
    /// The one that the route was received with; our own for an own path.
    Unchanged,
    /// This address. Its family is the prefix's, or IPv6 for an IPv4 prefix, which only a neighbour with RFC 8950 can
    /// be told.
    Address(IpAddr),
}

impl Changes {
    /// Nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The policy gave a MED, so that it goes to an external neighbour even if the route was learned (RFC 4271 section
    /// 5.1.4 keeps only a MED received from going on).
    #[must_use]
    pub const fn sets_med(&self) -> bool {
        self.med.is_some()
    }

    /// Gives `attributes` every value that was changed. The next hop is no attribute here.
    pub fn apply(&self, attributes: &mut Attributes) {
        if let Some(origin) = self.origin {
            attributes.origin = origin;
        }
        attributes.local_pref = self.local_pref.or(attributes.local_pref);
        attributes.med = self.med.or(attributes.med);
        replace(&mut attributes.as_path, self.as_path.as_ref());
        replace(&mut attributes.communities, self.communities.as_ref());
        replace(&mut attributes.ext_communities, self.ext_communities.as_ref());
        replace(&mut attributes.large_communities, self.large_communities.as_ref());
    }

    /// Does the actions of one statement on top of what is changed already. `received` are the attributes before any
    /// change; `v6` is the prefix's family and `peer` who sent the route.
    pub(super) fn act(&mut self, actions: &Actions, on: &ActionInput<'_>) {
        let received = on.received;
        self.origin = actions.origin.or(self.origin);
        self.local_pref = actions.local_pref.or(self.local_pref);
        if let Some(change) = actions.med {
            self.med = Some(change.of(self.med.or(received.med).unwrap_or(0)));
        }
        if let Some(prepend) = actions.prepend {
            self.as_path = Some(prepend.of(self.as_path.as_ref().unwrap_or(&received.as_path), on.own_asn));
        }
        edit(&mut self.communities, &received.communities, &actions.communities, |pattern, value| {
            pattern.matches(*value)
        });
        edit(
            &mut self.ext_communities,
            &received.ext_communities,
            &actions.ext_communities,
            |pattern, value| pattern.matches(*value),
        );
        edit(
            &mut self.large_communities,
            &received.large_communities,
            &actions.large_communities,
            |pattern, value| pattern.matches(value),
        );
        let next_hop = actions.next_hop.and_then(|action| action.of(on.v6, on.peer));
        self.next_hop = next_hop.or(self.next_hop);
    }
}

/// What actions need to know about the route.
pub(super) struct ActionInput<'a> {
    pub received: &'a Attributes,
    pub own_asn: u32,
    pub v6: bool,
    pub peer: Option<IpAddr>,
}

fn replace<T: Clone>(value: &mut T, with: Option<&T>) {
    if let Some(with) = with {
        value.clone_from(with);
    }
}

fn edit<V: Clone + PartialEq, P>(
    changed: &mut Option<Vec<V>>,
    received: &[V],
    change: &ListChange<V, P>,
    matches: impl Fn(&P, &V) -> bool,
) {
    if change.is_empty() {
        return;
    }
    let before = changed.take().unwrap_or_else(|| received.to_vec());
    let mut list = change.replace.clone().unwrap_or(before);
    list.retain(|value| !change.remove.iter().any(|pattern| matches(pattern, value)));
    for value in &change.add {
        if !list.contains(value) {
            list.push(value.clone());
        }
    }
    *changed = Some(list);
}

impl MedChange {
    const fn of(self, med: u32) -> u32 {
        match self {
            Self::Set(value) => value,
            Self::Add(value) => med.saturating_add(value),
            Self::Subtract(value) => med.saturating_sub(value),
        }
    }
}

impl Prepend {
    fn of(self, path: &AsPath, own_asn: u32) -> AsPath {
        let asn = self.asn.unwrap_or(own_asn);
        (0..self.count).fold(path.clone(), |path, _| path.prepended(asn))
    }
}

impl NextHopAction {
    /// `None` if the route cannot have that next hop.
    fn of(self, v6: bool, peer: Option<IpAddr>) -> Option<NextHopChange> {
        // RFC 8950 gives IPv4 prefixes IPv6 next hops; nothing gives IPv6 prefixes IPv4 ones.
        let fits = |address: &IpAddr| !v6 || address.is_ipv6();
        match self {
            Self::Own => Some(NextHopChange::Own),
            Self::Unchanged => Some(NextHopChange::Unchanged),
            Self::Peer => peer.filter(fits).map(NextHopChange::Address),
            Self::Address(address) => Some(address).filter(fits).map(NextHopChange::Address),
        }
    }
}
