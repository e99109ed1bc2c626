//! Every table of a speaker, with one owner: what neighbours sent, what is best, what each neighbour was told.
//!
//! Decides by RFC 4271 section 9 and the import and export rules. Must never know connections or time-outs.

mod advertise;
mod decision;
mod destination;
mod export;
pub mod feed;
mod import;
mod intern;
mod peer;
#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

pub use self::advertise::Outgoing;
pub use self::destination::{Destination, Learned, Path, Received};
pub use self::export::Route;
pub use self::import::Refusal;
pub use self::peer::{PeerConfig, PeerCounts};

use self::decision::Rules;
use self::feed::BestPath;
use self::intern::Interner;
use self::peer::Peer;
use crate::config::{LocalPath, PeerPolicies, TransitPolicy};
use crate::family::Family;
use crate::wire::attr::Attributes;
use crate::wire::update::Update;

/// What holds for all neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RibConfig {
    /// Our AS number.
    pub asn: u32,
    /// Our router id.
    pub router_id: Ipv4Addr,
    /// Equally good paths are all used.
    pub multipath: bool,
    /// The oldest of equal eBGP paths wins before router ids are compared; stabler, but depends on history.
    pub prefer_oldest: bool,
    /// What of others' routes is exported.
    pub transit: TransitPolicy,
}

/// The tables.
#[derive(Debug)]
pub struct Rib {
    config: RibConfig,
    interner: Interner,
    destinations: BTreeMap<IpNet, Destination>,
    locals: BTreeMap<IpNet, LocalPath>,
    peers: BTreeMap<IpAddr, Peer>,
    igp_metrics: BTreeMap<IpAddr, u32>,
    dirty: BTreeSet<IpNet>,
    feed: Vec<BestPath>,
}

impl Rib {
    /// Empty tables.
    #[must_use]
    pub fn new(config: RibConfig) -> Self {
        Self {
            config,
            interner: Interner::default(),
            destinations: BTreeMap::new(),
            locals: BTreeMap::new(),
            peers: BTreeMap::new(),
            igp_metrics: BTreeMap::new(),
            dirty: BTreeSet::new(),
            feed: Vec::new(),
        }
    }

    /// Takes over changed rules and judges every route by them again; no session has to send anything anew.
    pub fn configure(&mut self, config: RibConfig) {
        if self.config == config {
            return;
        }
        self.config = config;
        for address in self.peers.keys().copied().collect::<Vec<_>>() {
            self.judge_again(address);
        }
        self.decide_all();
    }

