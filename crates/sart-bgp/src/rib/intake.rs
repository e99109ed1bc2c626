//! Takes in what neighbours send and what we originate, and lets the decision process run on each prefix touched. Must
//! never send.

use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;

use super::Rib;
use super::choice::Choice;
use super::hops::{ChangedHops, HopId};
use super::import::{self, Refusal};
use super::key::{Key, TABLES};
use super::sets::SetId;
use super::table::{DestId, Path, PeerId};
use crate::config::LocalPath;
use crate::family::Family;
use crate::wire::attr::{Attributes, NextHop};
use crate::wire::fault::Fault;
use crate::wire::nlri::Nlri;
use crate::wire::update::UpdateView;

/// The time as paths keep it: sixteenths of a second, good for eight years.
pub(super) const fn ticks(now: Duration) -> u32 {
    (now.as_millis() * 16 / 1000) as u32
}

/// What the prefixes announced together have in common.
#[derive(Clone, Copy)]
struct Common {
    peer: PeerId,
    set: SetId,
    time: u32,
    refused: Option<Refusal>,
    /// The import chain takes everything unchanged.
    open: bool,
}

/// A path from whom, for what prefix, and which of several.
pub(super) type PathKey = (u8, DestId, PeerId, u32);

impl Rib {
    /// Applies the body of an UPDATE that a neighbour sent; says whether it was an End-of-RIB marker.
    ///
    /// # Errors
    /// If the body cannot be read. The session has read it before, so that it ends there.
    pub fn receive(&mut self, address: IpAddr, body: &[u8], now: Duration) -> Result<Option<Family>, Fault> {
        let Some(peer) = self.peers.by_address(address) else { return Ok(None) };
        let mut scratch = core::mem::take(&mut self.scratch);
        let parsed = UpdateView::parse(body, &peer.config.update, &mut scratch);
        let end_of_rib = parsed.map(|view| {
            self.apply(address, &view, now);
            view.end_of_rib()
        });
        self.scratch = scratch;
        end_of_rib
    }

    /// Applies what a neighbour sent. A path it sends again replaces the one it sent before (RFC 4271 section 9.1.4).
    pub fn apply(&mut self, address: IpAddr, view: &UpdateView<'_>, now: Duration) {
        let Some(id) = self.peers.find(address) else { return };
        for part in view.withdrawals() {
            each(&part, |key, path_id| self.withdraw_one(id, key, path_id));
        }
        for part in view.announcements() {
            let set = self.hold(view.attributes().bytes(), part.next_hop);
            if let Some(common) = self.common((id, set), part.nlri.family(), part.next_hop, now) {
                each(&part.nlri, |key, path_id| self.announce_one(&common, key, path_id));
            }
            self.sets.release(set);
        }
    }

    /// [`Rib::apply`] for a message in words.
    #[cfg(test)]
    pub(crate) fn update(&mut self, address: IpAddr, update: &crate::wire::update::Update, now: Duration) {
        let Some(id) = self.peers.find(address) else { return };
        for prefix in &update.withdrawn {
            self.withdraw_one(id, Key::of(prefix), 0);
        }
        let mut canonical = Vec::new();
        update.attributes.encode(&mut canonical).unwrap();
        for part in &update.announced {
            let set = self.hold(&canonical, part.next_hop);
            for prefix in &part.prefixes {
                let family = Family::of_prefix(prefix);
                let common = self.common((id, set), family, part.next_hop, now).unwrap();
                self.announce_one(&common, Key::of(prefix), 0);
            }
            self.sets.release(set);
        }
    }

    fn hold(&mut self, canonical: &[u8], next_hop: NextHop) -> SetId {
        let hop = self.hops.hold(next_hop);
        let set = self.sets.hold(canonical, hop, &mut self.hops);
        self.hops.release(hop);
        set
    }

    fn common(
        &self,
        (peer, set): (PeerId, SetId),
        family: Family,
        next_hop: NextHop,
        now: Duration,
    ) -> Option<Common> {
        let config = &self.peers.get(peer)?.config;
        let hops = (Some(next_hop.address), config.next_hops.next_hop(family));
        let refused = import::judge_set(&self.config, config, self.sets.facts(set), hops);
        Some(Common { peer, set, time: ticks(now), refused, open: config.policies.import.trivial() })
    }

    /// What the import chain makes of a set for one prefix: the set to use, and why it may not be used.
    fn judged(&mut self, common: &Common, key: Key) -> (SetId, u8) {
        if let Some(refusal) = common.refused {
            return (common.set, refusal.code());
        }
        let Some(peer) = self.peers.get_mut(common.peer).filter(|_| !common.open) else {
            return (common.set, 0);
        };
        let signature = peer.config.policies.import.signature(&key.prefix());
        let answer = match peer.judged.get(common.set, &signature) {
            Some(known) => known,
            None => {
                let shared = (&mut self.sets, &mut self.hops);
                let answer = import::apply_chain(peer, signature, common.set, shared);
                if let Some(forgotten) = peer.judged.put(common.set, signature, answer) {
                    self.sets.release(forgotten);
                }
                answer
            }
        };
        if answer.refused > 0 { (common.set, answer.refused) } else { (answer.set, 0) }
    }

