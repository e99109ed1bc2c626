//! Every table of a speaker, with one owner: what neighbours sent, what is best, what each neighbour was told.
//!
//! Decides by RFC 4271 section 9 and the import and export rules. Must never know connections or time-outs.

mod answers;
mod arena;
mod choice;
mod compare;
mod decision;
mod encode;
mod export;
pub mod feed;
mod group;
mod hops;
mod import;
mod index;
mod intake;
mod kept;
mod key;
mod lag;
mod otc;
mod peer;
#[cfg(test)]
mod proptests;
mod refresh;
mod rewrite;
mod sets;
mod spread;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod track;
mod view;

use core::net::{IpAddr, Ipv4Addr};
use std::collections::{BTreeMap, HashMap};

use ipnet::IpNet;

pub use self::export::Route;
pub use self::import::Refusal;
pub use self::peer::{PeerConfig, PeerCounts};
pub use self::spread::Outgoing;
pub use self::track::{HopChanges, HopState};
pub use self::view::{Cursor, Destination, Learned, Path};

use self::export::Memo;
use self::feed::Feed;
use self::group::{Column, Group, GroupKey};
use self::hops::Hops;
use self::key::TABLES;
use self::lag::{HIGH_WATER, Progress, UNKNOWN};
use self::peer::{Peer, Peers, Tally};
use self::sets::{SetId, Sets};
use self::summary::Own;
use self::table::{DestId, PeerId, Table};
use crate::config::{DecisionRules, LocalPath, PeerPolicies, TransitPolicy};
use crate::wire::update::Scratch;

/// What holds for all neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RibConfig {
    /// Our AS number.
    pub asn: u32,
    /// Our router id.
    pub router_id: Ipv4Addr,
    /// Our cluster as a route reflector (RFC 4456 section 7); the router id unless given.
    pub cluster_id: Option<Ipv4Addr>,
    /// How paths are compared and how many are used.
    pub decision: DecisionRules,
    /// A path counts only while a tracker says that its next hop can be reached ([`Rib::answer_next_hops`]).
    pub track_next_hops: bool,
    /// A path with an AS_SET is refused (RFC 9774).
    pub reject_as_sets: bool,
    /// What of others' routes is exported.
    pub transit: TransitPolicy,
}

impl RibConfig {
    /// An identity with the defaults of a node speaker: one path, no transit.
    #[must_use]
    pub fn new(asn: u32, router_id: Ipv4Addr) -> Self {
        Self {
            asn,
            router_id,
            cluster_id: None,
            decision: DecisionRules::default(),
            track_next_hops: false,
            reject_as_sets: false,
            transit: TransitPolicy::default(),
        }
    }

    fn cluster(&self) -> Ipv4Addr {
        self.cluster_id.unwrap_or(self.router_id)
    }

    fn own(&self) -> Own {
        Own { asn: self.asn, router_id: self.router_id, cluster_id: self.cluster() }
    }
}

/// The tables.
#[derive(Debug)]
pub struct Rib {
    config: RibConfig,
    sets: Sets,
    hops: Hops,
    tables: [Table; TABLES],
    locals: BTreeMap<IpNet, LocalPath>,
    /// What neighbours sent where an import policy changed it.
    received: HashMap<intake::PathKey, SetId>,
    peers: Peers,
    groups: Vec<Option<Group>>,
    /// Some group is told more than the best path: any change of a path may concern it.
    several: bool,
    memo: Memo,
    feed: Feed,
    /// Somebody reads the feed.
    fed: bool,
    /// To go out before anything else.
    urgent: Vec<Outgoing>,
    /// A neighbour may have to be told something though no route changed.
    restless: bool,
    scratch: Scratch,
    /// Octets that may be under way to a neighbour before it counts as slow.
    high_water: usize,
}

