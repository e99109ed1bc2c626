//! Which index each endpoint has, and from when to when it is live. An index keeps its endpoint as long as anybody wants
//! it; the next endpoint on it gets the next generation.

use std::collections::{BTreeMap, BTreeSet};

use sart_ebpf_common::layout::{BACKEND_DRAINING, BACKEND_LIVE, BACKENDS, Backend, be16, be32};

use crate::desired::{DesiredVip, Endpoint};
use crate::tables::{BACKEND_ROWS, Dump, Op};

/// An endpoint of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    /// Its place in the ring depends on this alone.
    pub(super) seed: u64,
    /// Its index.
    pub(super) index: u16,
}

/// Address, port and identity, as the map has them.
type Who = (u32, u16, u64);

/// The endpoints, before and after.
pub(super) struct Backends<'a> {
    shadow: &'a Dump,
    live: BTreeMap<Who, u16>,
    wanted: BTreeMap<u16, Backend>,
    next_free: u32,
}

impl<'a> Backends<'a> {
    pub(super) fn new(shadow: &'a Dump) -> Self {
        let live = shadow
            .backends
            .iter()
            .filter(|(_, backend)| backend.flags & BACKEND_LIVE != 0)
            .map(|(index, backend)| ((backend.addr, backend.port, backend.identity), *index))
            .collect();
        Self { shadow, live, wanted: BTreeMap::new(), next_free: 0 }
    }

    /// The endpoints of `vip` that take new flows; all of them, draining ones too, become live.
    pub(super) fn members(&mut self, vip: &DesiredVip) -> Result<Vec<Member>, (&'static str, u32)> {
        let endpoints: BTreeSet<Endpoint> = vip.endpoints.iter().copied().collect();
        let mut members = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            let index = self.index(&endpoint).ok_or((BACKENDS.name, BACKEND_ROWS))?;
            if !endpoint.draining {
                members.push(Member { seed: seed(&endpoint), index });
            }
        }
        members.sort_unstable();
        members.dedup();
        Ok(members)
    }

    fn index(&mut self, endpoint: &Endpoint) -> Option<u16> {
        let (addr, port) = (be32(endpoint.addr.octets()), be16(endpoint.port));
        let who = (addr, port, endpoint.identity);
        let index = match self.live.get(&who) {
            Some(index) => *index,
            None => self.free()?,
        };
        self.live.insert(who, index);
        let old = self.shadow.backends.get(&index);
        let same = old.filter(|old| old.flags & BACKEND_LIVE != 0);
        let generation = match (same, old) {
            (Some(same), _) => same.generation,
            (None, Some(old)) => old.generation.wrapping_add(1),
            (None, None) => 1,
        };
        let row = self.wanted.entry(index).or_insert(Backend {
            identity: endpoint.identity,
            addr,
            generation,
            port,
            flags: BACKEND_LIVE | BACKEND_DRAINING,
            pad: 0,
        });
        // Behind two addresses it drains only if it drains behind both.
        if !endpoint.draining {
            row.flags &= !BACKEND_DRAINING;
        }
        Some(index)
    }

    /// An index that nobody has. One that dies in this plan is not used before the next.
    fn free(&mut self) -> Option<u16> {
        while self.next_free < BACKEND_ROWS {
            let index = u16::try_from(self.next_free).ok()?;
            self.next_free += 1;
            let live = self.shadow.backends.get(&index).is_some_and(|row| row.flags & BACKEND_LIVE != 0);
            if !live && !self.wanted.contains_key(&index) {
                return Some(index);
            }
        }
        None
    }

    pub(super) fn births(&self) -> impl Iterator<Item = Op> {
        self.wanted
            .iter()
            .filter(|(index, row)| self.shadow.backends.get(index) != Some(row))
            .map(|(index, row)| Op::PutBackend(*index, *row))
    }

    pub(super) fn deaths(&self) -> impl Iterator<Item = Op> {
        self.shadow
            .backends
            .iter()
            .filter(|(index, row)| row.flags & BACKEND_LIVE != 0 && !self.wanted.contains_key(index))
            .map(|(index, row)| Op::PutBackend(*index, Backend { flags: 0, ..*row }))
    }
}

/// Address and port alone: a pod that follows another one on its address takes over its slots.
fn seed(endpoint: &Endpoint) -> u64 {
    u64::from(u32::from(endpoint.addr)) << 16 | u64::from(endpoint.port)
}