    fn announce_one(&mut self, common: &Common, key: Key, id: u32) {
        let at = key.table();
        let (set, refused) = self.judged(common, key);
        let replaced = set != common.set;
        let flags = if replaced { Path::REPLACED } else { 0 };
        let path = Path { set, time: common.time, id, peer: common.peer, refused, flags };
        let table = &mut self.tables[at];
        let dest = table.find_or_add(key);
        let before = table.best(dest).copied();
        match table.position(dest, path.peer, id) {
            Some(index) => {
                let old = table.path_mut(dest, index);
                if (old.set, old.refused, old.has(Path::REPLACED)) == (set, refused, false) && !replaced {
                    old.flags &= !Path::STALE;
                    return;
                }
                let unchanged = (old.set, old.refused) == (set, refused);
                let time = if unchanged { old.time } else { path.time };
                let old = core::mem::replace(old, Path { time, ..path });
                self.tally(path.peer, at, Some(old.refused), Some(refused));
                self.drop_path((at as u8, dest, path.peer, id), old);
            }
            None if table.push(dest, path) => self.tally(path.peer, at, None, Some(refused)),
            None => return,
        }
        self.sets.hold_again(set);
        if replaced {
            self.sets.hold_again(common.set);
            self.received.insert((at as u8, dest, path.peer, id), common.set);
        }
        self.decide(at, dest, before);
    }

    /// Gives back what a path held.
    fn drop_path(&mut self, key: PathKey, path: Path) {
        self.sets.release(path.set);
        if path.has(Path::REPLACED)
            && let Some(received) = self.received.remove(&key)
        {
            self.sets.release(received);
        }
    }

    /// Judges everything a neighbour sent once more, as it was received.
    pub(super) fn judge_again(&mut self, peer: PeerId) {
        let Some(config) = self.peers.get_mut(peer).map(|peer| peer.config.clone()) else { return };
        for at in 0..TABLES {
            for dest in self.tables[at].all() {
                for index in 0..self.tables[at].count(dest) {
                    let path = self.tables[at].path(dest, index);
                    if path.peer == peer {
                        self.judge_path((at, dest), index, &config);
                    }
                }
            }
        }
    }

    fn judge_path(&mut self, (at, dest): (usize, DestId), index: usize, config: &super::PeerConfig) {
        let path = self.tables[at].path(dest, index);
        let key = (at as u8, dest, path.peer, path.id);
        let received = self.received.get(&key).copied().unwrap_or(path.set);
        let facts = self.sets.facts(received);
        let hop = self.hops.get(facts.0.hop).map(|hop| hop.address);
        let hops = (hop, config.next_hops.next_hop(Family::SUPPORTED[at]));
        let refused = import::judge_set(&self.config, config, facts, hops);
        let open = config.policies.import.trivial();
        let common = Common { peer: path.peer, set: received, time: path.time, refused, open };
        let (set, refused) = self.judged(&common, self.tables[at].key(dest));
        if (set, refused) == (path.set, path.refused) {
            return;
        }
        self.sets.hold_again(set);
        self.sets.hold_again(received);
        self.drop_path(key, path);
        let before = self.tables[at].best(dest).copied();
        let place = self.tables[at].path_mut(dest, index);
        (place.set, place.refused) = (set, refused);
        place.flags &= !Path::REPLACED;
        if set == received {
            self.sets.release(received);
        } else {
            place.flags |= Path::REPLACED;
            self.received.insert(key, received);
        }
        self.tally(path.peer, at, Some(path.refused), Some(refused));
        self.decide(at, dest, before);
    }

    fn withdraw_one(&mut self, peer: PeerId, key: Key, id: u32) {
        let table = &mut self.tables[key.table()];
        let Some(dest) = table.find(key) else { return };
        let Some(index) = table.position(dest, peer, id) else { return };
        self.remove_at(key.table(), dest, index);
    }

    fn remove_at(&mut self, at: usize, dest: DestId, index: usize) {
        let before = self.tables[at].best(dest).copied();
        self.take_out(at, dest, index);
        self.decide(at, dest, before);
    }

    fn take_out(&mut self, at: usize, dest: DestId, index: usize) {
        let path = self.tables[at].take(dest, index);
        self.drop_path((at as u8, dest, path.peer, path.id), path);
        self.tally(path.peer, at, Some(path.refused), None);
    }

    fn tally(&mut self, peer: PeerId, table: usize, old: Option<u8>, new: Option<u8>) {
        // Neither our own paths nor those of a neighbour that is just gone are counted.
        let Some(peer) = self.peers.get_mut(peer) else { return };
        if let Some(old) = old {
            peer.tally.remove(table, old);
        }
        if let Some(new) = new {
            peer.tally.add(table, new);
        }
    }

