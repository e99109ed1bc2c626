//! What a start makes of journal and kernel: which attachments stand, which are half done, which are gone. Pure; the kernel
//! decides what exists, the journal what was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sart_fib::Route;
use sart_netlink::pod::PairLink;

use super::addresses::PodAddress;
use super::attachment::{self, Attachment, AttachmentKey};
use super::journal::{Gone, Ledger};
use super::network::Observed;

/// One thing to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// A link without a life: of an ADD that nobody was told of, or of a DEL cut short.
    Unlink(String),
    /// A route over a link that is gone.
    Unroute(Route),
    /// Stands: the ledger takes its addresses back. True if its routes have to be written again.
    Adopt(Attachment, bool),
    /// Stands in the kernel alone: the journal takes it back as well.
    Recover(Attachment),
    /// Is gone: its addresses cool down from now.
    Release(AttachmentKey, Vec<PodAddress>),
    /// Was let go by an earlier process: its addresses go on cooling down.
    Cool(Gone),
}

/// The repairs, in the order of their variants and then of their keys.
#[must_use]
pub fn plan(ledger: &Ledger, observed: &Observed) -> Vec<Repair> {
    let links: BTreeMap<&str, &PairLink> =
        observed.links.iter().map(|link| (link.link.name.as_str(), link)).collect();
    let (mut stale, mut standing, mut released) = (Vec::new(), Vec::new(), Vec::new());
    let mut known = BTreeSet::new();
    for (key, (attachment, made)) in &ledger.live {
        let name = attachment::link_name(key);
        let link = links.get(name.as_str()).filter(|link| link.alias == attachment::alias(key));
        known.insert(name.clone());
        match (link, made) {
            (Some(link), true) => standing.push(adopt(attachment, link, observed)),
            (found, _) => {
                stale.extend(found.map(|_| Repair::Unlink(name)));
                released.push(Repair::Release(key.clone(), attachment.addresses.clone()));
            }
        }
    }
    for (name, link) in &links {
        if !known.contains(*name) {
            match recover(link, ledger, observed) {
                Some(attachment) => standing.push(Repair::Recover(attachment)),
                None => stale.push(Repair::Unlink((*name).to_owned())),
            }
        }
    }
    let live: BTreeSet<u32> = standing.iter().filter_map(ifindex).collect();
    let unrouted = observed.routes.iter().filter(|found| !leads_to(&found.route, &live));
    let mut repairs = stale;
    repairs.extend(unrouted.map(|found| Repair::Unroute(found.route.clone())));
    repairs.extend(standing);
    repairs.extend(released);
    repairs.extend(ledger.gone.values().cloned().map(Repair::Cool));
    repairs
}

fn ifindex(repair: &Repair) -> Option<u32> {
    match repair {
        Repair::Adopt(attachment, _) | Repair::Recover(attachment) => Some(attachment.ifindex),
        _ => None,
    }
}

fn leads_to(route: &Route, links: &BTreeSet<u32>) -> bool {
    route.legs.iter().all(|leg| links.contains(&leg.ifindex))
}

fn adopt(attachment: &Attachment, link: &PairLink, observed: &Observed) -> Repair {
    let mut found = attachment.clone();
    (found.ifindex, found.pod_ifindex) = (link.link.index, link.peer);
    let routed = found.ips().all(|address| {
        let wanted = attachment::route(address, link.link.index);
        observed.routes.iter().any(|have| have.route == wanted)
    });
    let neighboured = found.ips().all(|address| {
        let mut neighbours = observed.neighbours.iter();
        neighbours
            .any(|have| (have.ifindex, have.address, have.mac) == (link.link.index, address, found.pod_mac))
    });
    Repair::Adopt(found, !(routed && neighboured))
}

/// A link that the journal has lost, if it tells enough: whose it is, and by its routes which addresses it has.
fn recover(link: &PairLink, ledger: &Ledger, observed: &Observed) -> Option<Attachment> {
    let key = attachment::key_of(&link.alias)?;
    if ledger.gone.contains_key(&key) || attachment::link_name(&key) != link.link.name {
        return None;
    }
    let index = link.link.index;
    let routes =
        observed.routes.iter().filter(|found| found.route.legs.iter().any(|leg| leg.ifindex == index));
    let mut addresses: Vec<IpAddr> = routes.map(|found| found.route.key.prefix.addr()).collect();
    addresses.sort_unstable();
    let mac = observed.neighbours.iter().find(|have| have.ifindex == index).map(|have| have.mac)?;
    // The ledger knows the pool by the address; its name was in the journal alone.
    let pooled = addresses.into_iter().map(|address| PodAddress { address, pool: String::new() });
    let attachment = Attachment {
        pod: String::new(),
        netns: String::new(),
        addresses: pooled.collect(),
        host_mac: link.mac,
        pod_mac: mac,
        mtu: link.link.mtu,
        ifindex: index,
        pod_ifindex: link.peer,
        // The dataplane knows by its marks.
        shaped: false,
        key,
    };
    (!attachment.addresses.is_empty()).then_some(attachment)
}

#[cfg(test)]
pub(super) mod tests;