impl Rib {
    /// Empty tables. `seed` keeps outsiders from choosing prefixes and attributes that collide.
    #[must_use]
    pub fn new(config: RibConfig, seed: u64) -> Self {
        Self {
            sets: Sets::new(config.own(), seed),
            hops: Hops::new(config.track_next_hops),
            tables: core::array::from_fn(|table| Table::new(table, seed)),
            locals: BTreeMap::new(),
            received: HashMap::new(),
            peers: Peers::default(),
            groups: Vec::new(),
            several: false,
            memo: Memo::default(),
            feed: Feed::default(),
            fed: true,
            urgent: Vec::new(),
            restless: false,
            scratch: Scratch::default(),
            high_water: HIGH_WATER,
            config,
        }
    }

    /// Takes over changed rules and judges every route by them again; no session has to send anything anew.
    pub fn configure(&mut self, config: RibConfig) {
        if self.config == config {
            return;
        }
        self.sets.set_own(config.own());
        self.hops.track(config.track_next_hops);
        self.config = config;
        for set in self.memo.clear() {
            self.sets.release(set);
        }
        for group in self.groups.iter_mut().flatten() {
            group.full_pass = true;
            for set in group.judged.clear() {
                self.sets.release(set);
            }
        }
        for id in self.peers.ids() {
            self.judge_again(id);
        }
        self.decide_all();
    }

    /// Changes the policies of a neighbour: what it sent is judged again as it was received, and it is told the
    /// differences. Its session is not asked for anything (soft reset).
    pub fn set_policies(&mut self, address: IpAddr, policies: PeerPolicies) {
        let Some(peer) = self.peers.find(address).and_then(|id| self.peers.get_mut(id)) else { return };
        let id = peer.id;
        let import_changed = peer.config.policies.import != policies.import;
        let export_changed = peer.config.policies.export != policies.export;
        if import_changed {
            peer.config.policies.import = policies.import.clone();
            for set in peer.judged.clear() {
                self.sets.release(set);
            }
        }
        if export_changed {
            let config = PeerConfig { policies, ..peer.config.clone() };
            self.regroup(id, config);
        }
        if import_changed {
            self.judge_again(id);
        }
    }

    /// A session came up: its neighbour gets every route it may have with the next [`Rib::flush`], then an End-of-RIB
    /// per family (RFC 4724 section 2). False if there are too many sessions to number.
    pub fn peer_up(&mut self, address: IpAddr, config: PeerConfig) -> bool {
        self.peer_down(address);
        let group = self.group_for(GroupKey::of(&config, address));
        let id = self.peers.add(address, |id| Peer {
            id,
            address,
            tally: Tally::default(),
            backlog_high: 0,
            judged: answers::Answers::default(),
            group,
            progress: Progress::Joining(Vec::new()),
            backlog: 0,
            owes_end_of_rib: config.update.families.clone(),
            owes_end_of_refresh: Vec::new(),
            asked_early: Vec::new(),
            config,
        });
        match id {
            Some(id) => self.join(group, id),
            None => self.dissolve_if_empty(group),
        }
        id.is_some()
    }

    /// A session went down: what it sent is void, and what it was told too.
    pub fn peer_down(&mut self, address: IpAddr) {
        let Some(mut peer) = self.peers.remove(address) else { return };
        for set in peer.judged.clear() {
            self.sets.release(set);
        }
        self.urgent.retain(|outgoing| outgoing.peer != address);
        for table in 0..TABLES {
            self.remove_where(table, |path| path.peer == peer.id);
        }
        self.wait_no_more(&peer.progress);
        self.leave(peer.group, peer.id);
    }

    /// A prefix may have been kept only so that a neighbour which was that far would hear of its end.
    fn wait_no_more(&mut self, progress: &Progress) {
        if matches!(progress, Progress::Level) {
            return;
        }
        for (at, table) in self.tables.iter_mut().enumerate() {
            for dest in table.all() {
                if table.count(dest) == 0 && progress.waits_for(at, dest) {
                    table.touch(dest, false);
                }
            }
        }
    }

