//! Checks with real requests from the client.

use super::context::{Context, SAMPLES, Sample};
use super::routes::await_tables;
use crate::lab::topology::CLIENT;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;

/// Requests per VIP: enough that two backends behind a fair hash are both hit but for one time in 10^11.
const REQUESTS: usize = 40;

/// Every request to every Cluster VIP is answered.
pub fn cluster_vips_answer(context: &Context) -> Result<String> {
    await_tables(context)?;
    let mut backends = Vec::new();
    for sample in SAMPLES.iter().filter(|sample| !sample.local) {
        let hit = hit(context, sample.address, |_| Ok(()))?;
        backends.push(format!("{}: {REQUESTS} requests, {} backends", sample.address, hit.len()));
    }
    Ok(backends.join("; "))
}

/// Every request to the Local VIP is answered by a local pod that sees the client's own address; all such pods are hit.
pub fn local_vip_keeps_the_client(context: &Context) -> Result<String> {
    await_tables(context)?;
    let requests = hit_only_ready(context, local()?)?;
    Ok(format!("{requests} requests from {CLIENT}, every ready pod hit"))
}

/// The Service of the sample with `externalTrafficPolicy: Local`.
pub fn local() -> Result<&'static Sample> {
    SAMPLES.iter().find(|sample| sample.local).context("the sample has no Local Service")
}

/// Sends requests to the Local VIP: each must come from the client, and the pods that answer must be the ready ones, all.
pub fn hit_only_ready(context: &Context, local: &Sample) -> Result<u64> {
    let seen = hit(context, local.address, |from| {
        ensure!(
            from.starts_with(&format!("{CLIENT}:")),
            "the pod sees {from} instead of the client's {CLIENT}"
        );
        Ok(())
    })?;
    let ready = context.ready_endpoints(local.service)?;
    let ready: BTreeSet<_> = ready.into_iter().map(|(_, address)| format!("{address}:8080")).collect();
    ensure!(seen == ready, "{seen:?} answered, ready are {ready:?}");
    Ok(REQUESTS as u64)
}

/// Sends the requests, looks at each `from`, and returns the backends that answered.
fn hit(context: &Context, address: &str, look: impl Fn(&str) -> Result<()>) -> Result<BTreeSet<String>> {
    let mut backends = BTreeSet::new();
    for _ in 0..REQUESTS {
        let answer = context.request(address)?;
        look(&answer.from)?;
        backends.insert(answer.to);
    }
    Ok(backends)
}