    /// Removes every path of a table that `gone` names.
    pub(super) fn remove_where(&mut self, at: usize, gone: impl Fn(&Path) -> bool) {
        for dest in self.tables[at].all() {
            if !self.tables[at].paths(dest).any(&gone) {
                continue;
            }
            let before = self.tables[at].best(dest).copied();
            for index in (0..self.tables[at].count(dest)).rev() {
                if gone(&self.tables[at].path(dest, index)) {
                    self.take_out(at, dest, index);
                }
            }
            self.decide(at, dest, before);
        }
    }

    /// Originates a path. Whether that changed anything.
    pub fn originate(&mut self, local: LocalPath, now: Duration) -> bool {
        let prefix = local.prefix;
        if self.locals.get(&prefix) == Some(&local) {
            return false;
        }
        let attributes = Attributes {
            origin: local.origin,
            local_pref: local.local_pref,
            med: local.med,
            communities: local.communities.clone(),
            ..Attributes::default()
        };
        // One that fits no message could be told to nobody.
        let held = self.sets.hold_attributes(&attributes, HopId::NONE, &mut self.hops);
        let Some(set) = held else { return self.withdraw(&prefix) };
        let flags = if local.groups.is_empty() { 0 } else { Path::GROUPED };
        let path = Path { set, time: ticks(now), id: 0, peer: PeerId::OWN, refused: 0, flags };
        let key = Key::of(&prefix);
        let table = &mut self.tables[key.table()];
        let dest = table.find_or_add(key);
        let before = table.best(dest).copied();
        match table.position(dest, PeerId::OWN, 0) {
            Some(index) => {
                let old = core::mem::replace(table.path_mut(dest, index), path);
                self.sets.release(old.set);
            }
            None if table.push(dest, path) => {}
            None => self.sets.release(set),
        }
        self.locals.insert(prefix, local);
        self.decide(key.table(), dest, before);
        // The groups of an own path are not part of the path.
        self.tables[key.table()].touch(dest, true);
        true
    }

    /// Withdraws an own path. Whether there was one.
    pub fn withdraw(&mut self, prefix: &IpNet) -> bool {
        if self.locals.remove(prefix).is_none() {
            return false;
        }
        let key = Key::of(prefix);
        if let Some(dest) = self.tables[key.table()].find(key)
            && let Some(index) = self.tables[key.table()].position(dest, PeerId::OWN, 0)
        {
            self.remove_at(key.table(), dest, index);
            self.tables[key.table()].touch(dest, true);
        }
        true
    }

    /// Runs the decision process for one prefix, whose best path was `before`, and notes who may have to hear of it.
    pub(super) fn decide(&mut self, at: usize, dest: DestId, before: Option<Path>) {
        let choice =
            Choice { rules: &self.config.decision, sets: &self.sets, hops: &self.hops, peers: &self.peers };
        let table = &mut self.tables[at];
        let best = choice.best(table, dest);
        table.choose(dest, best);
        let same = |one: Path, other: &Path| (one.set, one.peer, one.id) == (other.set, other.peer, other.id);
        let unchanged = match (before, table.best(dest)) {
            (Some(before), Some(best)) => same(before, best),
            (None, None) => table.count(dest) > 0,
            _ => false,
        };
        if !unchanged {
            table.touch(dest, self.fed);
            return;
        }
        if self.several {
            table.touch(dest, false);
        }
        if self.fed && self.config.decision.multipath {
            table.touch_feed(dest);
        }
    }

    /// Runs the decision process for every prefix.
    pub(super) fn decide_all(&mut self) {
        for at in 0..TABLES {
            for dest in self.tables[at].all() {
                let before = self.tables[at].best(dest).copied();
                if self.tables[at].count(dest) > 0 {
                    self.decide(at, dest, before);
                    if self.fed {
                        self.tables[at].touch_feed(dest);
                    }
                }
            }
        }
    }

    /// Runs the decision process for every prefix with a path over one of these next hops.
    pub(super) fn decide_over(&mut self, hops: &ChangedHops) {
        if hops.is_empty() {
            return;
        }
        for at in 0..TABLES {
            for dest in self.tables[at].all() {
                let concerned =
                    self.tables[at].paths(dest).any(|path| hops.holds(self.sets.summary(path.set).hop));
                if concerned {
                    let before = self.tables[at].best(dest).copied();
                    self.decide(at, dest, before);
                    if self.fed {
                        self.tables[at].touch_feed(dest);
                    }
                }
            }
        }
    }
}

/// Every prefix of a part, with its path identifier.
fn each(part: &Nlri<'_>, mut take: impl FnMut(Key, u32)) {
    for route in part.v4() {
        take(Key::V4 { bits: route.bits, len: route.len }, route.path_id);
    }
    for route in part.v6() {
        take(Key::V6 { bits: route.bits, len: route.len }, route.path_id);
    }
}
