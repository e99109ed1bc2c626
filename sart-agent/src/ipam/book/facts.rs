//! How watched objects enter the book.

use std::collections::{BTreeMap, BTreeSet};

use sart_api::BlockRequest;

use super::AddressBook;
use crate::ipam::read;
use crate::ipam::view::{RequestFact, Synced, View};

impl AddressBook {
    /// Takes one object: what it says now, or nothing when it is gone.
    pub(in crate::ipam) fn take(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.state().view);
        self.shared.wake.notify_one();
        self.shared.changed.notify_all();
    }

    /// Which lists are complete.
    pub fn synced(&self) -> Synced {
        self.state().view.synced
    }

    /// Own requests, by name.
    pub(in crate::ipam) fn requests(&self) -> BTreeMap<String, RequestFact> {
        self.state().view.requests.clone()
    }

    /// The answer to a write is newer than the watch.
    pub(in crate::ipam) fn request_written(&self, request: &BlockRequest, node: &str) {
        if let (Some(fact), Some(name)) = (read::request(request, node), request.metadata.name.clone()) {
            self.state().view.requests.insert(name, fact);
        }
    }

    /// Prefixes of own blocks.
    pub(in crate::ipam) fn own_blocks(&self) -> BTreeSet<ipnet::IpNet> {
        self.state().view.blocks.values().map(|block| block.net).collect()
    }
}