    fn group_for(&mut self, key: GroupKey) -> usize {
        let same = |group: &Option<Group>| group.as_ref().is_some_and(|group| group.key == key);
        if let Some(at) = self.groups.iter().position(same) {
            return at;
        }
        let group = Group::new(key);
        self.several |= group.tells_several();
        let group = Some(group);
        match self.groups.iter().position(Option::is_none) {
            Some(at) => {
                self.groups[at] = group;
                at
            }
            None => {
                self.groups.push(group);
                self.groups.len() - 1
            }
        }
    }

    fn join(&mut self, at: usize, member: PeerId) {
        let Some(group) = &mut self.groups[at] else { return };
        group.members.push(member);
        // What came from a sole member was kept from the group as a whole so far.
        group.full_pass |= group.members.len() <= 2;
        self.restless = true;
    }

    fn leave(&mut self, at: usize, member: PeerId) {
        if let Some(group) = &mut self.groups[at] {
            group.members.retain(|other| *other != member);
        }
        self.dissolve_if_empty(at);
        self.restless = true;
    }

    fn dissolve_if_empty(&mut self, at: usize) {
        let empty = self.groups[at].as_ref().is_some_and(|group| group.members.is_empty());
        if let Some(mut group) = self.groups[at].take_if(|_| empty) {
            let judged = group.judged.clear();
            for set in group.held().chain(judged) {
                self.sets.release(set);
            }
            self.several = self.groups.iter().flatten().any(Group::tells_several);
        }
    }

    /// Changes the groups of a neighbour; only differences will be sent.
    pub fn set_groups(&mut self, address: IpAddr, groups: &[String]) {
        let Some(peer) = self.peers.by_address(address) else { return };
        if peer.config.groups == groups {
            return;
        }
        let config = PeerConfig { groups: groups.to_vec(), ..peer.config.clone() };
        self.regroup(peer.id, config);
    }

    /// Makes a neighbour a route reflector client or no longer one: what it is told changes, and what others are told of
    /// its routes (RFC 4456 section 6). Only differences will be sent.
    pub fn set_reflector_client(&mut self, address: IpAddr, reflector_client: bool) {
        let Some(peer) = self.peers.by_address(address) else { return };
        if peer.config.reflector_client == reflector_client {
            return;
        }
        let config = PeerConfig { reflector_client, ..peer.config.clone() };
        self.regroup(peer.id, config);
        for group in self.groups.iter_mut().flatten() {
            group.full_pass = true;
        }
    }

    /// Demands of a neighbour that its paths begin with its AS, or no longer: what it sent is judged again as it was received.
    pub fn set_enforce_first_as(&mut self, address: IpAddr, enforce: bool) {
        let Some(peer) = self.peers.find(address).and_then(|id| self.peers.get_mut(id)) else { return };
        if core::mem::replace(&mut peer.config.enforce_first_as, enforce) != enforce {
            let id = peer.id;
            self.judge_again(id);
        }
    }

    /// Tells a neighbour at most so many routes of each family from now on. Only differences will be sent.
    pub fn set_export_limit(&mut self, address: IpAddr, export_limit: Option<u32>) {
        let Some(peer) = self.peers.by_address(address) else { return };
        if peer.config.export_limit != export_limit {
            let config = PeerConfig { export_limit, ..peer.config.clone() };
            self.regroup(peer.id, config);
        }
    }

    /// Moves a neighbour to the group of a changed configuration.
    fn regroup(&mut self, id: PeerId, config: PeerConfig) {
        let Some((old, address)) = self.peers.get(id).map(|peer| (peer.group, peer.address)) else { return };
        let key = GroupKey::of(&config, address);
        if key.limit.is_some() && self.rekey(old, &key) {
            if let Some(peer) = self.peers.get_mut(id) {
                peer.config = config;
            }
            return;
        }
        let before = self.told_before(id);
        let new = self.group_for(key);
        if let Some(peer) = self.peers.get_mut(id) {
            (peer.config, peer.group) = (config, new);
            let progress = core::mem::replace(&mut peer.progress, Progress::Joining(before));
            self.wait_no_more(&progress);
        }
        self.join(new, id);
        self.leave(old, id);
    }

