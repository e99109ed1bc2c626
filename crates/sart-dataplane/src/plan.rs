//! The ordered steps that turn the maps as they are into the maps as they should be. Pure; never writes a map itself.

use crate::desired::{ServiceRef, VipId};

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
