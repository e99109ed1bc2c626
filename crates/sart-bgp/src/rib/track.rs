//! What a next hop tracker was asked and what it said. Must never forget an answer because the tracker went away.

use core::net::IpAddr;
use std::collections::{BTreeSet, HashMap};

/// What a tracker has to do. Applying it again changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HopChanges {
    /// Say how far these are ([`super::Rib::answer_next_hops`]), now and at every change. Sorted.
    pub begin: Vec<IpAddr>,
    /// No route has these any more. Sorted.
    pub end: Vec<IpAddr>,
}

/// What is known of a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopState {
    /// It can be used at this distance.
    Reachable(u32),
    /// The tracker knows no way there.
    Unreachable,
    /// No tracker has said anything yet: not used.
    Unanswered,
}

#[derive(Debug, Default)]
pub(crate) struct Track {
    /// Next hops count only by what a tracker says.
    on: bool,
    /// A tracker listens.
    there: bool,
    asked: BTreeSet<IpAddr>,
    /// The last answer for each address, kept while nobody is there to give a newer one.
    answers: HashMap<IpAddr, Option<u32>>,
    /// Came or went since the tracker was told last.
    noted: BTreeSet<IpAddr>,
}

impl HopChanges {
    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.begin.is_empty() && self.end.is_empty()
    }
}

impl Track {
    pub(crate) fn state(&self, address: IpAddr) -> HopState {
        match self.answers.get(&address) {
            _ if !self.on => HopState::Reachable(0),
            Some(Some(metric)) => HopState::Reachable(*metric),
            Some(None) => HopState::Unreachable,
            None => HopState::Unanswered,
        }
    }

    /// An address came into use or went out of it.
    pub(crate) fn note(&mut self, address: IpAddr) {
        // Without a listener this would grow for ever: it is told everything when it comes.
        if self.on && self.there {
            self.noted.insert(address);
        }
    }

    /// Switches tracking. What is in use then stays in use until a tracker objects: the switch alone withdraws nothing.
    pub(crate) fn switch(&mut self, on: bool, in_use: impl Iterator<Item = IpAddr>) {
        if self.on == on {
            return;
        }
        self.on = on;
        self.answers.clear();
        if on {
            self.answers.extend(in_use.map(|address| (address, Some(0))));
            if self.there {
                self.noted.extend(self.answers.keys());
            }
        } else {
            self.noted.clone_from(&self.asked);
        }
    }

    /// A tracker comes: it is told everything that is in use. Or it goes: its last answers stay in force.
    pub(crate) fn attend(&mut self, there: bool, in_use: impl Iterator<Item = IpAddr>) {
        self.there = there;
        self.asked.clear();
        self.noted.clear();
        if there && self.on {
            self.noted.extend(in_use);
            let noted = &self.noted;
            self.answers.retain(|address, _| noted.contains(address));
        }
    }

    /// Answers for what was not asked (any more) are void.
    pub(crate) fn answer(&mut self, answers: &[(IpAddr, Option<u32>)]) {
        for (address, metric) in answers {
            if self.asked.contains(address) {
                self.answers.insert(*address, *metric);
            }
        }
    }

    /// The difference between what is in use and what the tracker was asked, as far as something was noted.
    pub(crate) fn take_changes(&mut self, in_use: impl Fn(IpAddr) -> bool) -> HopChanges {
        let mut changes = HopChanges::default();
        if self.noted.is_empty() {
            return changes;
        }
        for address in core::mem::take(&mut self.noted) {
            if self.on && in_use(address) {
                if self.asked.insert(address) {
                    changes.begin.push(address);
                }
            } else if self.asked.remove(&address) {
                self.answers.remove(&address);
                changes.end.push(address);
            }
        }
        changes
    }
}

#[cfg(test)]
mod proptests;
