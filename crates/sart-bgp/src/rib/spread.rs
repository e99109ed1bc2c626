//! Brings every neighbour up to date: compares what groups should have with what they were told, and packs only the
//! difference. Must never announce and withdraw one prefix in one pass, or send a prefix alone while others wait.

use core::net::IpAddr;

use bytes::Bytes;

use super::Rib;
use super::compare::{Comparison, Shift};
use super::encode::Packer;
use super::export::Exporter;
use super::group::{Column, Group, Sent};
use super::key::TABLES;
use super::lag::{Lag, Progress};
use super::sets::SetId;
use super::table::{DestId, PeerId};
use crate::family::Family;

/// Messages for one neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The neighbour.
    pub peer: IpAddr,
    /// Whole messages; shared with other neighbours that are told the same.
    pub bytes: Bytes,
    /// How many of them are UPDATEs.
    pub messages: u64,
}

/// About this many octets are handed out at a time.
const CHUNK: usize = 256 << 10;
/// Prefixes that a neighbour which is behind catches up on at a time.
const SLICE: usize = 16 << 10;

/// A route for all members that are level, but one: [`PeerId::OWN`] excepts nobody. Ordered so that withdrawals come
/// first and equal sets together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    announces: bool,
    except: PeerId,
    set: SetId,
    dest: DestId,
    old: Sent,
}

/// Messages for the members that are level, with what they say.
struct Part {
    changes: core::ops::Range<usize>,
    except: PeerId,
    bytes: Bytes,
    messages: u64,
}

impl Rib {
    /// Everything to send because of changes since the last call: differences only, packed. A neighbour whose backlog is
    /// high gets no more than that; call again after [`Rib::sent_to`].
    pub fn flush(&mut self) -> Vec<Outgoing> {
        self.collect_feed();
        let mut outbox = core::mem::take(&mut self.urgent);
        for table in 0..TABLES {
            self.spread(table, &mut outbox);
        }
        for group in self.groups.iter_mut().flatten() {
            group.full_pass = false;
        }
        self.admit();
        for id in self.peers.ids() {
            self.catch_up(id, &mut outbox);
        }
        self.tidy();
        outbox
    }

    /// Whether [`Rib::flush`] may have something to say.
    #[must_use]
    pub fn wants_flush(&self) -> bool {
        self.restless
            || !self.urgent.is_empty()
            || self.tables.iter().any(super::table::Table::is_dirty)
            || self.groups.iter().flatten().any(|group| group.full_pass)
    }

    /// So many octets of what was handed out for a neighbour have left.
    pub fn sent_to(&mut self, address: IpAddr, octets: usize) {
        if let Some(peer) = self.peers.find(address).and_then(|id| self.peers.get_mut(id)) {
            peer.backlog = peer.backlog.saturating_sub(octets);
            self.restless |= matches!(peer.progress, Progress::Behind(_));
        }
    }

    fn spread(&mut self, table: usize, outbox: &mut Vec<Outgoing>) {
        let dirty = self.tables[table].take_dirty();
        for at in 0..self.groups.len() {
            let Some(mut group) = self.groups[at].take() else { continue };
            for (column, shifts) in self.shifts(&mut group, table, &dirty) {
                let level = self.levels(&group, column, &shifts);
                self.deliver((&group, &level), column, &shifts, outbox);
            }
            self.groups[at] = Some(group);
        }
        self.forget_empty(table, dirty);
    }

    /// What changed for a group, in the order to tell it; its Adj-RIB-Out is up to date from now on.
    fn shifts(&mut self, group: &mut Group, at: usize, dirty: &[DestId]) -> Vec<(Column, Vec<Shift>)> {
        let (table, family) = (&self.tables[at], Family::SUPPORTED[at]);
        let exporter = Exporter {
            config: &self.config,
            locals: &self.locals,
            peers: &self.peers,
            sets: &mut self.sets,
            hops: &mut self.hops,
            memo: &mut self.memo,
            scratch: Vec::new(),
        };
        let columns = group.columns_of(at).map(|column| (column, Vec::new())).collect();
        let full = group.full_pass;
        let comparison = Comparison { exporter, group, table, family, at, columns };
        if full { comparison.run(table.all()) } else { comparison.run(dirty.iter().copied()) }
    }

