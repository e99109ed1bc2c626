//! How far next hops are, for speakers that ask: what each wants to know, and which answers are news to it. Never asks a
//! route that sart wrote, so no route vouches for its own next hop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::resolve::{Resolver, Unresolved};

/// What is known of each next hop asked for.
pub type Distances = BTreeMap<IpAddr, Result<u32, Unresolved>>;

/// The next hops that one speaker wants tracked.
#[derive(Debug, Default)]
pub struct Tracked {
    wanted: BTreeSet<IpAddr>,
}

impl Tracked {
    /// Adds and removes next hops; what is there already, or not there, is fine.
    pub fn want(&mut self, begin: &[IpAddr], end: &[IpAddr]) {
        for address in end {
            self.wanted.remove(address);
        }
        self.wanted.extend(begin);
    }

    /// The speaker has gone away, or says everything again.
    pub fn clear(&mut self) {
        self.wanted.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// How far each of them is.
    pub fn distances(&self, resolver: &Resolver<'_>) -> Distances {
        self.wanted.iter().map(|address| (*address, resolver.distance(*address))).collect()
    }
}

/// What a speaker was told.
#[derive(Debug, Default)]
pub struct Told {
    /// What it asked for, and the answer it has; none until there is one.
    asked: BTreeMap<IpAddr, Option<Result<u32, Unresolved>>>,
}

impl Told {
    /// The speaker asks for more, or for less. What it asks for again is answered again.
    pub fn asked(&mut self, begin: &[IpAddr], end: &[IpAddr]) {
        for address in end {
            self.asked.remove(address);
        }
        self.asked.extend(begin.iter().map(|address| (*address, None)));
    }

    /// The answers that are news to the speaker, which count as told from now on. A next hop that `known` does not hold is
    /// answered for later.
    pub fn plan(&mut self, known: &Distances) -> Vec<(IpAddr, Result<u32, Unresolved>)> {
        let mut news = Vec::new();
        for (address, told) in &mut self.asked {
            let Some(answer) = known.get(address) else { continue };
            if *told != Some(*answer) {
                *told = Some(*answer);
                news.push((*address, *answer));
            }
        }
        news
    }
}

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
