//! Writes `NodeBGP.status` and each `BGPPeer.status` by server-side apply, only where something changed. Decides no content.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use sart_api::condition::merge;
use sart_api::{AGENT_MANAGER, BGPPeer, BGPPeerStatus, NodeBGP, NodeBGPStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::warn;

use crate::engine::StatusOrder;
use crate::metrics::Metrics;

/// An API server that does not answer must not hold the next, newer report back for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// First wait after a failed write; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why a status was not written.
#[derive(Debug, thiserror::Error)]
enum StatusError {
    #[error("cannot write the status of {kind} {name}: {source}")]
    Api { kind: String, name: String, source: Box<kube::Error> },
    #[error("cannot write the status of {kind} {name}: the API server did not answer within 10 s")]
    Timeout { kind: String, name: String },
}

/// The task's state: what it wrote last.
pub struct StatusWriter {
    client: Client,
    node: String,
    orders: watch::Receiver<Arc<StatusOrder>>,
    metrics: Metrics,
    node_written: Option<NodeBGPStatus>,
    peers_written: BTreeMap<String, BGPPeerStatus>,
}

impl StatusWriter {
    /// A writer for node `node`.
    pub fn new(
        client: Client,
        node: String,
        orders: watch::Receiver<Arc<StatusOrder>>,
        metrics: Metrics,
    ) -> Self {
        Self { client, node, orders, metrics, node_written: None, peers_written: BTreeMap::new() }
    }

    /// Runs until the engine is gone.
    pub async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        while self.orders.changed().await.is_ok() {
            let order = self.orders.borrow_and_update().clone();
            if self.write(&order).await {
                wait = FIRST_WAIT;
            } else {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                self.orders.mark_changed();
            }
        }
    }

    /// Writes what differs; false if anything failed. One failure does not hold the others back.
    async fn write(&mut self, order: &StatusOrder) -> bool {
        let mut complete = true;
        let now = Time(Timestamp::now());
        if let Some(status) = node_status(order, self.node_written.as_ref(), &now) {
            let written = apply::<NodeBGP>(&self.client, &self.node, &status).await;
            if self.count(written) {
                self.node_written = Some(status);
            } else {
                complete = false;
            }
        }
        self.peers_written.retain(|name, _| order.peers.contains_key(name));
        for name in order.peers.keys() {
            let Some(status) = peer_status(order, name, self.peers_written.get(name), &now) else { continue };
            let written = apply::<BGPPeer>(&self.client, name, &status).await;
            if self.count(written) {
                self.peers_written.insert(name.clone(), status);
            } else {
                complete = false;
            }
        }
        complete
    }

    /// True unless the write has to be repeated.
    fn count(&self, written: Result<(), StatusError>) -> bool {
        match written {
            Ok(()) => {
                self.metrics.status_writes.inc();
                true
            }
            // Deleted meanwhile: its watch will say so.
            Err(StatusError::Api { source, .. }) if is_not_found(&source) => true,
            Err(error) => {
                self.metrics.status_failures.inc();
                warn!(%error, "will be written again");
                false
            }
        }
    }
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// The status to write, if it differs from the last one. `clusterBgpRefs` is the controller's and stays out of it.
fn node_status(order: &StatusOrder, written: Option<&NodeBGPStatus>, now: &Time) -> Option<NodeBGPStatus> {
    let report = order.node.as_ref()?;
    let current = written
        .cloned()
        .unwrap_or_else(|| NodeBGPStatus { cluster_bgp_refs: None, ..order.node_status.clone() });
    let wanted = NodeBGPStatus {
        backoff: order.node_backoff,
        cluster_bgp_refs: None,
        peers: Some(report.peers.clone()),
        advertisements: Some(report.advertisements.clone()),
        lost_blocks: (!report.lost_blocks.is_empty()).then(|| report.lost_blocks.clone()),
        conditions: merge(&current.conditions, report.conditions.clone(), now),
    };
    (wanted != current).then_some(wanted)
}

fn peer_status(
    order: &StatusOrder,
    name: &str,
    written: Option<&BGPPeerStatus>,
    now: &Time,
) -> Option<BGPPeerStatus> {
    let session = order.peers.get(name)?;
    let current = written.or_else(|| order.peer_statuses.get(name)).cloned().unwrap_or_default();
    let wanted = BGPPeerStatus {
        backoff: order.peer_backoffs.get(name).copied().unwrap_or_default(),
        conditions: merge(&current.conditions, vec![session.clone()], now),
    };
    (wanted != current).then_some(wanted)
}

async fn apply<K>(client: &Client, name: &str, status: &impl Serialize) -> Result<(), StatusError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    K: Resource<Scope = k8s_openapi::ClusterResourceScope>,
{
    let api: Api<K> = Api::all(client.clone());
    let kind = K::kind(&()).into_owned();
    let body = serde_json::json!({
        "apiVersion": K::api_version(&()),
        "kind": kind,
        "metadata": {"name": name},
        "status": status,
    });
    let params = PatchParams::apply(AGENT_MANAGER).force();
    let patch = Patch::Apply(&body);
    match tokio::time::timeout(WRITE_TIMEOUT, api.patch_status(name, &params, &patch)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(source)) => Err(StatusError::Api { kind, name: name.to_owned(), source: Box::new(source) }),
        Err(_) => Err(StatusError::Timeout { kind, name: name.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use sart_api::Condition;
    use sart_api::condition::{SESSION, SPEAKER};

    use super::*;
    use crate::node::report::NodeReport;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn order() -> StatusOrder {
        let report = NodeReport {
            conditions: vec![Condition::new(SPEAKER, "Available", "Configured", "")],
            ..NodeReport::default()
        };
        let session = Condition::new(SESSION, "Established", "Established", "");
        let peers = BTreeMap::from([("spine0".to_owned(), session)]);
        StatusOrder { node: Some(report), peers, ..StatusOrder::default() }
    }

    #[test]
    fn after_a_restart_an_unchanged_status_is_not_written() {
        let mut order = order();
        let first = node_status(&order, None, &at(1)).unwrap();
        let peer = peer_status(&order, "spine0", None, &at(1)).unwrap();
        order.node_status = NodeBGPStatus { cluster_bgp_refs: Some(vec!["cluster".into()]), ..first };
        order.peer_statuses.insert("spine0".into(), peer);
        assert_eq!(node_status(&order, None, &at(9)), None);
        assert_eq!(peer_status(&order, "spine0", None, &at(9)), None);
    }

    #[test]
    fn a_write_never_names_what_the_controller_owns() {
        let mut order = order();
        order.node_status.cluster_bgp_refs = Some(vec!["cluster".into()]);
        let status = serde_json::to_value(node_status(&order, None, &at(1)).unwrap()).unwrap();
        assert!(status.get("clusterBgpRefs").is_none());
        assert_eq!(status["conditions"][0]["lastTransitionTime"], "1970-01-01T00:00:01Z");
    }
}
