//! The rows of virtual addresses, and of endpoints that clients may also reach directly: the kernel must know those to
//! tell the replies of a direct connection from those of a translated one.

use std::collections::{BTreeMap, BTreeSet};

use sart_ebpf_common::layout::{VIP_SERVICE, VIP_STATS, VIPS, Vip, VipKey, be16, be32};

use super::key;
use crate::desired::DesiredVip;
use crate::tables::{Dump, Op};

/// The row of an endpoint that may be reached directly.
const DIRECT: Vip = Vip { generation: 0, ring_base: 0, ring_mask: 0, stat: 0, backends: 0, flags: 0, pad: 0 };

/// The rows, before and after.
pub(super) struct Rows<'a> {
    shadow: &'a Dump,
    vips: BTreeMap<VipKey, Vip>,
    direct: BTreeSet<VipKey>,
    stats: BTreeSet<u32>,
    fresh_stats: Vec<u32>,
    next_stat: u32,
    /// Rows the map will hold before the deletions.
    total: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(shadow: &'a Dump) -> Self {
        let services = shadow.vips.values().filter(|vip| vip.flags & VIP_SERVICE != 0);
        Self {
            shadow,
            vips: BTreeMap::new(),
            direct: BTreeSet::new(),
            stats: services.map(|vip| vip.stat).collect(),
            fresh_stats: Vec::new(),
            next_stat: 0,
            total: shadow.vips.len(),
        }
    }

    /// Whether `vip` and its endpoints find room.
    pub(super) fn room(&self, vip: &DesiredVip) -> Result<(), (&'static str, u32)> {
        let known = |row: &VipKey| self.shadow.vips.contains_key(row) || self.direct.contains(row);
        let mut new: BTreeSet<VipKey> = direct_keys(vip).filter(|row| !known(row)).collect();
        if !self.shadow.vips.contains_key(&key(vip.id)) {
            new.insert(key(vip.id));
        }
        if self.total + new.len() > VIPS.max_entries as usize {
            return Err((VIPS.name, VIPS.max_entries));
        }
        if self.old(vip).is_none() && self.stats.len() >= VIP_STATS.max_entries as usize {
            return Err((VIP_STATS.name, VIP_STATS.max_entries));
        }
        Ok(())
    }

    fn old(&self, vip: &DesiredVip) -> Option<&'a Vip> {
        self.shadow.vips.get(&key(vip.id)).filter(|old| old.flags & VIP_SERVICE != 0)
    }

    /// Keeps the row, with its generation, if nothing changes for its packets.
    pub(super) fn place(&mut self, vip: &DesiredVip, row: Vip, ring_changed: bool) -> Vip {
        let old = self.old(vip);
        let stat = old.map_or_else(|| self.fresh_stat(), |old| old.stat);
        let kept =
            old.filter(|old| !ring_changed && Vip { stat, generation: old.generation, ..row } == **old);
        let generation = kept.map_or(self.shadow.generation + 1, |old| old.generation);
        let row = Vip { stat, generation, ..row };
        self.add(key(vip.id));
        self.vips.insert(key(vip.id), row);
        for direct in direct_keys(vip) {
            self.add(direct);
            self.direct.insert(direct);
        }
        row
    }

    fn add(&mut self, row: VipKey) {
        let known = self.vips.contains_key(&row) || self.direct.contains(&row);
        if !known && !self.shadow.vips.contains_key(&row) {
            self.total += 1;
        }
    }

    /// The lowest counter nobody has; [`Rows::room`] has seen that there is one.
    fn fresh_stat(&mut self) -> u32 {
        while self.stats.contains(&self.next_stat) {
            self.next_stat += 1;
        }
        let stat = self.next_stat;
        self.stats.insert(stat);
        self.fresh_stats.push(stat);
        stat
    }

    /// All rows as they should be: an address that is both stays a virtual address.
    fn wanted(&self) -> BTreeMap<VipKey, Vip> {
        let mut wanted: BTreeMap<VipKey, Vip> = self.direct.iter().map(|row| (*row, DIRECT)).collect();
        wanted.extend(&self.vips);
        wanted
    }

    /// Whether a virtual address gets a new generation.
    pub(super) fn is_changed(&self) -> bool {
        self.vips.values().any(|row| row.generation > self.shadow.generation)
    }

    /// Endpoints before virtual addresses, so that no flow is opened before its endpoint is known.
    pub(super) fn writes(&self) -> Vec<Op> {
        let wanted = self.wanted();
        let changed = wanted.iter().filter(|(row, vip)| self.shadow.vips.get(row) != Some(vip));
        let (services, direct): (Vec<_>, Vec<_>) = changed.partition(|(_, vip)| vip.flags & VIP_SERVICE != 0);
        let resets = self.fresh_stats.iter().map(|stat| Op::ResetStats(*stat));
        let rows = direct.into_iter().chain(services).map(|(row, vip)| Op::PutVip(*row, *vip));
        resets.chain(rows).collect()
    }

    /// Virtual addresses before endpoints.
    pub(super) fn deletes(&self) -> Vec<Op> {
        let wanted = self.wanted();
        let gone = self.shadow.vips.iter().filter(|(row, _)| !wanted.contains_key(row));
        let (services, direct): (Vec<_>, Vec<_>) = gone.partition(|(_, vip)| vip.flags & VIP_SERVICE != 0);
        services.into_iter().chain(direct).map(|(row, _)| Op::DeleteVip(*row)).collect()
    }
}

fn direct_keys(vip: &DesiredVip) -> impl Iterator<Item = VipKey> {
    let proto = vip.id.protocol.number();
    vip.endpoints.iter().map(move |endpoint| VipKey {
        addr: be32(endpoint.addr.octets()),
        port: be16(endpoint.port),
        proto,
        scope: 0,
    })
}
