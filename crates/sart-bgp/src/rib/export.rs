//! What one neighbour is told about one prefix (RFC 4271 sections 5.1 and 9.1.3): which path, with which attributes and
//! next hop. Only the rule; must never remember what was sent.

use core::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::RibConfig;
use super::decision::DEFAULT_LOCAL_PREF;
use super::destination::{Destination, Learned, Path};
use super::intern::Interner;
use super::peer::PeerConfig;
use crate::config::{LocalPath, TransitPolicy};
use crate::family::Family;
use crate::policy::{Changes, Facts, NextHopChange, Source, Verdict};
use crate::wire::attr::{Attributes, NextHop};

/// RFC 1997: not beyond our AS.
const NO_EXPORT: u32 = 0xffff_ff01;
/// RFC 1997: to nobody.
const NO_ADVERTISE: u32 = 0xffff_ff02;
/// RFC 1997: not beyond our member AS, which without confederations is our AS.
const NO_EXPORT_SUBCONFED: u32 = 0xffff_ff03;
/// RFC 4360 section 3.1: the bit of an extended community that keeps it inside its AS.
const EXT_NON_TRANSITIVE: u64 = 0x40 << 56;

/// A route as one neighbour sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Attributes, shared.
    pub attributes: Arc<Attributes>,
    /// Next hop.
    pub next_hop: NextHop,
}

/// What is known about a prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub prefix: &'a IpNet,
    pub destination: &'a Destination,
    pub local: Option<&'a LocalPath>,
}

/// The route to announce; `None` means that the neighbour must not have one.
pub(crate) fn route(
    config: &RibConfig,
    (address, peer): (IpAddr, &PeerConfig),
    known: Known<'_>,
    interner: &mut Interner,
) -> Option<Route> {
    let family = Family::of_prefix(known.prefix);
    if !peer.update.families.contains(&family) {
        return None;
    }
    let path = eligible(config, known)?;
    let own_next_hop = peer.next_hops.next_hop(family);
    let next_hop = match path.learned {
        None => {
            let local = known.local?;
            own_next_hop.filter(|_| local.is_for(&peer.groups))
        }
        Some(learned) if !may_pass_on(path, learned, (address, peer)) => None,
        // RFC 4271 section 5.1.3: an internal neighbour gets the external next hop as it is.
        Some(_) if peer.update.internal => path.next_hop,
        Some(_) => own_next_hop,
    }?;
    let changes = policy(peer, known.prefix, path)?;
    let next_hop = match changes.next_hop {
        None => next_hop,
        Some(NextHopChange::Own) => own_next_hop?,
        Some(NextHopChange::Unchanged) => path.next_hop.or(own_next_hop)?,
        Some(NextHopChange::Address(address)) => address,
    };
    // RFC 8950 is not negotiated here.
    if next_hop.is_ipv4() != (family == Family::IPV4_UNICAST) {
        return None;
    }
    let attributes = rewrite(config.asn, path, peer.update.internal, &changes);
    let next_hop = NextHop { address: next_hop, link_local: None };
    Some(Route { attributes: interner.intern(attributes), next_hop })
}

/// What the neighbour's export chain changes; `None` if it refuses.
fn policy(peer: &PeerConfig, prefix: &IpNet, path: &Path) -> Option<Changes> {
    let source = path.learned.map_or(Source::Local, |learned| learned.policy_source());
    let facts = Facts { attributes: &path.attributes, next_hop: path.next_hop, source };
    match peer.policies.export.evaluate(prefix, &facts) {
        Verdict::Accept(changes) => Some(changes),
        Verdict::Reject(_) => None,
    }
}

/// The path that may leave at all. Without transit our own one does, whatever neighbours say about the prefix.
fn eligible<'a>(config: &RibConfig, known: Known<'a>) -> Option<&'a Path> {
    match config.transit {
        TransitPolicy::LocalOnly => known.destination.local(),
        TransitPolicy::Full => known.destination.best(),
    }
}

/// Whether a neighbour's path may go to another one.
fn may_pass_on(path: &Path, from: Learned, (to, peer): (IpAddr, &PeerConfig)) -> bool {
    let internal = peer.update.internal;
    let stays = path.attributes.communities.iter().any(|community| match *community {
        NO_ADVERTISE => true,
        NO_EXPORT | NO_EXPORT_SUBCONFED => !internal,
        _ => false,
    });
    // Split horizon; and what came from inside does not go inside again (RFC 4271 section 9.2).
    !stays && from.peer != to && !(from.internal && internal)
}

fn rewrite(asn: u32, path: &Path, internal: bool, changes: &Changes) -> Attributes {
    let mut attributes = Attributes::clone(&path.attributes);
    changes.apply(&mut attributes);
    if internal {
        attributes.local_pref = Some(attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF));
        return attributes;
    }
    attributes.as_path = attributes.as_path.prepended(asn);
    attributes.local_pref = None;
    attributes.originator_id = None;
    attributes.cluster_list.clear();
    if path.learned.is_some() {
        // RFC 4271 section 5.1.4: a MED received is not passed on to another AS; one that we set is.
        attributes.med = changes.med;
        attributes.ext_communities.retain(|community| community & EXT_NON_TRANSITIVE == 0);
    }
    attributes
}
