//! The routes that a group is not told because they would leak (RFC 9234 section 5), for whoever asks why a prefix is missing.
//! Only counts; must never decide anything.

use std::collections::BTreeSet;

use super::table::{DestId, PeerId};

/// The routes of one table that are kept from a group. Empty where nobody has a role.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    routes: BTreeSet<(DestId, PeerId)>,
    /// How many of them came from each neighbour.
    by_source: Vec<u64>,
}

impl Kept {
    /// A prefix is looked at anew.
    pub(crate) fn forget(&mut self, dest: DestId) {
        while let Some(first) = self.first_of(dest) {
            self.routes.remove(&first);
            if let Some(count) = self.by_source.get_mut(first.1.at()) {
                *count -= 1;
            }
        }
    }

    fn first_of(&self, dest: DestId) -> Option<(DestId, PeerId)> {
        if self.routes.is_empty() {
            return None;
        }
        self.routes.range((dest, PeerId(0))..=(dest, PeerId(u16::MAX))).next().copied()
    }

    /// The route of a prefix that came from there must not leave.
    pub(crate) fn add(&mut self, dest: DestId, from: PeerId) {
        if self.routes.insert((dest, from)) {
            if self.by_source.len() <= from.at() {
                self.by_source.resize(from.at() + 1, 0);
            }
            self.by_source[from.at()] += 1;
        }
    }

    /// How many are kept from that member: all but those it sent itself.
    pub(crate) fn count_for(&self, member: PeerId) -> u64 {
        let own = self.by_source.get(member.at()).copied().unwrap_or(0);
        self.routes.len() as u64 - own
    }
}
