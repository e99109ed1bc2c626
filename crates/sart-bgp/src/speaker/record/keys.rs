//! Numbers in place of keys, so that a replay restarts a session where a changed key did. Must never give a key away.

use core::net::IpAddr;
use std::collections::BTreeMap;

use crate::config::{NeighborConfig, Password};

/// The keys met so far; the number of one is its place.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Password>);

impl Keys {
    /// The number of every neighbour's key.
    pub(super) fn numbers(&mut self, neighbors: &[NeighborConfig]) -> BTreeMap<IpAddr, u32> {
        let keyed = neighbors
            .iter()
            .filter_map(|neighbor| Some((neighbor.address, neighbor.transport.password.as_ref()?)));
        keyed.map(|(address, key)| (address, self.number(key))).collect()
    }

    fn number(&mut self, key: &Password) -> u32 {
        let place = self.0.iter().position(|known| known == key).unwrap_or_else(|| {
            self.0.push(key.clone());
            self.0.len() - 1
        });
        place as u32
    }
}

/// A key that stands for number `number` in a replay.
pub(in crate::speaker) fn stand_in(number: u32) -> Password {
    Password::new(format!("key-{number}"))
}
