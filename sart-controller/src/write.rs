//! Executes what plans ask for: one request per action, fenced by the lease, bounded in time. Decides nothing but release.

use core::time::Duration;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt as _};
use sart_api::{
    AddressBlock, AddressClaim, AddressPool, BGPAdvertisement, BGPPeer, BlockRequest, CONTROLLER_MANAGER,
    ClaimOwner, ClusterBGP, NodeBGP,
};
use serde_json::Value;

use crate::key::Name;
use crate::lease::Fence;
use crate::meta;
use crate::world::{Update, Watched, World};

/// Longest time one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Kinds the controller writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "each variant is the kind of its name")]
pub enum Kind {
    Service,
    ClusterBgp,
    NodeBgp,
    Peer,
    Advertisement,
    Pool,
    Block,
    Request,
    Claim,
}

/// One object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
}

/// One write. The actions of a plan do not depend on each other; what does waits for the next plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Server-side apply.
    Apply(Target, Value),
    /// Server-side apply of the status.
    ApplyStatus(Target, Value),
    /// Creates an object whose name stands for what it claims, so that of all creates exactly one succeeds.
    Create(Target, Value),
    /// Creates the claim of an address.
    Claim(Value),
    /// Deletes a claim after a live look at its owner.
    Release {
        /// Name of the claim.
        claim: String,
        /// UID of the claim.
        uid: String,
        /// The address.
        address: core::net::IpAddr,
        /// Who held it.
        owner: ClaimOwner,
    },
    /// Deletes the block of a lost node, after a live look at the node.
    Reclaim {
        /// The block.
        target: Target,
        /// UID of the block.
        uid: String,
        /// Its node.
        node: String,
    },
    /// Deletes an object, only the one of this UID.
    Delete(Target, String),
    /// Tells people.
    Warn(Box<Event>),
}

/// What a plan asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Independent writes; empty when the world is as it should be.
    pub actions: Vec<Action>,
    /// Services only: it could not be served and waits for a pool or an address.
    pub waits: bool,
    /// When to plan again although nothing has changed.
    pub again: Option<Duration>,
}

impl Plan {
    /// A plan of these writes.
    #[must_use]
    pub fn of(actions: Vec<Action>) -> Self {
        Self { actions, ..Self::default() }
    }
}

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The lease is not ours any more; the next leader writes.
    #[error("not the leader any more: {0} not written")]
    Fenced(String),
    /// No answer in time.
    #[error("no answer to the write of {0} within {TIMEOUT:?}")]
    Timeout(String),
    /// The API server refused.
    #[error("write of {what} failed")]
    Api {
        /// What was written.
        what: String,
        /// The refusal.
        #[source]
        source: kube::Error,
    },
    /// The API server answered with an object we cannot read.
    #[error("answer to the write of {what} is not such an object")]
    Answer {
        /// What was written.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl WriteError {
    /// The word used in metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Fenced(_) => "fenced",
            Self::Timeout(_) => "timeout",
            Self::Api { .. } => "api",
            Self::Answer { .. } => "answer",
        }
    }
}

/// Writes for the leader.
#[derive(Clone)]
pub struct Writer {
    /// The API server.
    pub client: Client,
    /// Says whether we still lead.
    pub fence: Arc<Fence>,
}

impl Writer {
    /// Executes one action; the answer, if any, is a change of the world.
    ///
    /// # Errors
    /// The action did not happen, or may not have.
    pub async fn run(&self, action: Action) -> Result<Option<Update>, WriteError> {
        let what = describe(&action);
        let left = self.fence.left().ok_or_else(|| WriteError::Fenced(what.clone()))?;
        let request = self.request(action, &what);
        tokio::time::timeout(left.min(TIMEOUT), request)
            .await
            .unwrap_or_else(|_| Err(WriteError::Timeout(what.clone())))
    }

