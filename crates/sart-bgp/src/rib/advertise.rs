//! Brings one neighbour's Adj-RIB-Out up to date: compares what it should have with what it was told, and packs only
//! the difference. Must never announce and withdraw one prefix in one pass.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ipnet::IpNet;

use super::RibConfig;
use super::destination::Destination;
use super::export::{self, Known, Route};
use super::intern::Interner;
use super::peer::Peer;
use crate::config::LocalPath;
use crate::family::Family;
use crate::wire::attr::NextHop;
use crate::wire::{Packed, end_of_rib, pack_announcements, pack_withdrawals};

/// Messages for one neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The neighbour.
    pub peer: IpAddr,
    /// UPDATEs.
    pub bytes: Vec<u8>,
    /// How many.
    pub messages: u64,
}

/// Routes with one set of attributes and one next hop.
type Bundle = (Route, Vec<IpNet>);

#[derive(Default)]
struct Difference {
    withdrawn: Vec<IpNet>,
    bundles: Vec<Bundle>,
    bundle_of: HashMap<(usize, NextHop), usize>,
}

impl Difference {
    fn announce(&mut self, prefix: IpNet, route: &Route) {
        // Interned attributes are equal exactly if they are the same.
        let key = (Arc::as_ptr(&route.attributes) as usize, route.next_hop);
        let index = *self.bundle_of.entry(key).or_insert_with(|| {
            self.bundles.push((route.clone(), Vec::new()));
            self.bundles.len() - 1
        });
        if let Some((_, prefixes)) = self.bundles.get_mut(index) {
            prefixes.push(prefix);
        }
    }
}

/// What to send to a neighbour, if anything. `tables` are destinations and own paths.
pub(crate) fn advertise(
    (address, peer): (IpAddr, &mut Peer),
    config: &RibConfig,
    tables: (&BTreeMap<IpNet, Destination>, &BTreeMap<IpNet, LocalPath>),
    dirty: &BTreeSet<IpNet>,
    interner: &mut Interner,
) -> Option<Outgoing> {
    let mut difference = Difference::default();
    let prefixes: Vec<IpNet> = if core::mem::take(&mut peer.full_pass) {
        // What was told and is unknown by now has to be withdrawn as well.
        tables.0.keys().chain(peer.sent.keys()).copied().collect::<BTreeSet<_>>().into_iter().collect()
    } else {
        dirty.iter().copied().collect()
    };
    for prefix in prefixes {
        let wanted = tables.0.get(&prefix).and_then(|destination| {
            let known = Known { prefix: &prefix, destination, local: tables.1.get(&prefix) };
            export::route(config, (address, &peer.config), known, interner)
        });
        compare(peer, prefix, wanted, &mut difference, interner);
    }
    peer.resend.clear();
    pack((address, peer), difference)
}

fn compare(
    peer: &mut Peer,
    prefix: IpNet,
    wanted: Option<Route>,
    difference: &mut Difference,
    interner: &mut Interner,
) {
    let again = peer.resend.contains(&Family::of_prefix(&prefix));
    let old = match wanted {
        Some(route) if !again && peer.sent.get(&prefix) == Some(&route) => Some(route),
        Some(route) => {
            difference.announce(prefix, &route);
            peer.sent.insert(prefix, route)
        }
        None => {
            let told = peer.sent.remove(&prefix);
            difference.withdrawn.extend(told.as_ref().map(|_| prefix));
            told
        }
    };
    if let Some(old) = old {
        interner.release(old.attributes);
    }
}

fn pack((address, peer): (IpAddr, &mut Peer), mut difference: Difference) -> Option<Outgoing> {
    let as4 = peer.config.update.as4;
    let mut announcements = Packed::default();
    for (route, prefixes) in &difference.bundles {
        let packed = pack_announcements(&route.attributes, route.next_hop, prefixes, as4);
        announcements.bytes.extend(packed.bytes);
        announcements.messages += packed.messages;
        for prefix in packed.oversized {
            // It cannot be told; an older route that was told must not stay (RFC 4271 section 9.2).
            peer.sent.remove(&prefix);
            difference.withdrawn.push(prefix);
        }
    }
    let withdrawals = pack_withdrawals(&difference.withdrawn);
    let mut bytes = withdrawals.bytes;
    bytes.extend(announcements.bytes);
    let mut messages = withdrawals.messages + announcements.messages;
    if core::mem::take(&mut peer.owes_end_of_rib) {
        for family in &peer.config.update.families {
            bytes.extend(end_of_rib(*family));
            messages += 1;
        }
    }
    (messages > 0).then_some(Outgoing { peer: address, bytes, messages })
}
