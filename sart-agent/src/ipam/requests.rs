//! Writes this node's BlockRequests: one per pool it has or wants blocks of, by server-side apply, only where they differ.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use sart_api::{AGENT_MANAGER, BlockRequest, keys, names};
use serde_json::json;
use tokio::sync::watch;
use tracing::warn;

use super::book::AddressBook;
use super::error::RequestFailure;
use super::plan::RequestWant;
use super::view::RequestFact;

/// An API server that does not answer must not hold the next order back for ever.
const TIMEOUT: Duration = Duration::from_secs(10);
/// First wait after a failed write; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Requests by pool; `None` while nothing may be asked for.
pub type Orders = Option<BTreeMap<String, RequestWant>>;

/// The writer.
pub struct RequestWriter {
    client: Client,
    node: String,
    node_uid: Option<String>,
    orders: watch::Receiver<Orders>,
    book: AddressBook,
}

impl RequestWriter {
    /// A writer for this node.
    pub fn new(client: Client, node: String, orders: watch::Receiver<Orders>, book: AddressBook) -> Self {
        Self { client, node, node_uid: None, orders, book }
    }

    /// Runs until the agent ends.
    pub async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        while self.orders.changed().await.is_ok() {
            let Some(wanted) = self.orders.borrow_and_update().clone() else { continue };
            match self.settle(&wanted).await {
                Ok(()) => wait = FIRST_WAIT,
                Err(error) => {
                    warn!(%error, "will be written again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    self.orders.mark_changed();
                }
            }
        }
    }

    async fn settle(&mut self, wanted: &BTreeMap<String, RequestWant>) -> Result<(), RequestFailure> {
        let known = self.book.requests();
        for (pool, want) in wanted {
            let current = known.iter().find(|(_, fact)| fact.pool == *pool);
            if current.is_none_or(|(_, fact)| !is_same(fact, want)) {
                self.write(pool, want, current.map(|(name, _)| name.as_str())).await?;
            }
        }
        for (name, _) in known.iter().filter(|(_, fact)| !wanted.contains_key(&fact.pool)) {
            self.delete(name).await?;
        }
        Ok(())
    }

    /// Writes one; a plain name that belongs to another pool and node is left to them.
    async fn write(
        &mut self,
        pool: &str,
        want: &RequestWant,
        known: Option<&str>,
    ) -> Result<(), RequestFailure> {
        let plain = names::block_request(pool, &self.node);
        let name = known.unwrap_or(&plain);
        match self.apply(name, pool, want).await {
            Err(RequestFailure::Api { source, .. }) if known.is_none() && is_invalid(&source) => {
                self.apply(&names::block_request_apart(pool, &self.node), pool, want).await
            }
            answer => answer,
        }
    }

    async fn apply(&mut self, name: &str, pool: &str, want: &RequestWant) -> Result<(), RequestFailure> {
        let uid = self.node_uid(name).await?;
        let body = json!({
            "apiVersion": BlockRequest::api_version(&()),
            "kind": "BlockRequest",
            "metadata": {
                "name": name,
                "labels": {
                    keys::BLOCK_NODE: names::label_value(&self.node),
                    keys::ADDRESS_POOL: names::label_value(pool),
                },
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": self.node, "uid": uid}],
            },
            "spec": {"pool": pool, "node": self.node, "blocks": want.blocks, "release": want.release},
        });
        let params = PatchParams::apply(AGENT_MANAGER).force();
        let patch = Patch::Apply(&body);
        let api: Api<BlockRequest> = Api::all(self.client.clone());
        let answer = in_time(name, api.patch(name, &params, &patch)).await?;
        self.book.request_written(&answer, &self.node);
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), RequestFailure> {
        let api: Api<BlockRequest> = Api::all(self.client.clone());
        match in_time(name, api.delete(name, &DeleteParams::default())).await {
            Ok(_) => Ok(()),
            Err(RequestFailure::Api { source, .. }) if is_code(&source, 404) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The node owns its requests: they go with it.
    async fn node_uid(&mut self, name: &str) -> Result<String, RequestFailure> {
        if let Some(uid) = &self.node_uid {
            return Ok(uid.clone());
        }
        let api: Api<Node> = Api::all(self.client.clone());
        let uid = in_time(name, api.get(&self.node)).await?.uid().unwrap_or_default();
        self.node_uid = Some(uid.clone());
        Ok(uid)
    }
}

fn is_same(fact: &RequestFact, want: &RequestWant) -> bool {
    fact.blocks == want.blocks && fact.release == want.release
}

fn is_invalid(error: &kube::Error) -> bool {
    is_code(error, 422)
}

fn is_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

async fn in_time<T>(name: &str, answer: impl Future<Output = kube::Result<T>>) -> Result<T, RequestFailure> {
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(RequestFailure::Api { name: name.to_owned(), source: Box::new(source) }),
        Err(_) => Err(RequestFailure::Timeout { name: name.to_owned() }),
    }
}
