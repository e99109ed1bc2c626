//! A Service, what is claimed and advertised for it, the pools, and who holds every other address.

use core::net::IpAddr;
use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use sart_api::condition::{self, ACCEPTED};
use sart_api::net::Cidr;
use sart_api::{AddressClaim, AddressPool, AddressType, BGPAdvertisement};
use sart_ipam::unusable::Closed;
use sart_ipam::vip::{Ledger, VipPool};

use super::watch::{address_of, owner_of};
use crate::key::Name;
use crate::meta;
use crate::world::World;

/// What decides about a Service.
pub struct Observed<'a> {
    /// Its name.
    pub name: Name,
    /// The Service, if it exists.
    pub service: Option<Arc<Service>>,
    /// Claims held for a Service of this name, by address.
    pub claims: Vec<(IpAddr, Arc<AddressClaim>)>,
    /// Advertisements labelled with this name.
    pub adverts: Vec<Arc<BGPAdvertisement>>,
    /// Pools of type service.
    pub pools: Vec<VipPool>,
    /// Everyone else's addresses.
    pub ledger: Others<'a>,
}

/// The addresses of everyone but one Service.
pub struct Others<'a> {
    world: &'a World,
    me: Name,
    uid: String,
    age: i64,
}

/// Reads the caches.
#[must_use]
pub fn observe<'a>(world: &'a World, name: &Name) -> Observed<'a> {
    let service = world.services.get(name).cloned();
    let addresses = world.claims_of.get(name).into_iter().flatten();
    let claim = |address: &IpAddr| {
        let claim = world.claims.get(world.claimed.get(address)?)?;
        Some((*address, Arc::clone(claim)))
    };
    let prefix = format!("{}-", name.name);
    let adverts = world.adverts.starting_with(&name.namespace, &prefix);
    Observed {
        name: name.clone(),
        claims: addresses.filter_map(claim).collect(),
        adverts: adverts.filter(|a| meta::service_of(a).as_ref() == Some(name)).cloned().collect(),
        pools: world.pools.values().filter_map(|pool| vip_pool(pool)).collect(),
        ledger: Others {
            world,
            me: name.clone(),
            uid: service.as_ref().map(|s| meta::uid(&**s).to_owned()).unwrap_or_default(),
            age: service.as_ref().map_or(i64::MAX, |s| meta::created(&**s)),
        },
        service,
    }
}

fn vip_pool(pool: &AddressPool) -> Option<VipPool> {
    if pool.spec.type_ != AddressType::Service {
        return None;
    }
    let conditions = pool.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let accepted = condition::is_true(conditions, ACCEPTED) && !meta::is_going(pool);
    Some(VipPool {
        name: pool.name_any(),
        net: pool.spec.cidr.parse::<Cidr>().ok()?.net(),
        auto_assign: pool.spec.auto_assign.unwrap_or(false),
        avoid_buggy: pool.spec.avoid_buggy_ips.unwrap_or(false),
        closed: Closed::of(accepted, pool.spec.disabled.unwrap_or(false)),
    })
}

impl Others<'_> {
    /// A claim decides; without one, whoever is writing a claim now, then the oldest Service that records the address.
    fn claimant(&self, address: IpAddr) -> Option<String> {
        if let Some(claim) = self.world.claimed.get(&address).and_then(|name| self.world.claims.get(name)) {
            let owner = claim.spec.owner.as_ref();
            let mine = owner.is_some_and(|o| o.uid == self.uid) && owner_of(claim).as_ref() == Some(&self.me);
            let text = owner.map(|o| format!("{} {}/{}", o.kind, o.namespace, o.name));
            return (!mine).then(|| text.unwrap_or_else(|| format!("AddressClaim {}", claim.name_any())));
        }
        if let Some(holder) = self.world.reserved.get(&address).filter(|holder| **holder != self.me) {
            return Some(format!("Service {holder}"));
        }
        let holders = self.world.assigned.get(&address)?;
        let age = |name: &Name| self.world.services.get(name).map_or(i64::MAX, |s| meta::created(&**s));
        let oldest = holders.iter().map(|name| (age(name), name)).min()?;
        let i_am_oldest = holders.contains(&self.me) && (self.age, &self.me) <= oldest;
        (!i_am_oldest).then(|| format!("Service {}", oldest.1))
    }
}

impl Ledger for Others<'_> {
    fn holder(&self, address: IpAddr) -> Option<String> {
        self.claimant(address)
    }

    fn taken(&self, net: IpNet) -> Box<dyn Iterator<Item = IpAddr> + '_> {
        let range = net.network()..=net.broadcast();
        let claimed = self.world.claimed.range(range.clone()).map(|(address, _)| *address);
        let reserved = self.world.reserved.range(range.clone()).map(|(address, _)| *address);
        let assigned = self.world.assigned.range(range).map(|(address, _)| *address);
        let all: BTreeSet<IpAddr> = claimed.chain(reserved).chain(assigned).collect();
        Box::new(all.into_iter())
    }
}

/// The address of each claim that belongs to this very Service, not to an earlier one of its name.
#[must_use]
pub fn claimed_by(observed: &Observed<'_>, uid: &str) -> Vec<IpAddr> {
    let mine = |claim: &AddressClaim| claim.spec.owner.as_ref().is_some_and(|o| o.uid == uid);
    observed.claims.iter().filter(|(_, c)| mine(c)).filter_map(|(_, c)| address_of(c)).collect()
}
