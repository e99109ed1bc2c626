//! Plans one pod pool at once, so that two of its requests never race for a slot.

use core::time::Duration;
use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use sart_api::AddressBlock;

use super::observe::{NAMESPACE, Observed};
use super::{bodies, grant, lost};
use crate::key::Name;
use crate::meta;
use crate::write::{Action, Kind, Plan, Target};

/// Plans the requests, blocks and advertisements of one pool.
#[must_use]
pub fn plan(observed: &Observed, now: &Time) -> Plan {
    let leaving = released(observed);
    let mut actions: Vec<Action> = Vec::new();
    let mut again: Option<Duration> = None;
    for block in observed.blocks.iter().filter(|b| !meta::is_going(&***b)) {
        if leaving.contains(meta::uid(&**block)) {
            actions.push(delete(block));
            continue;
        }
        let fate = lost::judge(observed, block, now);
        again = [again, fate.again].into_iter().flatten().min();
        if fate.reuse {
            let target = Target { kind: Kind::Block, name: Name::of(&**block) };
            let node = block.spec.node_ref.clone().unwrap_or_default();
            actions.push(Action::Reclaim { target, uid: meta::uid(&**block).to_owned(), node });
            continue;
        }
        actions.extend(bodies::label(block, fate.is_lost));
        actions.extend(bodies::block_status(observed, block, fate.condition, now));
        actions.extend(bodies::advertisement(observed, block));
    }
    actions.extend(grant::answer(observed, &leaving, now));
    actions.extend(orphans(observed));
    Plan { actions, again, ..Plan::default() }
}

/// Blocks their own node gives back, by UID.
fn released(observed: &Observed) -> BTreeSet<String> {
    let node_of = |uid: &str| {
        let block = observed.blocks.iter().find(|b| meta::uid(&***b) == uid);
        block.and_then(|b| b.spec.node_ref.clone())
    };
    let mut released = BTreeSet::new();
    for request in &observed.requests {
        let uids = request.spec.release.iter().flatten();
        released.extend(uids.filter(|uid| node_of(uid).as_ref() == Some(&request.spec.node)).cloned());
    }
    released
}

fn delete(block: &AddressBlock) -> Action {
    Action::Delete(Target { kind: Kind::Block, name: Name::of(block) }, meta::uid(block).to_owned())
}

/// Advertisements of blocks that are gone; those of others stay untouched.
fn orphans(observed: &Observed) -> impl Iterator<Item = Action> {
    let stands = |uid: &str| observed.blocks.iter().any(|b| meta::uid(&**b) == uid);
    observed.adverts.iter().filter_map(move |advert| {
        let owner = meta::owner(&**advert, "AddressBlock")?;
        let ours = advert.namespace().as_deref() == Some(NAMESPACE);
        if !ours || stands(&owner.uid) || meta::is_going(&**advert) {
            return None;
        }
        let target = Target { kind: Kind::Advertisement, name: Name::of(&**advert) };
        Some(Action::Delete(target, meta::uid(&**advert).to_owned()))
    })
}
