//! The measured scenarios. Each sample waits for its effect before the next begins, so that samples do not disturb one
//! another.

use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::WatchEvent;

use crate::capture::Capture;
use crate::cluster::{Cluster, external_ip, now};

const PATIENCE: Duration = Duration::from_secs(20);

/// Flips of one endpoint by their direction.
#[derive(Default)]
pub(crate) struct Flips {
    /// To ready.
    pub(crate) announce: OneWay,
    /// And back.
    pub(crate) withdraw: OneWay,
}

/// Times from the request, sample by sample. The API server takes its time by the direction and by what it did right before,
/// so each has its floor in the same flips.
#[derive(Default)]
pub(crate) struct OneWay {
    /// A plain watch client saw the flip.
    pub(crate) floor: Vec<Duration>,
    /// The UPDATE left for the spine.
    pub(crate) update: Vec<Duration>,
}

/// Creations of a Service whose slice already stands: times from the request, sample by sample.
#[derive(Default)]
pub(crate) struct Creates {
    /// A plain watch client saw the Service.
    pub(crate) floor: Vec<Duration>,
    /// It saw the address in the status.
    pub(crate) external_ip: Vec<Duration>,
    /// The announcement left for the spine.
    pub(crate) announce: Vec<Duration>,
}

/// Runs `samples` flips to ready and back.
pub(crate) async fn flips(cluster: &Cluster, capture: &mut Capture, samples: usize) -> anyhow::Result<Flips> {
    let name = "flip";
    cluster.create_slice(name, false).await?;
    cluster.create_service(name).await?;
    let address = tokio::time::timeout(PATIENCE, cluster.address(name))
        .await
        .context("the bench's Service got no address; is a pool with autoAssign there?")??;
    let mut watch = pin!(cluster.watch_slice(name).await?);
    let mut times = Flips::default();
    for sample in 0..=samples {
        capture.drain();
        for ready in [true, false] {
            let sent = cluster.flip(name, ready).await?;
            let seen = saw_flip(&mut watch, ready).await?;
            let update = capture.wait(address, ready).await?;
            // The first pair warms connections and caches and is not counted.
            if sample > 0 {
                let way = if ready { &mut times.announce } else { &mut times.withdraw };
                way.floor.push(seen.saturating_sub(sent));
                way.update.push(update.saturating_sub(sent));
            }
        }
    }
    cluster.delete_service(name).await?;
    cluster.delete_slice(name).await?;
    Ok(times)
}

async fn saw_flip(
    watch: &mut (impl Stream<Item = kube::Result<WatchEvent<EndpointSlice>>> + Unpin),
    ready: bool,
) -> anyhow::Result<Duration> {
    wait_for(watch, |slice: &EndpointSlice| {
        let conditions = slice.endpoints.first().and_then(|endpoint| endpoint.conditions.as_ref());
        conditions.and_then(|conditions| conditions.ready) == Some(ready)
    })
    .await
}

/// Runs `samples` creations, each deleted again once it has been announced.
pub(crate) async fn creates(
    cluster: &Cluster,
    capture: &mut Capture,
    samples: usize,
) -> anyhow::Result<Creates> {
    let mut watch = pin!(cluster.watch_services().await?);
    let mut times = Creates::default();
    for sample in 0..samples {
        let name = format!("create-{sample}");
        cluster.create_slice(&name, true).await?;
        capture.drain();
        let sent = now();
        cluster.create_service(&name).await?;
        let of_sample = |service: &Service| service.metadata.name.as_deref() == Some(name.as_str());
        times.floor.push(wait_for(&mut watch, of_sample).await?.saturating_sub(sent));
        let has_address = |service: &Service| of_sample(service) && external_ip(service).is_some();
        times.external_ip.push(wait_for(&mut watch, has_address).await?.saturating_sub(sent));
        let address = cluster.address(&name).await?;
        times.announce.push(capture.wait(address, true).await?.saturating_sub(sent));
        cluster.delete_service(&name).await?;
        capture.wait(address, false).await?;
        cluster.delete_slice(&name).await?;
    }
    Ok(times)
}

/// Time at which the watch brings an object that fits.
async fn wait_for<K>(
    watch: &mut (impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin),
    fits: impl Fn(&K) -> bool,
) -> anyhow::Result<Duration> {
    let seen = async {
        loop {
            match watch.next().await.context("the watch ended")?? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) if fits(&object) => return Ok(now()),
                WatchEvent::Error(error) => anyhow::bail!("the watch failed: {error:?}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.context("a watch client did not see the change")?
}
