//! Decides one Service: first its claims, then status and advertisements, and release in the opposite order.
//!
//! A refused request takes nothing and moves nothing: what the Service had stays, and the condition says why.

use core::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use sart_api::net::host_prefix;
use sart_api::{AddressClaim, BGPAdvertisement, keys};
use sart_ipam::vip::{Ledger as _, allocate};
use serde_json::json;

use super::observe::{Observed, claimed_by};
use super::{bodies, request};
use crate::key::Name;
use crate::meta::{self, recorded};
use crate::write::Plan;
use crate::write::{Action, Kind, Target};

/// What the Service shall have.
struct Verdict {
    addresses: Vec<IpAddr>,
    status: &'static str,
    reason: &'static str,
    message: String,
}

/// Plans one Service.
#[must_use]
pub fn plan(observed: &Observed<'_>, now: &Time) -> Plan {
    let Some(service) = &observed.service else { return Plan::of(release(observed, "", &[], &[])) };
    let uid = meta::uid(&**service);
    if !request::is_ours(service) {
        let mut actions = release(observed, uid, &[], &recorded_if_ours(service));
        actions.extend(give_up_status(service));
        return Plan::of(actions);
    }
    // What an earlier Service of this name left goes first, so that its address is free for this one.
    let left = leftovers(observed, uid);
    if !left.is_empty() {
        return Plan::of(left);
    }
    let verdict = judge(service, observed);
    let waits = verdict.status != "True";
    let claimed = claimed_by(observed, uid);
    let missing: Vec<Action> = verdict
        .addresses
        .iter()
        .filter(|address| !claimed.contains(address))
        .map(|address| bodies::claim(service, *address, &observed.pools))
        .collect();
    if !missing.is_empty() {
        return Plan { actions: missing, waits, again: None };
    }
    let mut actions = record(service, &verdict, now);
    actions.extend(advertise(service, observed, &verdict.addresses));
    actions.extend(release(observed, uid, &verdict.addresses, &recorded(service)));
    Plan { actions, waits, again: None }
}

fn judge(service: &Service, observed: &Observed<'_>) -> Verdict {
    let claimed = claimed_by(observed, meta::uid(service));
    let refused =
        |reason, message| Verdict { addresses: kept(service, observed), status: "False", reason, message };
    let request = match request::read(service, &claimed) {
        Ok(request) => request,
        Err(error) => return refused(error.reason(), error.to_string()),
    };
    match allocate(&request, &observed.pools, &observed.ledger) {
        Ok(addresses) => Verdict { addresses, status: "True", reason: "Allocated", message: String::new() },
        Err(refusal) => refused(refusal.reason(), refusal.to_string()),
    }
}

/// Addresses the Service records and no one else holds, as far as they are in pools of ours.
fn kept(service: &Service, observed: &Observed<'_>) -> Vec<IpAddr> {
    let claimed = claimed_by(observed, meta::uid(service));
    let known = |a: &IpAddr| claimed.contains(a) || observed.pools.iter().any(|p| p.net.contains(a));
    let free = |a: &IpAddr| observed.ledger.holder(*a).is_none();
    recorded(service).into_iter().filter(|a| known(a) && free(a)).collect()
}

/// The status write, and the warning when the reason is new.
fn record(service: &Service, verdict: &Verdict, now: &Time) -> Vec<Action> {
    let current = condition(service);
    let wanted = Condition {
        type_: keys::SERVICE_ALLOCATED.to_owned(),
        status: verdict.status.to_owned(),
        reason: verdict.reason.to_owned(),
        message: verdict.message.clone(),
        last_transition_time: current
            .filter(|c| c.status == verdict.status)
            .map_or_else(|| now.clone(), |c| c.last_transition_time.clone()),
        observed_generation: None,
    };
    if recorded(service) == verdict.addresses && current == Some(&wanted) {
        return Vec::new();
    }
    let mut actions = vec![bodies::status(service, &verdict.addresses, Some(json!(wanted)))];
    let is_news = current.is_none_or(|c| c.reason != wanted.reason || c.message != wanted.message);
    if verdict.status != "True" && is_news {
        actions.push(bodies::warning(service, verdict.reason, &verdict.message, now));
    }
    actions
}

