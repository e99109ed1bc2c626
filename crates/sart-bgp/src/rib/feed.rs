//! What a route manager is told: the multipath set of each prefix that neighbours announce. Keeps what was told last;
//! must never hold a change back once asked.

use core::net::IpAddr;
use std::collections::HashMap;

use ipnet::IpNet;

use super::table::DestId;

/// The multipath set of a prefix learned from neighbours. Own prefixes never appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BestPath {
    /// The prefix.
    pub prefix: IpNet,
    /// Distinct next hops, sorted; empty is a withdrawal.
    pub next_hops: Vec<IpAddr>,
    /// Learned over iBGP.
    pub internal: bool,
}

/// A set of next hops by number; 0 is none.
pub(crate) type HopSet = u32;

#[derive(Clone, Debug, Default)]
struct Entry {
    next_hops: Vec<IpAddr>,
    internal: bool,
    refs: u32,
}

/// Sets of next hops, each kept once: there are few, however many prefixes there are.
#[derive(Debug)]
pub(crate) struct HopSets {
    entries: Vec<Entry>,
    /// By "internal".
    numbers: [HashMap<Vec<IpAddr>, HopSet>; 2],
    free: Vec<HopSet>,
}

impl Default for HopSets {
    fn default() -> Self {
        // Number 0 is none.
        Self { entries: vec![Entry::default()], numbers: Default::default(), free: Vec::new() }
    }
}

impl HopSets {
    fn hold(&mut self, next_hops: &[IpAddr], internal: bool) -> HopSet {
        if next_hops.is_empty() {
            return 0;
        }
        let numbers = &mut self.numbers[usize::from(internal)];
        if let Some(number) = numbers.get(next_hops) {
            self.entries[*number as usize].refs += 1;
            return *number;
        }
        let entry = Entry { next_hops: next_hops.to_vec(), internal, refs: 1 };
        let number = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            self.entries.len() as HopSet - 1
        });
        self.entries[number as usize] = entry;
        numbers.insert(next_hops.to_vec(), number);
        number
    }

    fn release(&mut self, number: HopSet) {
        let entry = &mut self.entries[number as usize];
        if number == 0 {
            return;
        }
        entry.refs -= 1;
        if entry.refs == 0 {
            let entry = core::mem::take(entry);
            self.numbers[usize::from(entry.internal)].remove(&entry.next_hops);
            self.free.push(number);
        }
    }

    fn best_path(&self, prefix: IpNet, number: HopSet) -> BestPath {
        let entry = &self.entries[number as usize];
        BestPath { prefix, next_hops: entry.next_hops.clone(), internal: entry.internal }
    }
}

/// What was told of each row of a table.
#[derive(Debug, Default)]
pub(crate) struct Published(Vec<HopSet>);

impl Published {
    fn get(&self, dest: DestId) -> HopSet {
        self.0.get(dest.at()).copied().unwrap_or(0)
    }
}

/// Everything the route manager knows, and what it has still to be told.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    sets: HopSets,
    published: [Published; super::key::TABLES],
    pending: Vec<BestPath>,
}

impl Feed {
    /// Notes the set of a row; tells of it if it changed. `rows` is how many rows the table has.
    pub(crate) fn publish(
        &mut self,
        (table, rows): (usize, usize),
        (dest, prefix): (DestId, impl Fn() -> IpNet),
        (next_hops, internal): (&[IpAddr], bool),
    ) {
        let old = self.published[table].get(dest);
        let new = self.sets.hold(next_hops, internal);
        self.sets.release(old);
        if new == old {
            return;
        }
        let published = &mut self.published[table].0;
        if published.len() <= dest.at() {
            published.resize(rows, 0);
        }
        published[dest.at()] = new;
        let told = self.sets.best_path(prefix(), new);
        self.pending.push(told);
    }

    /// What was told last of a row.
    pub(crate) fn told(&self, table: usize, dest: DestId, prefix: IpNet) -> Option<BestPath> {
        let number = self.published[table].get(dest);
        (number != 0).then(|| self.sets.best_path(prefix, number))
    }

    pub(crate) fn take(&mut self) -> Vec<BestPath> {
        core::mem::take(&mut self.pending)
    }
}