    /// The members that are told with the group. Slow ones fall behind here; those behind note what they are owed.
    fn levels(&mut self, group: &Group, column: Column, shifts: &[Shift]) -> Vec<PeerId> {
        let mut level = Vec::new();
        for member in &group.members {
            let Some(peer) = self.peers.get_mut(*member) else { continue };
            if matches!(peer.progress, Progress::Level) && peer.backlog > self.high_water {
                peer.progress = Progress::Behind(Lag::default());
            }
            match &mut peer.progress {
                Progress::Level => level.push(*member),
                Progress::Joining(_) => {}
                Progress::Behind(lag) => {
                    for shift in shifts {
                        let was = shift.old.to(*member);
                        if shift.new.to(*member) != was {
                            lag.owe(column, shift.dest, was.is_some());
                        }
                    }
                }
            }
        }
        level
    }

    /// Tells the level members.
    fn deliver(
        &mut self,
        (group, level): (&Group, &[PeerId]),
        column: Column,
        shifts: &[Shift],
        outbox: &mut Vec<Outgoing>,
    ) {
        if level.is_empty() {
            return;
        }
        let (mut all, mut only) = sort_out(shifts, level);
        all.sort_unstable();
        only.sort_unstable();
        let parts = self.pack(group, column, &all);
        let shared = (&self.sets, &self.hops);
        let mut packer = Packer::new(shared, group, column, &self.tables[column.table()]);
        let mut private = Vec::new();
        for run in only.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            packer.put(run[0].1, run.iter().map(|(_, _, dest)| *dest));
            private.push((run[0].0, packer.take()));
        }
        for (member, (bytes, messages)) in private {
            self.emit(member, (bytes.into(), messages), outbox);
        }
        for part in parts {
            for member in level.iter().filter(|member| **member != part.except) {
                if self.has_room(*member) {
                    self.emit(*member, (part.bytes.clone(), part.messages), outbox);
                } else {
                    self.fall_behind(*member, column, &all[part.changes.clone()]);
                }
            }
        }
    }

    /// Writes the messages for the level members.
    fn pack(&self, group: &Group, column: Column, all: &[Change]) -> Vec<Part> {
        let shared = (&self.sets, &self.hops);
        let mut packer = Packer::new(shared, group, column, &self.tables[column.table()]);
        let mut parts = Vec::new();
        let (mut start, mut end) = (0, 0);
        for run in all.chunk_by(|one, other| (one.set, one.except) == (other.set, other.except)) {
            packer.put(run[0].set, run.iter().map(|change| change.dest));
            end += run.len();
            let ends = all.get(end).is_none_or(|next| next.except != run[0].except);
            if ends || packer.bytes.len() >= CHUNK {
                let (bytes, messages) = packer.take();
                let bytes = bytes.into();
                parts.push(Part { changes: start..end, except: run[0].except, bytes, messages });
                start = end;
            }
        }
        parts
    }

    /// Whether a level member may be handed more in this pass.
    fn has_room(&self, member: PeerId) -> bool {
        let room = |peer: &super::peer::Peer| {
            matches!(peer.progress, Progress::Level) && peer.backlog < 2 * self.high_water
        };
        self.peers.get(member).is_some_and(room)
    }

    /// A member owes its neighbour these changes from now on; it was told what stood before.
    fn fall_behind(&mut self, member: PeerId, column: Column, changes: &[Change]) {
        let Some(peer) = self.peers.get_mut(member) else { return };
        if matches!(peer.progress, Progress::Level) {
            peer.progress = Progress::Behind(Lag::default());
        }
        if let Progress::Behind(lag) = &mut peer.progress {
            for change in changes {
                lag.owe(column, change.dest, change.old.to(member).is_some());
            }
        }
    }

    fn emit(&mut self, to: PeerId, (bytes, messages): (Bytes, u64), outbox: &mut Vec<Outgoing>) {
        if let Some(peer) = self.peers.get_mut(to).filter(|_| !bytes.is_empty()) {
            peer.backlog += bytes.len();
            peer.backlog_high = peer.backlog_high.max(peer.backlog);
            outbox.push(Outgoing { peer: peer.address, bytes, messages });
        }
    }

    /// New members learn what they are owed.
    fn admit(&mut self) {
        for peer in self.peers.iter_mut() {
            let Progress::Joining(before) = &peer.progress else { continue };
            let Some(group) = self.groups.get(peer.group).and_then(Option::as_ref) else { continue };
            peer.progress = match Lag::joining(group, peer.id, before) {
                Some(lag) => Progress::Behind(lag),
                None => Progress::Level,
            };
        }
    }

    /// Tells a neighbour that is behind as much as its backlog allows, and markers once it is level.
    pub(super) fn catch_up(&mut self, id: PeerId, outbox: &mut Vec<Outgoing>) {
        while let Some(peer) = self.peers.get_mut(id)
            && peer.backlog < self.high_water
            && let Progress::Behind(lag) = &mut peer.progress
        {
            let Some(group) = self.groups.get(peer.group).and_then(Option::as_ref) else { return };
            let taken = lag.take(group, id, SLICE);
            let Some((column, ..)) = taken.first().copied() else {
                peer.progress = Progress::Level;
                break;
            };
            let mut changes: Vec<(SetId, DestId)> = taken
                .iter()
                .map(|(_, dest, told)| (group.out(column).get(*dest).to(id), *dest, *told))
                .filter(|(set, _, told)| set.is_some() || *told)
                .map(|(set, dest, _)| (set, dest))
                .collect();
            changes.sort_unstable();
            let shared = (&self.sets, &self.hops);
            let mut packer = Packer::new(shared, group, column, &self.tables[column.table()]);
            for run in changes.chunk_by(|one, other| one.0 == other.0) {
                packer.put(run[0].0, run.iter().map(|(_, dest)| *dest));
            }
            let (bytes, messages) = packer.take();
            self.emit(id, (bytes.into(), messages), outbox);
            let cleared = taken.into_iter().map(|(_, dest, _)| dest).collect();
            self.forget_empty(column.table(), cleared);
        }
        self.mark(id, outbox);
    }

    /// Frees rows that have no path and that nobody has to hear of any more.
    fn forget_empty(&mut self, table: usize, dests: Vec<DestId>) {
        let empty: Vec<_> = dests.into_iter().filter(|dest| self.tables[table].count(*dest) == 0).collect();
        if empty.is_empty() {
            return;
        }
        let behind = self.peers.iter().filter(|peer| !matches!(peer.progress, Progress::Level));
        let behind: Vec<_> = behind.collect();
        for dest in empty {
            if !behind.iter().any(|peer| peer.progress.waits_for(table, dest)) {
                self.tables[table].forget(dest);
            }
        }
    }

    /// Frees sets that nobody holds, and numbers of neighbours that are gone.
    pub(super) fn tidy(&mut self) {
        loop {
            let freed = self.sets.sweep(&mut self.hops);
            if freed.is_empty() {
                break;
            }
            let mut unheld = self.memo.forget(&freed);
            unheld.extend(self.groups.iter_mut().flatten().flat_map(|group| group.judged.forget(&freed)));
            unheld.extend(self.peers.iter_mut().flat_map(|peer| peer.judged.forget(&freed)));
            for set in unheld {
                self.sets.release(set);
            }
        }
        self.peers.recycle();
        self.restless = false;
    }
}

/// What goes to all level members but one, and what goes to a single one.
fn sort_out(shifts: &[Shift], level: &[PeerId]) -> (Vec<Change>, Vec<(PeerId, SetId, DestId)>) {
    let member = |from: PeerId| if level.contains(&from) { from } else { PeerId::OWN };
    let (mut all, mut only) = (Vec::with_capacity(shifts.len()), Vec::new());
    for Shift { dest, old, new } in shifts.iter().copied() {
        let (was, is) = (member(old.from), member(new.from));
        if new.set == old.set {
            // The same route from another neighbour: only the two of them see a difference.
            only.extend((was != PeerId::OWN).then_some((was, new.set, dest)));
            only.extend((is != PeerId::OWN).then_some((is, SetId::NONE, dest)));
            continue;
        }
        let (announces, except) = if new.set.is_some() { (true, is) } else { (false, was) };
        all.push(Change { announces, except, set: new.set, dest, old });
        if announces && old.set.is_some() && is != PeerId::OWN && new.from != old.from {
            only.push((is, SetId::NONE, dest));
        }
    }
    (all, only)
}