    async fn request(&self, action: Action, what: &str) -> Result<Option<Update>, WriteError> {
        match action {
            Action::Apply(target, body) => self.apply(&target, &body, false, what).await.map(Some),
            Action::ApplyStatus(target, body) => self.apply(&target, &body, true, what).await.map(Some),
            Action::Create(target, body) => self.create(&target, body, what).await.map(Some),
            Action::Claim(body) => {
                let name = Name::cluster(body["metadata"]["name"].as_str().unwrap_or_default());
                self.create(&Target { kind: Kind::Claim, name }, body, what).await.map(Some)
            }
            Action::Delete(target, uid) => self.delete(&target, uid, what).await.map(Some),
            Action::Warn(event) => self.warn(*event, what).await.map(|()| None),
            Action::Reclaim { target, uid, node } => {
                let nodes: Api<Node> = Api::all(self.client.clone());
                let live = nodes.get_opt(&node).await.map_err(|source| refused(what, source))?;
                match live.filter(|node| !meta::is_out_of_service(node)) {
                    Some(back) => Ok(Some(Box::new(move |world: &mut World| world.put(back)))),
                    None => self.delete(&target, uid, what).await.map(Some),
                }
            }
            Action::Release { claim, uid, address, owner } => {
                if let Some(live) = self.live_holder(&owner, address, what).await? {
                    // Our cache is behind; planning again with what we saw settles it.
                    return Ok(Some(Box::new(move |world: &mut World| world.put(live))));
                }
                let target = Target { kind: Kind::Claim, name: Name::cluster(&claim) };
                self.delete(&target, uid, what).await.map(Some)
            }
        }
    }

    async fn apply(
        &self,
        target: &Target,
        body: &Value,
        status: bool,
        what: &str,
    ) -> Result<Update, WriteError> {
        let params = PatchParams::apply(CONTROLLER_MANAGER).force();
        let (api, name) = (self.api(target), &target.name.name);
        let answer = if status {
            api.patch_status(name, &params, &Patch::Apply(body)).await
        } else {
            api.patch(name, &params, &Patch::Apply(body)).await
        };
        absorb(target.kind, answer.map_err(|source| refused(what, source))?, what)
    }

    /// Creates the object; when another one stands there it is read, so that the next plan sees whose it is.
    async fn create(&self, target: &Target, body: Value, what: &str) -> Result<Update, WriteError> {
        let object: DynamicObject = parse(body, what)?;
        let api = self.api(target);
        let params =
            PostParams { field_manager: Some(CONTROLLER_MANAGER.to_owned()), ..PostParams::default() };
        let answer = match api.create(&params, &object).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => api.get(&target.name.name).await,
            other => other,
        };
        absorb(target.kind, answer.map_err(|source| refused(what, source))?, what)
    }

    async fn delete(&self, target: &Target, uid: String, what: &str) -> Result<Update, WriteError> {
        let preconditions = Preconditions { uid: Some(uid.clone()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        let answer = self.api(target).delete(&target.name.name, &params).await;
        match answer.map(|answer| answer.left()) {
            // Someone's finalizer keeps the object; it is going.
            Ok(Some(going)) => absorb(target.kind, going, what),
            Ok(None) => Ok(gone(target.clone(), uid)),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                Ok(gone(target.clone(), uid))
            }
            Err(source) => Err(refused(what, source)),
        }
    }

    /// The owner, if it lives under this UID and still records the address.
    async fn live_holder(
        &self,
        owner: &ClaimOwner,
        address: core::net::IpAddr,
        what: &str,
    ) -> Result<Option<Service>, WriteError> {
        let services: Api<Service> = Api::namespaced(self.client.clone(), &owner.namespace);
        let live = services.get_opt(&owner.name).await.map_err(|source| refused(what, source))?;
        let same = live.filter(|service| service.uid().as_deref() == Some(owner.uid.as_str()));
        Ok(same.filter(|service| meta::recorded(service).contains(&address)))
    }

    async fn warn(&self, event: Event, what: &str) -> Result<(), WriteError> {
        let namespace = event.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let answer = api.create(&PostParams::default(), &event).await;
        answer.map(|_| ()).map_err(|source| refused(what, source))
    }

    fn api(&self, target: &Target) -> Api<DynamicObject> {
        let resource = resource(target.kind);
        if target.name.namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &target.name.namespace, &resource)
        }
    }
}

