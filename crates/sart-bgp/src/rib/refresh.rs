//! Repeating what was told: on our side for a neighbour that asks (RFC 2918), on the neighbour's side between markers
//! (RFC 7313), and the End-of-RIB markers (RFC 4724 section 2). Must never void a route before its repetition is over.

use core::net::IpAddr;

use super::Rib;
use super::lag::{Lag, Progress, UNKNOWN};
use super::spread::Outgoing;
use super::table::{Path, PeerId};
use crate::family::Family;
use crate::wire::end_of_rib;
use crate::wire::refresh::{RefreshSubtype, RouteRefresh};

/// The table of a family.
pub(crate) fn table_of(family: Family) -> Option<usize> {
    Family::SUPPORTED.iter().position(|supported| *supported == family)
}

impl Rib {
    /// Sends a family to a neighbour again (RFC 2918), between markers if it knows them.
    pub fn refresh(&mut self, address: IpAddr, family: Family) {
        let (Some(table), Some(id)) = (table_of(family), self.peers.find(address)) else { return };
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(group) = self.groups.get(peer.group).and_then(Option::as_ref) else { return };
        // RFC 7313 section 4: no BoRR before the End-of-RIB of the family, so that repetition begins after it.
        if peer.config.marks_refresh && peer.owes_end_of_rib.contains(&family) {
            if !peer.asked_early.contains(&family) {
                peer.asked_early.push(family);
            }
            return;
        }
        if matches!(peer.progress, Progress::Level) {
            peer.progress = Progress::Behind(Lag::default());
        }
        let columns = group.columns_of(table);
        match &mut peer.progress {
            Progress::Behind(lag) => {
                for column in columns {
                    let out = group.out(column);
                    let rows = (0..out.rows() as u32).map(super::table::DestId);
                    for dest in rows.filter(|dest| out.get(*dest).to(id).is_some()) {
                        lag.owe(column, dest, true);
                    }
                }
            }
            // One that changes its group would be told only what differs.
            Progress::Joining(before) => {
                for column in columns {
                    let told = before.get_mut(column.at()).into_iter().flatten().filter(|set| set.is_some());
                    told.for_each(|set| *set = UNKNOWN);
                }
            }
            Progress::Level => {}
        }
        self.restless = true;
        if peer.config.marks_refresh {
            peer.owes_end_of_refresh.push(family);
            let bytes = RouteRefresh { family, subtype: RefreshSubtype::Begin }.encode().into();
            self.urgent.push(Outgoing { peer: address, bytes, messages: 0 });
        }
    }

    /// The neighbour begins to repeat a family (BoRR): what it does not repeat until [`Rib::end_of_refresh`] is void then.
    pub fn begin_of_refresh(&mut self, address: IpAddr, family: Family) {
        let (Some(table), Some(id)) = (table_of(family), self.peers.find(address)) else { return };
        let table = &mut self.tables[table];
        for dest in table.all() {
            for index in 0..table.count(dest) {
                if table.path(dest, index).peer == id {
                    table.path_mut(dest, index).flags |= Path::STALE;
                }
            }
        }
    }

    /// The neighbour has repeated the family (EoRR): what it did not repeat is gone.
    pub fn end_of_refresh(&mut self, address: IpAddr, family: Family) {
        let (Some(table), Some(id)) = (table_of(family), self.peers.find(address)) else { return };
        self.remove_where(table, |path| path.peer == id && path.has(Path::STALE));
    }

    /// Markers that are due now that the neighbour is level.
    pub(super) fn mark(&mut self, id: PeerId, outbox: &mut Vec<Outgoing>) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| matches!(peer.progress, Progress::Level))
        else {
            return;
        };
        for family in core::mem::take(&mut peer.owes_end_of_refresh) {
            let bytes = RouteRefresh { family, subtype: RefreshSubtype::End }.encode().into();
            outbox.push(Outgoing { peer: peer.address, bytes, messages: 0 });
        }
        for family in core::mem::take(&mut peer.owes_end_of_rib) {
            let bytes = end_of_rib(family).into();
            outbox.push(Outgoing { peer: peer.address, bytes, messages: 1 });
        }
        let (address, asked) = (peer.address, core::mem::take(&mut peer.asked_early));
        if asked.is_empty() {
            return;
        }
        for family in asked {
            self.refresh(address, family);
        }
        outbox.append(&mut self.urgent);
        self.catch_up(id, outbox);
    }
}
