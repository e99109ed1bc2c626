//! Checks with real requests from the client.

use super::context::{Context, SAMPLES};
use super::routes::await_tables;
use crate::lab::topology::CLIENT;
use anyhow::{Result, bail, ensure};
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
    let Some(local) = SAMPLES.iter().find(|sample| sample.local) else {
        bail!("the sample has no Local Service")
    };
    await_tables(context)?;
    let seen = hit(context, local.address, |from| {
        ensure!(
            from.starts_with(&format!("{CLIENT}:")),
            "the pod sees {from} instead of the client's {CLIENT}"
        );
        Ok(())
    })?;
    let ready: BTreeSet<_> = context
        .ready_endpoints(local.service)?
        .into_iter()
        .map(|(_, address)| format!("{address}:8080"))
        .collect();
    ensure!(seen == ready, "{seen:?} answered, ready are {ready:?}");
    Ok(format!("{REQUESTS} requests from {CLIENT}, {} backends", seen.len()))
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