    /// A neighbour with a limit has its group for itself, and which routes it is told depends on those that it was told: it
    /// keeps the group. False if the group is another one.
    fn rekey(&mut self, at: usize, key: &GroupKey) -> bool {
        let limited = |group: &&mut Group| group.key.limit.is_some();
        let Some(group) = self.groups[at].as_mut().filter(limited) else { return false };
        group.key = key.clone();
        group.full_pass = true;
        for set in group.judged.clear() {
            self.sets.release(set);
        }
        true
    }

    /// What a neighbour was told, by column and row. Its next group has the same columns: how many paths it is told is a
    /// matter of its session.
    fn told_before(&self, id: PeerId) -> Vec<Vec<SetId>> {
        let Some(peer) = self.peers.get(id) else { return Vec::new() };
        let Some(group) = self.groups.get(peer.group).and_then(Option::as_ref) else { return Vec::new() };
        let column_before = |column: Column| {
            let told = |dest: DestId| match &peer.progress {
                Progress::Level => group.out(column).get(dest).to(id),
                Progress::Joining(before) => {
                    let before = before.get(column.at()).and_then(|before| before.get(dest.at()));
                    before.copied().unwrap_or_default()
                }
                Progress::Behind(lag) if !lag.owes(column, dest) => group.out(column).get(dest).to(id),
                Progress::Behind(lag) if lag.was_told(column, dest) => UNKNOWN,
                Progress::Behind(_) => SetId::NONE,
            };
            self.tables[column.table()].all().map(told).collect()
        };
        group.columns().map(column_before).collect()
    }

    /// Tells how far a next hop is; `None` forgets it. All others are as far as a tracker says, or equally far (0). One
    /// that a tracker cannot reach cannot be used, whatever is told here.
    pub fn set_igp_metric(&mut self, next_hop: IpAddr, metric: Option<u32>) {
        let changed = self.hops.set(next_hop, metric);
        self.decide_over(&changed);
    }

    /// A next hop tracker takes up its work: with [`RibConfig::track_next_hops`] the next [`Rib::take_hop_changes`] names
    /// everything in use. Or it has gone away: its last answers stay in force.
    pub fn attend_next_hops(&mut self, there: bool) {
        self.hops.attend(there);
    }

    /// What the tracker has to begin or end watching since the last call.
    pub fn take_hop_changes(&mut self) -> HopChanges {
        self.hops.take_changes()
    }

    /// Takes over what the tracker says: how far each of these is, or `None` if nothing leads there.
    pub fn answer_next_hops(&mut self, answers: &[(IpAddr, Option<u32>)]) {
        let changed = self.hops.answer(answers);
        self.decide_over(&changed);
    }

    /// Whether the tracker has still to say something about a next hop for the first time.
    #[must_use]
    pub fn awaits_next_hops(&self) -> bool {
        self.hops.awaits()
    }

    /// What is known of a next hop; `None` if no route has it.
    #[must_use]
    pub fn next_hop(&self, address: IpAddr) -> Option<HopState> {
        self.hops.known(address)
    }

    /// Every next hop of a route and what is known of it, in order of address.
    pub fn next_hops(&self) -> impl Iterator<Item = (IpAddr, HopState)> {
        self.hops.states()
    }

    /// The own paths, in order of prefix.
    pub fn locals(&self) -> impl Iterator<Item = &LocalPath> {
        self.locals.values()
    }

    /// How many prefixes a neighbour announces, and how many routes it was told.
    #[must_use]
    pub fn counts(&self, address: IpAddr) -> (PeerCounts, u64) {
        let Some(peer) = self.peers.by_address(address) else { return Default::default() };
        let group = self.groups.get(peer.group).and_then(Option::as_ref);
        let told = group.map_or(0, |group| group.told_to(peer.id));
        (peer.tally.counts(), told)
    }

    /// Prefixes known, and sets of attributes behind them.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.tables.iter().map(Table::len).sum(), self.sets.len())
    }
}