/// The action in words, for errors and logs.
#[must_use]
pub fn describe(action: &Action) -> String {
    match action {
        Action::Apply(target, _) => format!("{:?} {}", target.kind, target.name),
        Action::ApplyStatus(target, _) => format!("status of {:?} {}", target.kind, target.name),
        Action::Create(target, _) => format!("{:?} {}", target.kind, target.name),
        Action::Claim(body) => format!("claim {}", body["metadata"]["name"].as_str().unwrap_or_default()),
        Action::Release { claim, .. } => format!("release of claim {claim}"),
        Action::Reclaim { target, node, .. } => format!("{} of lost node {node}", target.name),
        Action::Delete(target, _) => format!("deletion of {:?} {}", target.kind, target.name),
        Action::Warn(event) => format!("event {}", event.reason.as_deref().unwrap_or_default()),
    }
}

fn refused(what: &str, source: kube::Error) -> WriteError {
    WriteError::Api { what: what.to_owned(), source }
}

fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::Service => ApiResource::erase::<Service>(&()),
        Kind::ClusterBgp => ApiResource::erase::<ClusterBGP>(&()),
        Kind::NodeBgp => ApiResource::erase::<NodeBGP>(&()),
        Kind::Peer => ApiResource::erase::<BGPPeer>(&()),
        Kind::Advertisement => ApiResource::erase::<BGPAdvertisement>(&()),
        Kind::Pool => ApiResource::erase::<AddressPool>(&()),
        Kind::Block => ApiResource::erase::<AddressBlock>(&()),
        Kind::Request => ApiResource::erase::<BlockRequest>(&()),
        Kind::Claim => ApiResource::erase::<AddressClaim>(&()),
    }
}

fn absorb(kind: Kind, answer: DynamicObject, what: &str) -> Result<Update, WriteError> {
    let value = serde_json::to_value(answer)
        .map_err(|source| WriteError::Answer { what: what.to_owned(), source })?;
    match kind {
        Kind::Service => put::<Service>(value, what),
        Kind::ClusterBgp => put::<ClusterBGP>(value, what),
        Kind::NodeBgp => put::<NodeBGP>(value, what),
        Kind::Peer => put::<BGPPeer>(value, what),
        Kind::Advertisement => put::<BGPAdvertisement>(value, what),
        Kind::Pool => put::<AddressPool>(value, what),
        Kind::Block => put::<AddressBlock>(value, what),
        Kind::Request => put::<BlockRequest>(value, what),
        Kind::Claim => put::<AddressClaim>(value, what),
    }
}

fn put<T: Watched>(value: Value, what: &str) -> Result<Update, WriteError> {
    let object: T = parse(value, what)?;
    Ok(Box::new(move |world: &mut World| world.put(object)))
}

fn gone(target: Target, uid: String) -> Update {
    let name = target.name;
    match target.kind {
        Kind::Service => forget::<Service>(name, uid),
        Kind::ClusterBgp => forget::<ClusterBGP>(name, uid),
        Kind::NodeBgp => forget::<NodeBGP>(name, uid),
        Kind::Peer => forget::<BGPPeer>(name, uid),
        Kind::Advertisement => forget::<BGPAdvertisement>(name, uid),
        Kind::Pool => forget::<AddressPool>(name, uid),
        Kind::Block => forget::<AddressBlock>(name, uid),
        Kind::Request => forget::<BlockRequest>(name, uid),
        Kind::Claim => forget::<AddressClaim>(name, uid),
    }
}

fn forget<T: Watched>(name: Name, uid: String) -> Update {
    Box::new(move |world: &mut World| world.remove::<T>(&name, &uid))
}

fn parse<T: serde::de::DeserializeOwned>(value: Value, what: &str) -> Result<T, WriteError> {
    serde_json::from_value(value).map_err(|source| WriteError::Answer { what: what.to_owned(), source })
}

/// API version of our kinds, for bodies and owner references.
#[must_use]
pub fn api_version() -> String {
    ClusterBGP::api_version(&()).into_owned()
}
