//! Writes UPDATEs out of sets and rows of a table, as few as fit. Must never write a message that a receiver has to
//! refuse.

use super::export::next_hop;
use super::group::{Column, Group};
use super::hops::Hops;
use super::key::Key;
use super::sets::{SetId, Sets};
use super::table::{DestId, Table};
use crate::family::Family;
use crate::wire::attr::{AttrBlock, NextHop};
use crate::wire::nlri::{V4Route, V6Route};
use crate::wire::{UpdateWriter, WireForm};

/// A list up to this length fits any message in any form, whatever else is in it: twice as long for two-octet AS numbers,
/// beside a next hop and the longest prefix.
const SMALL: usize = 1900;

/// Whether one route with these attributes fits a message of the form.
pub(crate) fn fits(canonical: &[u8], (family, next_hop): (Family, NextHop), form: WireForm) -> bool {
    canonical.len() <= SMALL
        || UpdateWriter::announcing(&mut Vec::new(), AttrBlock::new(canonical), next_hop, family, form)
            .is_ok()
}

/// Messages in the making.
pub(crate) struct Packer<'a> {
    sets: &'a Sets,
    hops: &'a Hops,
    group: &'a Group,
    column: Column,
    table: &'a Table,
    pub bytes: Vec<u8>,
    messages: u64,
}

impl<'a> Packer<'a> {
    pub(crate) const fn new(
        (sets, hops): (&'a Sets, &'a Hops),
        group: &'a Group,
        column: Column,
        table: &'a Table,
    ) -> Self {
        Self { sets, hops, group, column, table, bytes: Vec::new(), messages: 0 }
    }

    /// What was written so far, and in how many messages.
    pub(crate) fn take(&mut self) -> (Vec<u8>, u64) {
        (core::mem::take(&mut self.bytes), core::mem::take(&mut self.messages))
    }

    /// Appends one set's routes, with the column's path identifier if they have any; no set withdraws.
    pub(crate) fn put(&mut self, set: SetId, routes: impl Iterator<Item = DestId>) {
        let family = Family::SUPPORTED[self.column.table()];
        let (form, path_id) = (self.group.form(family), self.column.path_id());
        let mut writer = if set.is_some() {
            let Some(next_hop) = next_hop(self.sets, self.hops, (self.group, family), set) else {
                return;
            };
            let attributes = AttrBlock::new(self.sets.canonical(set));
            let writer = UpdateWriter::announcing(&mut self.bytes, attributes, next_hop, family, form);
            // It was found to fit when it was chosen.
            let Ok(writer) = writer else { return };
            writer
        } else {
            UpdateWriter::withdrawing(&mut self.bytes, family, form)
        };
        for dest in routes {
            match self.table.key(dest) {
                Key::V4 { bits, len } => writer.push_v4(V4Route { path_id, bits, len }),
                Key::V6 { bits, len } => writer.push_v6(V6Route { path_id, bits, len }),
            }
        }
        self.messages += writer.finish() as u64;
    }
}
