//! The ordered steps that turn the maps as they are into the maps as they should be. Endpoints come first, then rings,
//! then the rows that lead to them; removal runs the other way. Pure; never writes a map itself.

mod backends;
mod rings;
mod rows;

use std::collections::BTreeMap;

use sart_ebpf_common::layout::{VIP_SERVICE, Vip, VipKey, be16, be32};

use crate::desired::{DesiredTables, DesiredVip, ServiceRef, VipId};
use crate::tables::{Dump, Op};
use backends::Backends;
use rings::Rings;
use rows::Rows;

/// What is to be done, and what it means for each virtual address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The steps, in their order.
    pub ops: Vec<Op>,
    /// For each address that was asked for: the row that must be read back, or why there is none.
    pub rows: BTreeMap<VipId, Result<Vip, Refusal>>,
    /// Services that came too late for an address; its row stands under the Service that has it.
    pub refused: Vec<Refusal>,
}

/// The key of an address in the maps.
#[must_use]
pub const fn key(id: VipId) -> VipKey {
    VipKey { addr: be32(id.addr.octets()), port: be16(id.port), proto: id.protocol.number(), scope: 0 }
}

/// Plans the way from `shadow` (what the maps hold) to `desired`. Planning again after carrying it out gives no step.
#[must_use]
pub fn plan(desired: &DesiredTables, shadow: &Dump) -> Plan {
    let mut plan = Plan::default();
    let wanted = accept(desired, shadow, &mut plan);
    let mut backends = Backends::new(shadow);
    let mut rings = Rings::new(shadow);
    let mut rows = Rows::new(shadow);
    for vip in wanted {
        let row = place(vip, &mut backends, &mut rings, &mut rows);
        plan.rows.insert(vip.id, row);
    }
    let changed = rows.is_changed();
    if changed {
        plan.ops.push(Op::PutGeneration(shadow.generation + 1));
    }
    plan.ops.extend(backends.births());
    plan.ops.extend(rings.writes());
    plan.ops.extend(rows.writes());
    plan.ops.extend(rows.deletes());
    plan.ops.extend(backends.deaths());
    plan
}

/// Sorts out addresses that two Services want. Rows that are there already come first, so that a full table refuses the
/// newcomer.
fn accept<'a>(desired: &'a DesiredTables, shadow: &Dump, plan: &mut Plan) -> Vec<&'a DesiredVip> {
    let mut sorted: Vec<&DesiredVip> = desired.vips.iter().collect();
    sorted.sort_by_key(|vip| (vip.id, &vip.service));
    let mut wanted: Vec<&DesiredVip> = Vec::with_capacity(sorted.len());
    for vip in sorted {
        match wanted.last().filter(|first| first.id == vip.id) {
            // The first one's result stands under this address; the caller finds the loser by its Service.
            Some(first) => {
                let refusal = Refusal::Taken {
                    vip: vip.id,
                    service: vip.service.clone(),
                    owner: first.service.clone(),
                };
                plan.refused.push(refusal);
            }
            None => wanted.push(vip),
        }
    }
    wanted.sort_by_key(|vip| (!shadow.vips.contains_key(&key(vip.id)), vip.id));
    wanted
}

/// Gives one address its endpoints, ring and row.
fn place(
    vip: &DesiredVip,
    backends: &mut Backends<'_>,
    rings: &mut Rings<'_>,
    rows: &mut Rows<'_>,
) -> Result<Vip, Refusal> {
    let full = |(table, limit)| Refusal::Full { table, limit, vip: vip.id, service: vip.service.clone() };
    rows.room(vip).map_err(full)?;
    let members = backends.members(vip).map_err(full)?;
    let ring = rings.place(key(vip.id), &members).map_err(full)?;
    let row = Vip {
        generation: 0,
        ring_base: ring.base,
        ring_mask: ring.mask,
        stat: 0,
        backends: u32::try_from(members.len()).unwrap_or(u32::MAX),
        flags: VIP_SERVICE,
        pad: 0,
    };
    Ok(rows.place(vip, row, ring.changed))
}

/// Why a virtual address cannot be in the tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A table has no room.
    #[error(
        "the table {table} is full ({limit} entries): {vip} of {service} is not served by the maps of this node"
    )]
    Full {
        /// The map.
        table: &'static str,
        /// Its size.
        limit: u32,
        /// The address that found no room.
        vip: VipId,
        /// Its Service.
        service: ServiceRef,
    },
    /// Two Services want the same address, port and protocol.
    #[error("{vip} of {service} is already served for {owner}")]
    Taken {
        /// The address.
        vip: VipId,
        /// The Service that came too late.
        service: ServiceRef,
        /// The Service that has it.
        owner: ServiceRef,
    },
}

impl Refusal {
    /// The reason for a condition, an Event and a metric.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Full { .. } => "TableFull",
            Self::Taken { .. } => "AddressTaken",
        }
    }
}

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
