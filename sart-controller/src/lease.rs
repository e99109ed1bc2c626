//! Leadership by a Lease: polls it, takes it when it expires, renews it, and tells writers how long they may still write.
//!
//! A leader that cannot renew stops writing before anyone else may start; it does not exit, it competes again.

pub mod state;

use core::time::Duration;
use std::sync::Mutex;
use std::time::Instant;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;

use state::{Elector, Seen, Step, Terms};

/// Name of the Lease.
pub const NAME: &str = "sart-controller";

/// Until when this process may write.
#[derive(Debug, Default)]
pub struct Fence {
    until: Mutex<Option<Instant>>,
}

impl Fence {
    /// How much longer writes may start; `None` when they may not.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let until = *self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        until?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Lets writes start until this moment, or not at all.
    pub fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = until;
    }
}

/// Competes for the Lease until told to stop, then gives it back.
pub struct Campaign {
    /// The API server.
    pub client: Client,
    /// Namespace of the Lease.
    pub namespace: String,
    /// Who we are.
    pub identity: String,
    /// Durations.
    pub terms: Terms,
    /// Told how long we lead.
    pub fence: std::sync::Arc<Fence>,
    /// Told whether we lead.
    pub leading: watch::Sender<bool>,
}

impl Campaign {
    /// Runs until `stop` changes.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let start = Instant::now();
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut elector = Elector::new(self.identity.clone(), self.terms);
        loop {
            let round = self.round(&api, &mut elector, start);
            if tokio::time::timeout(self.terms.renew, round).await.is_err() {
                tracing::warn!("the API server did not answer about the lease in time");
            }
            let until = elector.leads_until();
            self.fence.set(until.map(|until| start + until));
            let leads = self.fence.left().is_some();
            self.leading.send_if_modified(|was| core::mem::replace(was, leads) != leads);
            tokio::select! {
                () = tokio::time::sleep(self.terms.retry) => {}
                _ = stop.changed() => break,
            }
        }
        self.fence.set(None);
        self.leading.send_replace(false);
        self.give_back(&api).await;
    }

    /// One look at the Lease and one write when it is ours or free.
    async fn round(&self, api: &Api<Lease>, elector: &mut Elector, start: Instant) {
        let lease = match api.get_opt(NAME).await {
            Ok(lease) => lease,
            Err(error) => return tracing::warn!(%error, "cannot read the lease"),
        };
        let now = start.elapsed();
        let step = elector.look(lease.as_ref().map(seen), now);
        let answer = match step {
            Step::Wait => return,
            Step::Create => api.create(&PostParams::default(), &self.filled(None)).await,
            Step::Take => api.replace(NAME, &PostParams::default(), &self.filled(lease)).await,
        };
        match answer {
            Ok(lease) => elector.won(&seen(&lease), now, start.elapsed()),
            Err(error) => tracing::info!(%error, "lease not taken"),
        }
    }

    fn filled(&self, lease: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = lease.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
            ..Lease::default()
        });
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default().saturating_add(1));
            spec.holder_identity = Some(self.identity.clone());
        }
        spec.lease_duration_seconds = i32::try_from(self.terms.lease.as_secs().max(1)).ok();
        spec.renew_time = Some(now);
        lease
    }

    async fn give_back(&self, api: &Api<Lease>) {
        let Ok(Some(mut lease)) = api.get_opt(NAME).await else { return };
        let Some(spec) = lease.spec.as_mut() else { return };
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return;
        }
        spec.holder_identity = None;
        if let Err(error) = api.replace(NAME, &PostParams::default(), &lease).await {
            tracing::info!(%error, "lease not given back; it expires");
        }
    }
}

fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or_default();
    Seen {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(seconds),
    }
}
