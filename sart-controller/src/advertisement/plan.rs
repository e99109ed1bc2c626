//! Writes an advertisement's status when the folded map differs from what stands there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use sart_api::condition::{self, ADVERTISED, Condition};
use sart_api::{AdvertiseStatus, BGPAdvertisementStatus};
use serde_json::json;

use super::observe::Observed;
use crate::key::Name;
use crate::meta;
use crate::write::Plan;
use crate::write::{Action, Kind, Target, api_version};

/// Plans the status of one advertisement.
#[must_use]
pub fn plan(observed: &Observed, now: &Time) -> Plan {
    let Some(advert) = observed.advert.as_ref().filter(|a| !meta::is_going(&***a)) else {
        return Plan::default();
    };
    let current = advert.status.clone().unwrap_or_default();
    let had = current.peers.clone().unwrap_or_default();
    // A prefix nobody carries yet needs no status: it would be one more write per Service.
    if observed.peers == had {
        return Plan::default();
    }
    let carriers = observed.peers.values().filter(|s| **s == AdvertiseStatus::Advertised).count();
    let text = format!("{carriers} of {} sessions carry the prefix", observed.peers.len());
    let condition = if carriers > 0 {
        Condition::new(ADVERTISED, "True", "Advertised", text)
    } else {
        Condition::new(ADVERTISED, "False", "NoSession", text)
    };
    let wanted = BGPAdvertisementStatus {
        // Left out when it is empty: a map that loses its last entry to a server-side apply becomes null, which its schema refuses.
        peers: Some(observed.peers.clone()).filter(|peers| !peers.is_empty()),
        conditions: condition::merge(
            &current.conditions,
            vec![condition.observed(advert.metadata.generation)],
            now,
        ),
    };
    let name = Name::of(&**advert);
    let body = json!({
        "apiVersion": api_version(),
        "kind": "BGPAdvertisement",
        "metadata": {"name": advert.name_any(), "namespace": name.namespace, "uid": meta::uid(&**advert)},
        "status": wanted,
    });
    Plan::of(vec![Action::ApplyStatus(Target { kind: Kind::Advertisement, name }, body)])
}
