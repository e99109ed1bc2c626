//! Compares what a group should be told with what it was told, and says what changed. Must never let the routes of a family that
//! a neighbour with a limit is told exceed it, not even between two messages.

use core::net::IpAddr;

use super::export::{Exporter, Row, seat};
use super::group::{Column, Group, Sent};
use super::lag::Bits;
use super::sets::Sets;
use super::table::{DestId, Table};
use crate::family::Family;

/// At most so many routes of each family are told to one neighbour. It is a group of its own, because which routes it is told
/// depends on which it was told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub member: IpAddr,
    pub max: u32,
}

/// Prefixes of a table that a limit keeps from being told, or from being told with all their paths.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    rows: Bits,
    count: u64,
}

/// A prefix whose route, or whose route with one path identifier, changed for a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shift {
    pub dest: DestId,
    pub old: Sent,
    pub new: Sent,
}

/// A comparison under way: one group, one table.
pub(crate) struct Comparison<'a> {
    pub exporter: Exporter<'a>,
    pub group: &'a mut Group,
    pub table: &'a Table,
    pub family: Family,
    /// The number of the table.
    pub at: usize,
    /// What has changed so far.
    pub columns: Vec<(Column, Vec<Shift>)>,
}

impl Withheld {
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    fn set(&mut self, dest: DestId, withheld: bool) {
        match (self.rows.has(dest), withheld) {
            (false, true) => {
                self.rows.add(dest);
                self.count += 1;
            }
            (true, false) => {
                self.rows.remove(dest);
                self.count -= 1;
            }
            _ => {}
        }
    }
}

impl Comparison<'_> {
    /// Compares these rows. What changed, in the order to tell it; the group's Adj-RIB-Out is up to date from now on.
    pub(crate) fn run(mut self, rows: impl Iterator<Item = DestId>) -> Vec<(Column, Vec<Shift>)> {
        if let Some(limit) = self.group.key.limit {
            self.within(u64::from(limit.max), rows);
            self.in_order();
        } else {
            rows.for_each(|dest| {
                self.compare(dest, usize::MAX);
            });
        }
        self.columns.retain(|(_, shifts)| !shifts.is_empty());
        self.columns
    }

    /// Compares one row, where so many routes more than now may be told. Whether that left something out.
    fn compare(&mut self, dest: DestId, growth: usize) -> bool {
        let row = Row { at: self.at, family: self.family, table: self.table, dest };
        let (group, exporter) = (&mut *self.group, &mut self.exporter);
        group.kept[self.at].forget(dest);
        if let [(column, shifts)] = self.columns.as_mut_slice() {
            let mut new = exporter.wanted(group, row);
            let left_out = growth == 0 && new.set.is_some() && !group.out(*column).get(dest).set.is_some();
            if left_out {
                new = Sent::default();
            }
            shifts.extend(shift(group, exporter.sets, (*column, row), new));
            return left_out;
        }
        let mut few = exporter.wanted_few(group, row, self.columns.len());
        let old: Vec<_> = self.columns.iter().map(|(column, _)| group.out(*column).get(dest)).collect();
        let told = old.iter().filter(|sent| sent.set.is_some()).count();
        let left_out = few.len() > told.saturating_add(growth);
        few.truncate(told.saturating_add(growth));
        for ((column, shifts), new) in self.columns.iter_mut().zip(seat(&old, few)) {
            shifts.extend(shift(group, exporter.sets, (*column, row), new));
        }
        left_out
    }

    /// First what adds nothing, then as much more as there is room for.
    fn within(&mut self, max: u64, rows: impl Iterator<Item = DestId>) {
        for dest in rows {
            let left_out = self.compare(dest, 0);
            self.group.withheld[self.at].set(dest, left_out);
        }
        self.evict(max);
        loop {
            let room = self.room(max);
            let next: Vec<_> = self.group.withheld[self.at].rows.iter().take(room).collect();
            if next.is_empty() {
                return;
            }
            // Each takes room or is withheld no longer, so that this ends.
            for dest in next {
                let room = self.room(max);
                if room > 0 {
                    let left_out = self.compare(dest, room);
                    self.group.withheld[self.at].set(dest, left_out);
                }
            }
        }
    }

    fn room(&self, max: u64) -> usize {
        usize::try_from(max.saturating_sub(self.group.told_of(self.at))).unwrap_or(usize::MAX)
    }

    /// After a limit was lowered: the last ones go.
    fn evict(&mut self, max: u64) {
        let mut surplus = self.group.told_of(self.at).saturating_sub(max);
        for (column, shifts) in self.columns.iter_mut().rev() {
            for dest in (0..self.group.out(*column).rows() as u32).rev().map(DestId) {
                if surplus == 0 {
                    return;
                }
                let row = Row { at: self.at, family: self.family, table: self.table, dest };
                let gone = shift(self.group, self.exporter.sets, (*column, row), Sent::default());
                if let Some(gone) = gone {
                    self.group.withheld[self.at].set(dest, true);
                    shifts.push(gone);
                    surplus -= 1;
                }
            }
        }
    }

    /// Withdrawals of all columns first. A row that was looked at twice changed once.
    fn in_order(&mut self) {
        let mut come = Vec::new();
        for (column, shifts) in &mut self.columns {
            shifts.sort_by_key(|shift| shift.dest);
            shifts.dedup_by(|later, first| {
                let same = later.dest == first.dest;
                if same {
                    first.new = later.new;
                }
                same
            });
            shifts.retain(|shift| shift.old != shift.new);
            come.push((*column, shifts.extract_if(.., |shift| shift.new.set.is_some()).collect()));
        }
        self.columns.append(&mut come);
    }
}

/// Notes what a group is told of a row from now on, if that is something else.
fn shift(group: &mut Group, sets: &mut Sets, (column, row): (Column, Row<'_>), new: Sent) -> Option<Shift> {
    let old = group.out(column).get(row.dest);
    if new == old {
        return None;
    }
    if new.set.is_some() {
        sets.hold_again(new.set);
    }
    if old.set.is_some() {
        sets.release(old.set);
    }
    group.out_mut(column).put(row.dest, new, row.table.rows());
    Some(Shift { dest: row.dest, old, new })
}
