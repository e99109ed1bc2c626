//! What the API says about pods, namespaces, pools, blocks and requests of this node; and which pools a pod draws from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use sart_ipam::pod::{ChoiceError, PodPool, choose};

use crate::node::ObjectKey;

/// A pod of this node that has a network of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFact {
    /// Its UID; a static pod's is that of its mirror, and `alias` that of the kubelet.
    pub uid: String,
    /// UID by which the kubelet knows a static pod.
    pub alias: Option<String>,
    /// Annotation `sart.terassyi.net/addresspool`.
    pub pool: Option<String>,
    /// It has no address yet and will get one.
    pub waiting: bool,
    /// Addresses its status reports.
    pub addresses: Vec<IpAddr>,
}

/// An AddressBlock of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFact {
    /// UID.
    pub uid: String,
    /// Pool.
    pub pool: String,
    /// Prefix.
    pub net: IpNet,
    /// Somebody deletes it.
    pub going: bool,
}

/// A BlockRequest of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFact {
    /// Pool.
    pub pool: String,
    /// How many blocks it asks for.
    pub blocks: u32,
    /// UIDs of blocks it gives back.
    pub release: BTreeSet<String>,
    /// The controller has said that the pool is exhausted.
    pub exhausted: Option<String>,
}

/// Which lists are complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Pods of this node.
    pub pods: bool,
    /// Namespaces.
    pub namespaces: bool,
    /// AddressPools.
    pub pools: bool,
    /// Own AddressBlocks.
    pub blocks: bool,
    /// Own BlockRequests.
    pub requests: bool,
}

/// Everything the API says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Complete lists.
    pub synced: Synced,
    /// Pods of this node.
    pub pods: BTreeMap<ObjectKey, PodFact>,
    /// Pool annotation of each namespace.
    pub namespaces: BTreeMap<String, Option<String>>,
    /// Pools of type `pod`.
    pub pools: BTreeMap<String, PodPool>,
    /// Own blocks, by name.
    pub blocks: BTreeMap<String, BlockFact>,
    /// Own requests, by name.
    pub requests: BTreeMap<String, RequestFact>,
}

impl Synced {
    /// Everything is listed.
    pub fn all(self) -> bool {
        self.missing().is_none()
    }

    /// The first kind that is not listed yet.
    pub fn missing(self) -> Option<&'static str> {
        [
            (self.pods, "pods"),
            (self.namespaces, "namespaces"),
            (self.pools, "AddressPools"),
            (self.blocks, "AddressBlocks"),
            (self.requests, "BlockRequests"),
        ]
        .into_iter()
        .find_map(|(done, name)| (!done).then_some(name))
    }
}

impl View {
    /// The pools a pod draws from, IPv4 first. A pod without a name draws from the default pools.
    pub fn choose(&self, namespace: Option<&str>, pod: Option<&PodFact>) -> Result<Vec<String>, ChoiceError> {
        let of_namespace = namespace.and_then(|name| self.namespaces.get(name)).and_then(Option::as_deref);
        let pools: Vec<PodPool> = self.pools.values().cloned().collect();
        let mut chosen = choose(pod.and_then(|pod| pod.pool.as_deref()), of_namespace, &pools)?;
        chosen.sort_by_key(|pool| pool.net.addr().is_ipv6());
        Ok(chosen.into_iter().map(|pool| pool.name.clone()).collect())
    }

    /// The request for a pool and its name.
    pub fn request(&self, pool: &str) -> Option<(&String, &RequestFact)> {
        self.requests.iter().find(|(_, request)| request.pool == pool)
    }

    /// What the controller said when the pool had nothing left.
    pub fn exhausted(&self, pool: &str) -> Option<&str> {
        self.request(pool).and_then(|(_, request)| request.exhausted.as_deref())
    }
}

impl PodFact {
    /// Whether the pod is one of these, by UID.
    pub fn is_one_of(&self, uids: &BTreeSet<&String>) -> bool {
        uids.contains(&self.uid) || self.alias.as_ref().is_some_and(|alias| uids.contains(alias))
    }

    /// Whether the runtime means this pod; it may leave the UID out.
    pub fn is(&self, uid: Option<&str>) -> bool {
        uid.is_none_or(|uid| self.uid == uid || self.alias.as_deref() == Some(uid))
    }
}
