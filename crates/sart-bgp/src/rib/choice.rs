//! Brings the paths of a prefix before the decision process. Reads tables; must never change one.

use super::decision::{self, Candidate, rank};
use super::hops::Hops;
use super::peer::Peers;
use super::sets::Sets;
use super::table::{DestId, Path, PeerId, Table};
use crate::config::DecisionRules;
use crate::wire::attr::AttrBlock;
use crate::wire::code;

/// Everything that a choice depends on besides the paths.
#[derive(Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub rules: &'a DecisionRules,
    pub sets: &'a Sets,
    pub hops: &'a Hops,
    pub peers: &'a Peers,
}

impl Choice<'_> {
    /// The best path's index.
    pub(crate) fn best(&self, table: &Table, dest: DestId) -> Option<usize> {
        let (mut least, mut best, mut ties) = (u64::MAX, None, 0);
        for (index, path) in table.paths(dest).enumerate().filter(|(_, path)| self.may_be_used(path)) {
            let rank = self.rank(path);
            if rank < least {
                (least, best, ties) = (rank, Some(index), 1);
            } else if rank == least {
                ties += 1;
            }
        }
        if ties < 2 { best } else { self.chosen(table, dest).first().copied() }
    }

    /// The indexes of the multipath set, the best path first.
    pub(crate) fn chosen(&self, table: &Table, dest: DestId) -> Vec<usize> {
        self.chosen_among(self.usable(table, dest))
    }

    /// The best path, then the one that would be best without it, and so on.
    pub(crate) fn best_few(&self, table: &Table, dest: DestId, at_most: usize) -> Vec<Path> {
        let mut left: Vec<_> = self.usable(table, dest).collect();
        let mut few = Vec::new();
        while few.len() < at_most
            && let Some(best) = self.chosen_among(left.iter().copied()).first().copied()
        {
            left.retain(|(index, _)| *index != best);
            few.push(table.path(dest, best));
        }
        few
    }

    fn usable<'t>(&self, table: &'t Table, dest: DestId) -> impl Iterator<Item = (usize, &'t Path)> + Clone {
        table.paths(dest).enumerate().filter(|(_, path)| self.may_be_used(path))
    }

    fn chosen_among<'t>(&self, usable: impl Iterator<Item = (usize, &'t Path)> + Clone) -> Vec<usize> {
        let least = usable.clone().map(|(_, path)| self.rank(path)).min();
        let Some(least) = least else { return Vec::new() };
        let equals: Vec<_> = usable
            .filter(|(_, path)| self.rank(path) == least)
            .map(|(index, path)| self.candidate(index, path))
            .collect();
        decision::choose(equals, self.rules, |one, other| self.as_path(one) == self.as_path(other))
    }

    fn may_be_used(&self, path: &Path) -> bool {
        path.refused == 0 && self.hops.metric(self.sets.summary(path.set).hop).is_some()
    }

    pub(crate) fn rank(&self, path: &Path) -> u64 {
        rank(self.sets.summary(path.set), path.peer == PeerId::OWN)
    }

    fn candidate(&self, index: usize, path: &Path) -> Candidate {
        let summary = *self.sets.summary(path.set);
        Candidate {
            index,
            path: *path,
            summary,
            source: self.peers.get(path.peer).map(super::peer::Peer::source),
            igp_metric: self.hops.metric(summary.hop).unwrap_or(u32::MAX),
        }
    }

    fn as_path(&self, candidate: &Candidate) -> Option<&[u8]> {
        let block = AttrBlock::new(self.sets.canonical(candidate.path.set));
        block.get(code::AS_PATH).map(|path| path.value)
    }
}