fn condition(service: &Service) -> Option<&Condition> {
    let conditions = service.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == keys::SERVICE_ALLOCATED)
}

fn advertise(service: &Service, observed: &Observed<'_>, addresses: &[IpAddr]) -> Vec<Action> {
    let groups = request::groups(service);
    let is_there = |address: &IpAddr| {
        let cidr = host_prefix(*address).to_string();
        let same = |a: &BGPAdvertisement| {
            a.spec.cidr == cidr && a.spec.groups.as_deref().unwrap_or_default() == groups
        };
        observed.adverts.iter().any(|a| same(a))
    };
    addresses.iter().filter(|a| !is_there(a)).map(|a| bodies::advertisement(service, *a)).collect()
}

/// Gives back what is not wanted: the status forgets an address first, then its advertisement goes, then its claim.
fn release(observed: &Observed<'_>, uid: &str, wanted: &[IpAddr], recorded: &[IpAddr]) -> Vec<Action> {
    let mut actions = Vec::new();
    let unwanted = |a: &IpAddr| !wanted.contains(a) && !recorded.contains(a);
    let cidr = |a: &IpAddr| host_prefix(*a).to_string();
    for advert in &observed.adverts {
        let is_used = wanted.iter().chain(recorded).any(|a| cidr(a) == advert.spec.cidr);
        let stale = !is_used || owner_uid(advert) != uid;
        if stale && !meta::is_going(&**advert) && meta::owner(&**advert, "Service").is_some() {
            actions.push(delete_advert(advert));
        }
    }
    for (address, claim) in &observed.claims {
        let advertised = observed.adverts.iter().any(|advert| advert.spec.cidr == cidr(address));
        let stale = unwanted(address) || claim.spec.owner.as_ref().is_none_or(|o| o.uid != uid);
        if stale && !advertised {
            actions.extend(give_back(claim, *address));
        }
    }
    actions
}

/// Claims and advertisements of a Service that had this name before.
fn leftovers(observed: &Observed<'_>, uid: &str) -> Vec<Action> {
    let foreign = |claim: &AddressClaim| claim.spec.owner.as_ref().is_some_and(|o| o.uid != uid);
    let mut actions: Vec<Action> = observed
        .adverts
        .iter()
        .filter(|a| !meta::is_going(&***a) && meta::owner(&***a, "Service").is_some() && owner_uid(a) != uid)
        .map(|a| delete_advert(a))
        .collect();
    let advertised = |address: &IpAddr| {
        let cidr = host_prefix(*address).to_string();
        observed.adverts.iter().any(|a| a.spec.cidr == cidr && owner_uid(a) != uid)
    };
    let claims = observed.claims.iter().filter(|(address, claim)| foreign(claim) && !advertised(address));
    actions.extend(claims.filter_map(|(address, claim)| give_back(claim, *address)));
    actions
}

fn owner_uid(advert: &BGPAdvertisement) -> &str {
    meta::owner(advert, "Service").map(|o| o.uid.as_str()).unwrap_or_default()
}

fn delete_advert(advert: &BGPAdvertisement) -> Action {
    let target = Target { kind: Kind::Advertisement, name: Name::of(advert) };
    Action::Delete(target, meta::uid(advert).to_owned())
}

fn give_back(claim: &AddressClaim, address: IpAddr) -> Option<Action> {
    if meta::is_going(claim) {
        return None;
    }
    Some(Action::Release {
        claim: claim.name_any(),
        uid: meta::uid(claim).to_owned(),
        address,
        owner: claim.spec.owner.clone()?,
    })
}

/// Addresses that still stand in the status of a Service that was ours: they go from there first.
fn recorded_if_ours(service: &Service) -> Vec<IpAddr> {
    if condition(service).is_some() { recorded(service) } else { Vec::new() }
}

/// A Service that is not ours any more loses what we wrote into its status, and nothing else.
fn give_up_status(service: &Service) -> Option<Action> {
    condition(service)?;
    Some(bodies::status(service, &[], None))
}
