//! Every cache and the indexes over them; the one place plans read from. Owned by the engine's task alone.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Service};
use kube::{Resource, ResourceExt as _};
use sart_api::{
    AddressBlock, AddressClaim, AddressPool, AddressType, BGPAdvertisement, BGPPeer, BGPPeerTemplate,
    BlockRequest, ClusterBGP, NodeBGP,
};
use serde::de::DeserializeOwned;

use crate::cache::{Cache, Change};
use crate::key::{Key, Name};
use crate::meta;

/// Prefix → node → peers that carry it, and those of the node that do not.
pub type Announced = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// One change of the world; running it yields the keys to plan.
pub type Update = Box<dyn FnOnce(&mut World) -> Vec<Key> + Send>;

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct World {
    /// Nodes.
    pub nodes: Cache<Node>,
    /// Services.
    pub services: Cache<Service>,
    /// ClusterBGPs.
    pub clusters: Cache<ClusterBGP>,
    /// BGPPeerTemplates.
    pub templates: Cache<BGPPeerTemplate>,
    /// NodeBGPs.
    pub node_bgps: Cache<NodeBGP>,
    /// BGPPeers.
    pub peers: Cache<BGPPeer>,
    /// BGPAdvertisements.
    pub adverts: Cache<BGPAdvertisement>,
    /// AddressPools.
    pub pools: Cache<AddressPool>,
    /// AddressBlocks.
    pub blocks: Cache<AddressBlock>,
    /// BlockRequests.
    pub requests: Cache<BlockRequest>,
    /// AddressClaims.
    pub claims: Cache<AddressClaim>,
    /// Address → Services that record it in their status.
    pub assigned: BTreeMap<IpAddr, BTreeSet<Name>>,
    /// Address → its claim.
    pub claimed: BTreeMap<IpAddr, Name>,
    /// Service → addresses claimed for it.
    pub claims_of: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// Address → Service whose claim is being created now.
    pub reserved: BTreeMap<IpAddr, Name>,
    /// What the nodes report as announced.
    pub announced: Announced,
    /// Services that could not be served.
    pub waiting: BTreeSet<Name>,
    /// UID of a block → when this process first knew that its node is lost, since it started.
    pub lost_since: BTreeMap<String, Duration>,
    /// How long a block of a lost node stays unused.
    pub quarantine: Duration,
}

/// A kind the controller watches.
pub trait Watched:
    Resource<DynamicType = ()> + Clone + core::fmt::Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Its cache.
    fn cache(world: &mut World) -> &mut Cache<Self>;

    /// Keeps the indexes true to the cache.
    fn index(_world: &mut World, _old: Option<&Self>, _new: Option<&Self>) {}

    /// Keys whose plan may differ after the change.
    fn touches(world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key>;
}

impl World {
    /// Whether every first list is complete.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let ours = self.clusters.is_ready() && self.templates.is_ready() && self.node_bgps.is_ready();
        let addresses = self.pools.is_ready() && self.blocks.is_ready() && self.claims.is_ready();
        let addresses = addresses && self.requests.is_ready();
        let core = self.nodes.is_ready() && self.services.is_ready();
        ours && addresses && core && self.peers.is_ready() && self.adverts.is_ready()
    }

    /// Takes a state of an object, newer ones win; returns the keys to plan.
    pub fn put<T: Watched>(&mut self, object: T) -> Vec<Key> {
        let change = T::cache(self).put(object);
        change.map_or_else(Vec::new, |change| self.settle(&change))
    }

    /// Forgets an object; returns the keys to plan.
    pub fn remove<T: Watched>(&mut self, name: &Name, uid: &str) -> Vec<Key> {
        let change = T::cache(self).remove(name, uid);
        change.map_or_else(Vec::new, |change| self.settle(&change))
    }

    /// Ends a list; returns the keys to plan.
    pub fn end_list<T: Watched>(&mut self) -> Vec<Key> {
        let changes = T::cache(self).end_list();
        changes.iter().flat_map(|change| self.settle(change)).collect()
    }

    /// Every key there is, for a new leader.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<Key> {
        let mut keys = self.node_keys();
        keys.insert(Key::Pools);
        keys.extend(self.pod_pools().into_iter().map(Key::Blocks));
        keys.extend(self.cluster_keys());
        keys.extend(self.services.values().map(|s| Key::Service(Name::of(&**s))));
        keys.extend(self.claims_of.keys().cloned().map(Key::Service));
        keys.extend(self.adverts.values().filter_map(|a| meta::service_of(a)).map(Key::Service));
        keys.extend(self.adverts.values().map(|a| Key::Advertisement(Name::of(&**a))));
        keys
    }

    /// A key per node that has or had BGP.
    #[must_use]
    pub fn node_keys(&self) -> BTreeSet<Key> {
        let nodes = self.nodes.values().map(|n| Name::of(&**n));
        let named = nodes.chain(self.node_bgps.values().map(|n| Name::of(&**n)));
        named.map(|name| Key::Node(name.name)).collect()
    }

    /// Every pod pool that exists, is asked for, or has blocks.
    #[must_use]
    pub fn pod_pools(&self) -> BTreeSet<String> {
        let pools = self.pools.values().filter(|p| p.spec.type_ == AddressType::Pod).map(|p| p.name_any());
        let asked = self.requests.values().map(|r| r.spec.pool.clone());
        let cut = self.blocks.values().filter(|b| b.spec.type_ == AddressType::Pod);
        pools.chain(asked).chain(cut.map(|b| b.spec.pool_ref.clone())).collect()
    }

    /// A key per ClusterBGP.
    pub fn cluster_keys(&self) -> impl Iterator<Item = Key> {
        self.clusters.values().map(|c| Key::Cluster(Name::of(&**c).name))
    }

    fn settle<T: Watched>(&mut self, change: &Change<T>) -> Vec<Key> {
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        T::index(self, old, new);
        T::touches(self, old, new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed<T: Watched>(world: &mut World) {
        T::cache(world).begin_list();
        world.end_list::<T>();
    }

    #[test]
    fn issue_7_1_10_the_world_is_ready_only_when_the_last_kind_is_listed() {
        let kinds: [fn(&mut World); 11] = [
            listed::<Node>,
            listed::<Service>,
            listed::<ClusterBGP>,
            listed::<BGPPeerTemplate>,
            listed::<NodeBGP>,
            listed::<BGPPeer>,
            listed::<BGPAdvertisement>,
            listed::<AddressPool>,
            listed::<AddressBlock>,
            listed::<BlockRequest>,
            listed::<AddressClaim>,
        ];
        for last in 0..kinds.len() {
            let mut world = World::default();
            for (at, list) in kinds.iter().enumerate() {
                if at != last {
                    list(&mut world);
                }
            }
            assert!(!world.is_ready(), "kind {last} is not listed yet");
            kinds[last](&mut world);
            assert!(world.is_ready());
        }
    }
}
