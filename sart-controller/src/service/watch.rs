//! Which plans a change of a Service or a claim concerns, and the indexes of who has which address.

use core::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use sart_api::{AddressClaim, names};

use crate::cache::Cache;
use crate::key::{Key, Name};
use crate::meta::recorded;
use crate::world::{Watched, World};

impl Watched for Service {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.services
    }

    fn index(world: &mut World, old: Option<&Self>, new: Option<&Self>) {
        if let Some(service) = old {
            for address in recorded(service) {
                if let Some(holders) = world.assigned.get_mut(&address) {
                    holders.remove(&Name::of(service));
                    if holders.is_empty() {
                        world.assigned.remove(&address);
                    }
                }
            }
        }
        if let Some(service) = new {
            for address in recorded(service) {
                world.assigned.entry(address).or_default().insert(Name::of(service));
            }
        }
    }

    fn touches(world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        let mut keys: Vec<Key> = old.or(new).map(|s| Key::Service(Name::of(s))).into_iter().collect();
        let lost = old.is_some_and(|old| {
            let kept = new.map(recorded).unwrap_or_default();
            recorded(old).iter().any(|address| !kept.contains(address))
        });
        if lost {
            keys.extend(world.waiting.iter().cloned().map(Key::Service));
        }
        keys
    }
}

impl Watched for AddressClaim {
    fn cache(world: &mut World) -> &mut Cache<Self> {
        &mut world.claims
    }

    fn index(world: &mut World, old: Option<&Self>, new: Option<&Self>) {
        if let Some((address, owner)) = old.and_then(holding) {
            world.claimed.remove(&address);
            let emptied = owner.filter(|owner| {
                let addresses = world.claims_of.get_mut(owner);
                addresses.is_some_and(|addresses| addresses.remove(&address) && addresses.is_empty())
            });
            if let Some(owner) = emptied {
                world.claims_of.remove(&owner);
            }
        }
        if let Some((address, owner)) = new.and_then(holding) {
            world.claimed.insert(address, Name::cluster(&names::claim(address)));
            if let Some(owner) = owner {
                world.claims_of.entry(owner).or_default().insert(address);
            }
        }
    }

    fn touches(world: &World, old: Option<&Self>, new: Option<&Self>) -> Vec<Key> {
        let owner = old.or(new).and_then(owner_of).map(Key::Service);
        let freed = new.is_none().then(|| world.waiting.iter().cloned().map(Key::Service));
        owner.into_iter().chain(freed.into_iter().flatten()).collect()
    }
}

/// The address of a claim is its name: that is what the API server keeps unique.
#[must_use]
pub fn address_of(claim: &AddressClaim) -> Option<IpAddr> {
    names::claimed_address(&claim.name_any())
}

fn holding(claim: &AddressClaim) -> Option<(IpAddr, Option<Name>)> {
    Some((address_of(claim)?, owner_of(claim)))
}

/// The Service a claim is held for.
#[must_use]
pub fn owner_of(claim: &AddressClaim) -> Option<Name> {
    let owner = claim.spec.owner.as_ref().filter(|owner| owner.kind == "Service")?;
    Some(Name::new(&owner.namespace, &owner.name))
}
