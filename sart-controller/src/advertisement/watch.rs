//! Which plans a change of an advertisement or of a node's report concerns, and the index of the reports.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;
use sart_api::{AdvertisedPrefix, BGPAdvertisement, NodeBGP};

use crate::block;
use crate::cache::Cache;
use crate::key::{Key, Name};
use crate::meta;
use crate::world::{Announced, Watched, World};

impl Watched for BGPAdvertisement {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.adverts
    }

    fn touches(world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        let mut keys = Vec::new();
        let facts = |a: &BGPAdvertisement| (a.uid(), a.spec.clone(), a.metadata.deletion_timestamp.clone());
        if old.map(facts) != new.map(facts) {
            keys.extend(old.or(new).and_then(meta::service_of).map(Key::Service));
            keys.extend(old.or(new).and_then(|a| block::watch::pool_of_advert(world, a)));
            keys.extend(new.map(|a| Key::Advertisement(Name::of(a))));
        }
        keys
    }
}

/// Takes a node's report into the index.
pub fn index_reports(announced: &mut Announced, old: Option<&NodeBGP>, new: Option<&NodeBGP>) {
    if let Some(node_bgp) = old {
        for report in reports(node_bgp) {
            if let Some(nodes) = announced.get_mut(&report.prefix) {
                nodes.remove(&node_bgp.name_any());
                if nodes.is_empty() {
                    announced.remove(&report.prefix);
                }
            }
        }
    }
    if let Some(node_bgp) = new {
        for report in reports(node_bgp) {
            let peers: BTreeSet<String> = report.peers.iter().cloned().collect();
            announced.entry(report.prefix.clone()).or_default().insert(node_bgp.name_any(), peers);
        }
    }
}

/// Advertisements whose prefix the node reports differently now.
pub fn touched_by_reports(world: &World, old: Option<&NodeBGP>, new: Option<&NodeBGP>) -> Vec<Key> {
    let (before, after) = (by_prefix(old), by_prefix(new));
    let prefixes = before.keys().chain(after.keys());
    let changed: BTreeSet<&str> = prefixes.filter(|p| before.get(*p) != after.get(*p)).copied().collect();
    if changed.is_empty() {
        return Vec::new();
    }
    let meant = world.adverts.values().filter(|a| changed.contains(a.spec.cidr.as_str()));
    meant.map(|a| Key::Advertisement(Name::of(&**a))).collect()
}

fn by_prefix(node_bgp: Option<&NodeBGP>) -> BTreeMap<&str, &[String]> {
    node_bgp.into_iter().flat_map(reports).map(|r| (r.prefix.as_str(), r.peers.as_slice())).collect()
}

fn reports(node_bgp: &NodeBGP) -> impl Iterator<Item = &AdvertisedPrefix> {
    node_bgp.status.iter().flat_map(|s| s.advertisements.iter().flatten())
}
