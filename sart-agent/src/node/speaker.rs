//! Turns NodeBGP and BGPPeers into the speaker's configuration. A peer that cannot work is left out with its reason; the
//! others are configured.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::facts::{BgpFact, ObjectKey, PeerFact, PeerProblem};
use super::observed::Observed;

/// One neighbour of the speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Name of the BGPPeer.
    pub name: String,
    /// Address.
    pub address: IpAddr,
    /// AS number.
    pub asn: u32,
    /// Hold time in seconds; `None` is the speaker's default.
    pub hold_time: Option<u32>,
    /// Keepalive interval in seconds.
    pub keepalive_time: Option<u32>,
    /// Groups, sorted.
    pub groups: Vec<String>,
}

/// The whole configuration of the speaker, paths aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerConfig {
    /// Own AS number.
    pub asn: u32,
    /// Own router id.
    pub router_id: String,
    /// Use several best paths at once.
    pub multipath: Option<bool>,
    /// Prefixes that may be accepted; empty accepts nothing.
    pub import_ranges: Vec<IpNet>,
    /// Prefixes no neighbour may send.
    pub protected: BTreeSet<IpNet>,
    /// Neighbours, by name.
    pub neighbors: Vec<Neighbor>,
}

/// The configuration, and the peers left out of it.
pub(super) type Configured = (Option<SpeakerConfig>, BTreeMap<String, PeerProblem>);

/// `None` leaves an unconfigured speaker alone. A speaker whose NodeBGP has gone keeps its identity and loses its
/// neighbours.
pub(super) fn configure(observed: &Observed) -> Configured {
    let (neighbors, problems) = neighbors(&observed.peers);
    let config = match (&observed.bgp, &observed.speaker.running) {
        (Some(bgp), _) => Some(config(observed, bgp, neighbors)),
        (None, Some((asn, router_id))) => Some(retired(*asn, router_id)),
        (None, None) => None,
    };
    (config, problems)
}

fn config(observed: &Observed, bgp: &BgpFact, neighbors: Vec<Neighbor>) -> SpeakerConfig {
    SpeakerConfig {
        asn: bgp.asn,
        router_id: bgp.router_id.clone(),
        multipath: bgp.multipath,
        import_ranges: bgp.import_ranges.clone(),
        protected: protected(observed),
        neighbors,
    }
}

fn retired(asn: u32, router_id: &str) -> SpeakerConfig {
    SpeakerConfig {
        asn,
        router_id: router_id.to_owned(),
        multipath: None,
        import_ranges: Vec::new(),
        protected: BTreeSet::new(),
        neighbors: Vec::new(),
    }
}

/// Node addresses and API servers: a neighbour's route for one of them would cut the node off.
fn protected(observed: &Observed) -> BTreeSet<IpNet> {
    let kubernetes = ObjectKey::new("default", "kubernetes");
    let api_slices = observed.slices.group(&kubernetes).map(|(_, slice)| slice);
    let node = observed.node.iter().flat_map(|node| node.addresses.iter());
    api_slices
        .flat_map(|slice| &slice.api_servers)
        .chain(node)
        .chain(&observed.api_servers)
        .map(|address| IpNet::from(*address))
        .collect()
}

fn neighbors(peers: &BTreeMap<String, PeerFact>) -> (Vec<Neighbor>, BTreeMap<String, PeerProblem>) {
    let mut owners: BTreeMap<IpAddr, &str> = BTreeMap::new();
    let mut neighbors = Vec::new();
    let mut problems = BTreeMap::new();
    let mut oldest_first: Vec<_> = peers.iter().collect();
    oldest_first.sort_by_key(|(name, peer)| (peer.created, *name));
    for (name, peer) in oldest_first {
        match neighbor(name, peer, &owners) {
            Ok(neighbor) => {
                owners.insert(neighbor.address, name);
                neighbors.push(neighbor);
            }
            Err(problem) => {
                problems.insert(name.clone(), problem);
            }
        }
    }
    neighbors.sort_by(|a: &Neighbor, b| a.name.cmp(&b.name));
    (neighbors, problems)
}

fn neighbor(name: &str, peer: &PeerFact, owners: &BTreeMap<IpAddr, &str>) -> Result<Neighbor, PeerProblem> {
    let address = peer.address.clone()?;
    if peer.asn == 0 {
        return Err(PeerProblem::Asn);
    }
    timers(peer)?;
    if let Some(other) = owners.get(&address) {
        return Err(PeerProblem::Duplicate { other: (*other).to_owned(), address });
    }
    let mut groups = peer.groups.clone();
    groups.sort_unstable();
    groups.dedup();
    Ok(Neighbor {
        name: name.to_owned(),
        address,
        asn: peer.asn,
        hold_time: peer.hold_time,
        keepalive_time: peer.keepalive_time,
        groups,
    })
}

/// RFC 4271 section 4.2: a hold time is zero or at least three seconds and fits 16 bits; section 4.4: keepalives come more
/// often than it runs out.
fn timers(peer: &PeerFact) -> Result<(), PeerProblem> {
    let Some(hold) = peer.hold_time else { return Ok(()) };
    if matches!(hold, 1 | 2) || hold > u32::from(u16::MAX) {
        return Err(PeerProblem::HoldTime(hold));
    }
    match peer.keepalive_time {
        Some(keepalive) if hold > 0 && keepalive >= hold => Err(PeerProblem::Keepalive { keepalive, hold }),
        _ => Ok(()),
    }
}
