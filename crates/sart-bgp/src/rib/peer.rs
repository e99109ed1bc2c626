//! A neighbour whose session is up, as the tables see it. Only state; rules are in `import` and `export`.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use super::answers::Answers;
use super::decision::Source;
use super::import::Refusal;
use super::key::TABLES;
use super::lag::Progress;
use super::table::PeerId;
use crate::config::PeerPolicies;
use crate::family::{Family, LocalAddresses};
use crate::policy::{self, Signature};
use crate::wire::capability::Role;
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
    /// Messages to it may have 65535 octets (RFC 8654).
    pub extended_messages: bool,
    /// How many paths of a prefix it is told with path identifiers (RFC 7911), by family; 0 is the best one without.
    pub send_paths: Vec<(Family, u8)>,
    /// It is told at most so many routes of each family.
    pub export_limit: Option<u32>,
    /// It is a route reflector client (RFC 4456); only for iBGP.
    pub reflector_client: bool,
    /// An eBGP path has to begin with its AS.
    pub enforce_first_as: bool,
    /// What we are to it (RFC 9234); only for eBGP.
    pub role: Option<Role>,
    /// Repeating a family is framed by markers (RFC 7313).
    pub marks_refresh: bool,
}

impl PeerConfig {
    /// A neighbour in AS `asn` without policies, that is no route reflector client and belongs to no group.
    #[must_use]
    pub fn new(asn: u32, router_id: Ipv4Addr, update: UpdateContext, next_hops: LocalAddresses) -> Self {
        Self {
            asn,
            router_id,
            update,
            groups: Vec::new(),
            next_hops,
            policies: PeerPolicies::accept_all(),
            extended_messages: false,
            send_paths: Vec::new(),
            export_limit: None,
            reflector_client: false,
            enforce_first_as: false,
            role: None,
            marks_refresh: false,
        }
    }
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
}

/// [`PeerCounts`] while they change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub received: [u64; TABLES],
    /// By the code of the reason; 0 is accepted.
    judged: [[u64; Refusal::ALL.len() + 1]; TABLES],
}

impl Tally {
    pub(crate) fn add(&mut self, table: usize, refused: u8) {
        self.received[table] += 1;
        self.judged[table][usize::from(refused)] += 1;
    }

    pub(crate) fn remove(&mut self, table: usize, refused: u8) {
        self.received[table] -= 1;
        self.judged[table][usize::from(refused)] -= 1;
    }

    /// Prefixes of one table that are accepted.
    pub(crate) const fn accepted(&self, table: usize) -> u64 {
        self.judged[table][0]
    }

    pub(crate) fn counts(&self) -> PeerCounts {
        let all = |why: Refusal| self.judged.iter().map(|judged| judged[usize::from(why.code())]).sum();
        let refused = Refusal::ALL.into_iter().map(|why| (why, all(why)));
        PeerCounts {
            received: self.received.iter().sum(),
            refused: refused.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// A neighbour.
#[derive(Debug)]
pub(crate) struct Peer {
    pub id: PeerId,
    pub address: IpAddr,
    pub config: PeerConfig,
    pub tally: Tally,
    /// What its import chain said.
    pub judged: Answers<Signature>,
    /// The update group it belongs to.
    pub group: usize,
    pub progress: Progress,
    /// Octets handed out and not yet reported as sent.
    pub backlog: usize,
    /// The most that [`Peer::backlog`] has been.
    pub backlog_high: usize,
    /// Families whose End-of-RIB has still to be told.
    pub owes_end_of_rib: Vec<Family>,
    /// Families whose end of repetition has still to be told (RFC 7313).
    pub owes_end_of_refresh: Vec<Family>,
    /// Families that it asked for again before it was told their End-of-RIB.
    pub asked_early: Vec<Family>,
}

impl Peer {
    /// As policies know it.
    pub(crate) const fn policy_source(&self) -> policy::Source {
        if self.config.update.internal {
            policy::Source::Internal(self.address)
        } else {
            policy::Source::External(self.address)
        }
    }

    pub(crate) const fn source(&self) -> Source {
        Source {
            address: self.address,
            router_id: self.config.router_id.to_bits(),
            internal: self.config.update.internal,
        }
    }
}

/// Every neighbour whose session is up, by number and by address.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// Number 0 is ourselves.
    list: Vec<Option<Peer>>,
    numbers: BTreeMap<IpAddr, PeerId>,
    free: Vec<PeerId>,
    /// Numbers that Adj-RIBs-Out may still name.
    retired: Vec<PeerId>,
}

impl Peers {
    /// A number for a neighbour; `None` if 65,535 sessions are up.
    pub(crate) fn add(&mut self, address: IpAddr, make: impl FnOnce(PeerId) -> Peer) -> Option<PeerId> {
        if self.list.is_empty() {
            self.list.push(None);
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None => PeerId(u16::try_from(self.list.len()).ok()?),
        };
        if id.at() == self.list.len() {
            self.list.push(None);
        }
        self.list[id.at()] = Some(make(id));
        self.numbers.insert(address, id);
        Some(id)
    }

    pub(crate) fn remove(&mut self, address: IpAddr) -> Option<Peer> {
        let id = self.numbers.remove(&address)?;
        self.retired.push(id);
        self.list[id.at()].take()
    }

    /// No Adj-RIB-Out names a former neighbour any more.
    pub(crate) fn recycle(&mut self) {
        self.free.append(&mut self.retired);
    }

    pub(crate) fn find(&self, address: IpAddr) -> Option<PeerId> {
        self.numbers.get(&address).copied()
    }

    pub(crate) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.list.get(id.at())?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.list.get_mut(id.at())?.as_mut()
    }

    pub(crate) fn by_address(&self, address: IpAddr) -> Option<&Peer> {
        self.get(self.find(address)?)
    }

    /// In order of address.
    pub(crate) fn ids(&self) -> Vec<PeerId> {
        self.numbers.values().copied().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.list.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.list.iter_mut().flatten()
    }
}
