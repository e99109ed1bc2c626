//! Checks that sart and the samples get in and their pods come up.

use super::context::{Context, NAMESPACE, SAMPLES};
use crate::wait::{Patience, until};
use anyhow::{Context as _, Result, bail};
use std::time::Duration;

const WORKLOADS: [&str; 3] = ["deployment/sart-controller", "daemonset/sartd-agent", "daemonset/sartd-bgp"];
const SYSTEM: &str = "kube-system";
const ROLLOUT: &str = "90s";

/// Applies `manifests/lb` or `manifests/dual`; on a lab that was there before, also replaces the pods, since image names do not change.
pub fn apply(context: &Context) -> Result<String> {
    let mode = if context.dual() { "manifests/dual" } else { "manifests/lb" };
    let folder = context.workspace.join(mode).display().to_string();
    let text = context.kubectl.run(&["apply", "-k", &folder])?;
    if context.reused {
        for workload in WORKLOADS {
            context.kubectl.run(&["-n", SYSTEM, "rollout", "restart", workload])?;
        }
    }
    Ok(format!("{} objects", text.lines().count()))
}

/// Every replica of every workload is available.
pub fn workloads_are_available(context: &Context) -> Result<String> {
    for workload in WORKLOADS {
        roll_out(context, SYSTEM, workload)?;
    }
    Ok(WORKLOADS.join(", "))
}

/// All of the sample but the Services, whose order decides their addresses.
pub fn samples_are_accepted(context: &Context) -> Result<String> {
    let manifests: Vec<_> =
        context.kustomize("e2e/overlay")?.into_iter().filter(|manifest| !is_service(manifest)).collect();
    // The API server serves a new kind a moment after it was told about it.
    until("samples", Patience::once(Duration::from_secs(20)), || context.apply(&manifests.join("\n---\n")))?;
    Ok(format!("{} objects", manifests.len()))
}

/// The sample's pods are ready.
pub fn test_servers_are_available(context: &Context) -> Result<String> {
    for sample in SAMPLES {
        roll_out(context, NAMESPACE, &format!("deployment/{}", sample.deployment))?;
    }
    let pods = context.kubectl.run(&["-n", NAMESPACE, "get", "pods", "--no-headers"])?;
    Ok(format!("{} pods", pods.lines().count()))
}

/// The manifest of one Service of the sample.
pub fn service(context: &Context, name: &str) -> Result<String> {
    let manifests = context.kustomize("e2e/overlay")?;
    let named = format!("  name: {name}\n");
    manifests
        .into_iter()
        .find(|manifest| is_service(manifest) && manifest.contains(&named))
        .with_context(|| format!("the sample has no Service {name}"))
}

/// Waits until a rollout is complete; on failure says what the pods say.
pub fn roll_out(context: &Context, namespace: &str, workload: &str) -> Result<()> {
    let timeout = format!("--timeout={ROLLOUT}");
    let Err(error) = context.kubectl.run(&["-n", namespace, "rollout", "status", workload, &timeout]) else {
        return Ok(());
    };
    let pods = context.kubectl.run(&["-n", namespace, "get", "pods", "-o", "wide"])?;
    bail!("{error:#}\n{pods}")
}

fn is_service(manifest: &str) -> bool {
    manifest.lines().any(|line| line == "kind: Service")
}
