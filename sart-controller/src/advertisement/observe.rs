//! An advertisement, and which session of which node carries its prefix.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt as _;
use sart_api::{AdvertiseStatus, BGPAdvertisement};

use crate::key::Name;
use crate::world::World;

/// What decides about the status.
#[derive(Debug, Default)]
pub struct Observed {
    /// The advertisement, if it exists.
    pub advert: Option<Arc<BGPAdvertisement>>,
    /// Peers of the nodes that announce the prefix, as far as they may carry it.
    pub peers: BTreeMap<String, AdvertiseStatus>,
}

/// Reads the caches.
#[must_use]
pub fn observe(world: &World, name: &Name) -> Observed {
    let Some(advert) = world.adverts.get(name).cloned() else { return Observed::default() };
    let groups = advert.spec.groups.clone().unwrap_or_default();
    let empty = BTreeMap::new();
    let nodes = world.announced.get(&advert.spec.cidr).unwrap_or(&empty);
    let mut peers = BTreeMap::new();
    for peer in world.peers.values() {
        let announces = nodes.contains_key(&peer.spec.node_bgp_ref);
        let may = announces && peer.spec.carries(&advert.spec.cidr, &groups);
        if may {
            peers.insert(peer.name_any(), AdvertiseStatus::NotAdvertised);
        }
    }
    for peer in nodes.values().flatten() {
        peers.insert(peer.clone(), AdvertiseStatus::Advertised);
    }
    Observed { advert: Some(advert), peers }
}
