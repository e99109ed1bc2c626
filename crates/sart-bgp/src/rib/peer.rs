//! A neighbour whose session is up, as the tables see it. Only state; rules are in `import` and `export`.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use ipnet::IpNet;

use super::destination::Learned;
use super::export::Route;
use super::import::Refusal;
use crate::config::PeerPolicies;
use crate::family::{Family, LocalAddresses};
use crate::wire::update::UpdateContext;

/// What a session agreed on, as far as routes depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its AS number.
    pub asn: u32,
    /// Its router id.
    pub router_id: Ipv4Addr,
    /// AS number width, iBGP or eBGP, families.
    pub update: UpdateContext,
    /// Its groups; empty takes every path.
    pub groups: Vec<String>,
    /// Our addresses on its link.
    pub next_hops: LocalAddresses,
    /// What is taken from it and what it is told.
    pub policies: PeerPolicies,
}

/// How many prefixes a neighbour announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// All.
    pub received: u64,
    /// Those refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
}

impl PeerCounts {
    /// Those accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.received.saturating_sub(self.refused.values().sum())
    }

    pub(crate) fn add(&mut self, refused: Option<Refusal>) {
        self.received += 1;
        if let Some(refusal) = refused {
            *self.refused.entry(refusal).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, refused: Option<Refusal>) {
        self.received = self.received.saturating_sub(1);
        if let Some(refusal) = refused
            && let Some(count) = self.refused.get_mut(&refusal)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.refused.remove(&refusal);
            }
        }
    }

    pub(crate) fn replace(&mut self, old: Option<Refusal>, new: Option<Refusal>) {
        if old != new {
            self.remove(old);
            self.add(new);
        }
    }
}

/// A neighbour with its Adj-RIB-Out.
#[derive(Debug)]
pub(crate) struct Peer {
    pub config: PeerConfig,
    pub counts: PeerCounts,
    /// What it was told.
    pub sent: BTreeMap<IpNet, Route>,
    /// Compare every prefix at the next flush, not only changed ones.
    pub full_pass: bool,
    /// Families that the neighbour asked for again: send them even if nothing changed.
    pub resend: Vec<Family>,
    /// The first flush ends with an End-of-RIB.
    pub owes_end_of_rib: bool,
}

impl Peer {
    pub(crate) fn new(config: PeerConfig) -> Self {
        Self {
            config,
            counts: PeerCounts::default(),
            sent: BTreeMap::new(),
            full_pass: true,
            resend: Vec::new(),
            owes_end_of_rib: true,
        }
    }

    pub(crate) const fn learned(&self, peer: IpAddr) -> Learned {
        Learned {
            peer,
            asn: self.config.asn,
            router_id: self.config.router_id,
            internal: self.config.update.internal,
        }
    }
}
