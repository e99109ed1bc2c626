//! Where one neighbour stands in what its group is told: level with it, or behind it with a set of prefixes of its own.
//! That set is bounded by the table, so that a neighbour that does not read costs next to no memory. Must never hold
//! messages.

use super::group::{Column, Group};
use super::key::TABLES;
use super::sets::SetId;
use super::table::{DestId, PeerId};

/// Octets that may be under way to a neighbour before it counts as slow and gets a set of its own.
pub(crate) const HIGH_WATER: usize = 4 << 20;

/// A set of row numbers.
#[derive(Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn has(&self, dest: DestId) -> bool {
        self.0.get(dest.at() / 64).is_some_and(|word| word >> (dest.at() % 64) & 1 == 1)
    }

    /// Adds it; whether it is new.
    pub(crate) fn add(&mut self, dest: DestId) -> bool {
        let (word, bit) = (dest.at() / 64, 1 << (dest.at() % 64));
        if self.0.len() <= word {
            self.0.resize((word + 1).next_multiple_of(64), 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    pub(crate) fn remove(&mut self, dest: DestId) {
        if let Some(word) = self.0.get_mut(dest.at() / 64) {
            *word &= !(1 << (dest.at() % 64));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = DestId> + '_ {
        let bits = |(at, word): (usize, &u64)| {
            let mut left = *word;
            core::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(DestId(at as u32 * 64 + bit))
            })
        };
        self.0.iter().enumerate().flat_map(bits)
    }
}

/// Where a neighbour stands.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It was told what its group was told.
    Level,
    /// It is new in its group. What it was told before, by column and row; [`UNKNOWN`] for something.
    Joining(Vec<Vec<SetId>>),
    /// It was not told everything.
    Behind(Lag),
}

impl Progress {
    /// Whether the neighbour has still to hear of a prefix, so that its row may not be used for another one.
    pub(crate) fn waits_for(&self, table: usize, dest: DestId) -> bool {
        match self {
            Self::Level => false,
            Self::Joining(before) => {
                let told = |column: Column| before[column.at()].get(dest.at()).copied().unwrap_or_default();
                Column::of(table, before.len()).any(|column| told(column).is_some())
            }
            Self::Behind(lag) => lag.owes_any(table, dest),
        }
    }
}

/// It was told something, but nobody remembers what.
pub(crate) const UNKNOWN: SetId = SetId(u32::MAX);

/// What a neighbour has still to be told.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// By column.
    pending: Vec<Bits>,
    /// Of the pending ones, those that it was told something of before.
    told: Vec<Bits>,
    /// Pending ones in the order to send them: whether there is a route, column, set at the time, row.
    queue: Vec<(bool, Column, SetId, DestId)>,
    next: usize,
    /// The queue may name as withdrawals or as routes what is no longer.
    outdated: bool,
}

impl Lag {
    /// What a member that joins `group` is owed.
    pub(crate) fn joining(group: &Group, member: PeerId, before: &[Vec<SetId>]) -> Option<Self> {
        let mut lag = Self::default();
        let mut owes = false;
        for column in group.columns() {
            let (out, before) = (group.out(column), before.get(column.at()).map_or(&[][..], Vec::as_slice));
            let rows = out.rows().max(before.len());
            for dest in (0..rows as u32).map(DestId) {
                let now = out.get(dest).to(member);
                let was = before.get(dest.at()).copied().unwrap_or_default();
                if now != was {
                    lag.owe(column, dest, was.is_some());
                    owes = true;
                }
            }
        }
        owes.then_some(lag)
    }

    /// Notes that it has to hear of a prefix; `told` says whether it was told something of it before.
    pub(crate) fn owe(&mut self, column: Column, dest: DestId, told: bool) {
        if self.pending.len() <= column.at() {
            self.pending.resize_with(column.at() + 1, Bits::default);
            self.told.resize_with(column.at() + 1, Bits::default);
        }
        self.outdated = true;
        if self.pending[column.at()].add(dest) {
            if told {
                self.told[column.at()].add(dest);
            } else {
                self.told[column.at()].remove(dest);
            }
        }
    }

    pub(crate) fn owes(&self, column: Column, dest: DestId) -> bool {
        self.pending.get(column.at()).is_some_and(|pending| pending.has(dest))
    }

    /// Whether anything of a prefix is owed, with whatever path identifier.
    pub(crate) fn owes_any(&self, table: usize, dest: DestId) -> bool {
        self.pending.iter().skip(table).step_by(TABLES).any(|pending| pending.has(dest))
    }

    /// Whether the neighbour was told something of the prefix; only known while it is owed.
    pub(crate) fn was_told(&self, column: Column, dest: DestId) -> bool {
        self.told.get(column.at()).is_some_and(|told| told.has(dest))
    }

    /// The next few prefixes to tell of, all of one column, with whether they were told before; they are owed no longer.
    /// None if nothing is owed.
    pub(crate) fn take(
        &mut self,
        group: &Group,
        member: PeerId,
        at_most: usize,
    ) -> Vec<(Column, DestId, bool)> {
        // Under a limit nothing may be announced before everything that goes has gone.
        if self.next == self.queue.len() || (self.outdated && group.key.limit.is_some()) {
            self.sort(group, member);
        }
        let mut taken = Vec::new();
        let first = self.queue.get(self.next).map(|(_, column, ..)| *column);
        while let Some((_, column, _, dest)) = self.queue.get(self.next).copied() {
            if Some(column) != first || taken.len() == at_most {
                break;
            }
            self.next += 1;
            if self.owes(column, dest) {
                self.pending[column.at()].remove(dest);
                taken.push((column, dest, self.was_told(column, dest)));
            }
        }
        taken
    }

    /// Withdrawals first, then by set, so that equal ones share messages.
    fn sort(&mut self, group: &Group, member: PeerId) {
        self.queue.clear();
        self.next = 0;
        self.outdated = false;
        for (column, pending) in group.columns().zip(&self.pending) {
            let out = group.out(column);
            self.queue.extend(pending.iter().map(|dest| {
                let set = out.get(dest).to(member);
                (set.is_some(), column, set, dest)
            }));
        }
        self.queue.sort_unstable();
    }
}