    /// Changes the policies of a neighbour: what it sent is judged again as it was received, and it is told the
    /// differences. Its session is not asked for anything (soft reset).
    pub fn set_policies(&mut self, address: IpAddr, policies: PeerPolicies) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        if peer.config.policies == policies {
            return;
        }
        peer.full_pass |= peer.config.policies.export != policies.export;
        let import_changed = peer.config.policies.import != policies.import;
        peer.config.policies = policies;
        if import_changed {
            let touched = self.judge_again(address);
            self.decide(touched);
        }
    }

    /// Judges everything a neighbour sent once more; which prefixes changed.
    fn judge_again(&mut self, address: IpAddr) -> Vec<IpNet> {
        let Some(peer) = self.peers.get_mut(&address) else { return Vec::new() };
        peer.counts = PeerCounts::default();
        let mut touched = Vec::new();
        for (prefix, destination) in &mut self.destinations {
            let of_peer = |path: &&mut Path| path.learned.is_some_and(|learned| learned.peer == address);
            let Some(path) = destination.paths.iter_mut().find(of_peer) else { continue };
            let judged = import::judge(&self.config, &peer.config, prefix, path, &mut self.interner);
            peer.counts.add(judged.refused);
            if judged != *path {
                let old = core::mem::replace(path, judged);
                self.interner.release_path(old);
                touched.push(*prefix);
            }
        }
        touched
    }

    /// A session came up: its neighbour gets every route it may have with the next [`Rib::flush`], then an End-of-RIB
    /// per family (RFC 4724 section 2).
    pub fn peer_up(&mut self, address: IpAddr, config: PeerConfig) {
        self.peer_down(address);
        self.peers.insert(address, Peer::new(config));
    }

    /// A session went down: what it sent is void, and what it was told too.
    pub fn peer_down(&mut self, address: IpAddr) {
        if self.peers.remove(&address).is_none() {
            return;
        }
        let mut touched = Vec::new();
        for (prefix, destination) in &mut self.destinations {
            if destination.remove(Some(address)).is_some() {
                touched.push(*prefix);
            }
        }
        self.decide(touched);
        self.interner.sweep();
    }

    /// Changes the groups of a neighbour; only differences will be sent.
    pub fn set_groups(&mut self, address: IpAddr, groups: &[String]) {
        if let Some(peer) = self.peers.get_mut(&address)
            && peer.config.groups != groups
        {
            peer.config.groups = groups.to_vec();
            peer.full_pass = true;
        }
    }

    /// Sends a family to a neighbour again (RFC 2918).
    pub fn refresh(&mut self, address: IpAddr, family: Family) {
        if let Some(peer) = self.peers.get_mut(&address) {
            peer.resend.push(family);
            peer.full_pass = true;
        }
    }

    /// Applies what a neighbour sent. A path it sends again replaces the one it sent before (RFC 4271 section 9.1.4).
    pub fn update(&mut self, address: IpAddr, update: &Update, now: Duration) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        let mut touched = Vec::new();
        for prefix in &update.withdrawn {
            let removed =
                self.destinations.get_mut(prefix).and_then(|destination| destination.remove(Some(address)));
            if let Some(path) = removed {
                peer.counts.remove(path.refused);
                self.interner.release_path(path);
                touched.push(*prefix);
            }
        }
        let attributes = self.interner.intern(update.attributes.clone());
        for announced in &update.announced {
            for prefix in &announced.prefixes {
                let received =
                    Received { attributes: attributes.clone(), next_hop: announced.next_hop.address };
                let path = Path {
                    learned: Some(peer.learned(address)),
                    attributes: attributes.clone(),
                    next_hop: Some(received.next_hop),
                    received: Some(received),
                    refused: None,
                    changed_at: now,
                };
                let path = import::judge(&self.config, &peer.config, prefix, &path, &mut self.interner);
                let destination = self.destinations.entry(*prefix).or_default();
                if let Some(replaced) = destination.put(path) {
                    peer.counts.replace(replaced.old.refused, replaced.new_refused);
                    if replaced.unchanged {
                        continue;
                    }
                    self.interner.release_path(replaced.old);
                } else {
                    peer.counts.add(destination.refusal_of(address));
                }
                touched.push(*prefix);
            }
        }
        self.interner.release(attributes);
        self.decide(touched);
    }

    /// Originates a path. Whether that changed anything.
    pub fn originate(&mut self, local: LocalPath, now: Duration) -> bool {
        let prefix = local.prefix;
        if self.locals.get(&prefix) == Some(&local) {
            return false;
        }
        let attributes = self.interner.intern(Attributes {
            origin: local.origin,
            local_pref: local.local_pref,
            med: local.med,
            communities: local.communities.clone(),
            ..Attributes::default()
        });
        let path = Path {
            learned: None,
            attributes,
            next_hop: None,
            received: None,
            refused: None,
            changed_at: now,
        };
        if let Some(replaced) = self.destinations.entry(prefix).or_default().put(path) {
            self.interner.release(replaced.old.attributes);
        }
        self.locals.insert(prefix, local);
        self.decide([prefix]);
        true
    }

    /// Withdraws an own path. Whether there was one.
    pub fn withdraw(&mut self, prefix: &IpNet) -> bool {
        if self.locals.remove(prefix).is_none() {
            return false;
        }
        if let Some(path) = self.destinations.get_mut(prefix).and_then(|destination| destination.remove(None))
        {
            self.interner.release(path.attributes);
        }
        self.decide([*prefix]);
        true
    }

    /// Tells how far a next hop is; `None` forgets it. All are equally far (0) unless told.
    pub fn set_igp_metric(&mut self, next_hop: IpAddr, metric: Option<u32>) {
        let old = match metric {
            Some(metric) => self.igp_metrics.insert(next_hop, metric),
            None => self.igp_metrics.remove(&next_hop),
        };
        if old != metric {
            self.decide_all();
        }
    }

    fn decide_all(&mut self) {
        let all: Vec<_> = self.destinations.keys().copied().collect();
        self.decide(all);
    }

    /// Runs the decision process for some prefixes and notes what follows from it.
    fn decide(&mut self, prefixes: impl IntoIterator<Item = IpNet>) {
        let rules = Rules { multipath: self.config.multipath, prefer_oldest: self.config.prefer_oldest };
        for prefix in prefixes {
            self.dirty.insert(prefix);
            let Some(destination) = self.destinations.get_mut(&prefix) else { continue };
            destination.decide(rules, &self.igp_metrics);
            let next = destination.feed_entry(prefix);
            if destination.published != next {
                let withdrawn = BestPath { prefix, next_hops: Vec::new(), internal: false };
                self.feed.push(next.clone().unwrap_or(withdrawn));
                destination.published = next;
            }
            if destination.paths.is_empty() {
                self.destinations.remove(&prefix);
            }
        }
    }

    /// Everything to send because of changes since the last call: differences only, packed.
    pub fn flush(&mut self) -> Vec<Outgoing> {
        let dirty = core::mem::take(&mut self.dirty);
        let mut outgoing = Vec::new();
        for (address, peer) in &mut self.peers {
            if let Some(out) = advertise::advertise(
                (*address, peer),
                &self.config,
                (&self.destinations, &self.locals),
                &dirty,
                &mut self.interner,
            ) {
                outgoing.push(out);
            }
        }
        outgoing
    }

    /// Changes for a route manager since the last call, in order.
    pub fn take_feed(&mut self) -> Vec<BestPath> {
        core::mem::take(&mut self.feed)
    }

    /// Every prefix with its paths, in order.
    pub fn destinations(&self) -> impl Iterator<Item = (&IpNet, &Destination)> {
        self.destinations.iter()
    }

    /// One prefix.
    #[must_use]
    pub fn destination(&self, prefix: &IpNet) -> Option<&Destination> {
        self.destinations.get(prefix)
    }

    /// The own paths, in order of prefix.
    pub fn locals(&self) -> impl Iterator<Item = &LocalPath> {
        self.locals.values()
    }

    /// What a neighbour was told (Adj-RIB-Out), in order of prefix; empty if its session is down.
    pub fn sent(&self, address: IpAddr) -> impl Iterator<Item = (&IpNet, &Route)> {
        self.peers.get(&address).into_iter().flat_map(|peer| &peer.sent)
    }

    /// How many prefixes a neighbour announces, and how many were announced to it.
    #[must_use]
    pub fn counts(&self, address: IpAddr) -> (PeerCounts, u64) {
        self.peers.get(&address).map(|peer| (peer.counts.clone(), peer.sent.len() as u64)).unwrap_or_default()
    }
}
