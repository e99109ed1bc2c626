//! What every check needs: the lab, kubectl, the routers' answers and the client's requests, already parsed.

use crate::exec;
use crate::lab::Lab;
use crate::lab::inside::CURL_OPTIONS;
use crate::lab::kubectl::Kubectl;
use crate::lab::topology::{CLIENT_NAME, PodNetwork};
use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Namespace of the sample Services.
pub const NAMESPACE: &str = "test";

/// How long a check waits for what it demands. No measure: a machine whose processors are busy elsewhere takes its time.
pub const LIMIT: Duration = Duration::from_secs(90);

/// A Service of the sample, in the order in which they are created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Name of the Service.
    pub service: &'static str,
    /// Name of the Deployment behind it.
    pub deployment: &'static str,
    /// The address it gets when it is created in its turn.
    pub address: &'static str,
    /// `externalTrafficPolicy: Local`.
    pub local: bool,
}

/// The three Services of the article.
pub const SAMPLES: [Sample; 3] = [
    Sample { service: "app-svc-cluster", deployment: "app-cluster", address: "10.0.1.0", local: false },
    Sample { service: "app-svc-local", deployment: "app-local", address: "10.0.1.1", local: true },
    Sample { service: "app-svc-cluster2", deployment: "app-cluster2", address: "10.0.100.20", local: false },
];

/// What the test server answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// When it answered.
    pub timestamp: String,
    /// Address and port of the client as the pod sees them.
    pub from: String,
    /// The pod's own address and port.
    pub to: String,
}

/// A running demo.
#[derive(Debug)]
pub struct Context {
    /// The lab.
    pub lab: Lab,
    /// Its administrator.
    pub kubectl: Kubectl,
    /// The checkout.
    pub workspace: PathBuf,
    /// Whether the lab, and perhaps an older sart in it, was there before.
    pub reused: bool,
}

impl Context {
    /// Looks at a lab that is up.
    ///
    /// # Errors
    /// If its control plane is gone.
    pub fn new(lab: Lab, workspace: PathBuf, reused: bool) -> Result<Self> {
        let kubectl = lab.kubectl()?;
        Ok(Self { lab, kubectl, workspace, reused })
    }

    /// Whether sart gives pods their network too.
    pub fn dual(&self) -> bool {
        self.lab.topology.pods == PodNetwork::Sart
    }

    /// Applies manifests given as text.
    ///
    /// # Errors
    /// If the API server refuses one.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        exec::feed(&mut self.kubectl.command(&["apply", "-f", "-"]), manifests).map(drop)
    }

    /// What a kustomization makes, one manifest each.
    ///
    /// # Errors
    /// If kustomize refuses it.
    pub fn kustomize(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.workspace.join(folder).display().to_string();
        Ok(self.kubectl.run(&["kustomize", &path])?.split("\n---\n").map(str::to_owned).collect())
    }

    /// One HTTP request from the client.
    ///
    /// # Errors
    /// If there is no answer in time, or not the test server's.
    pub fn request(&self, address: &str) -> Result<Answer> {
        let url = format!("http://{address}/");
        let mut command = self.lab.machine(CLIENT_NAME)?.command("curl");
        command.args(CURL_OPTIONS).arg(&url);
        let text = exec::stdout(&mut command)?;
        serde_json::from_str(&text).with_context(|| format!("{url} answers {text:?}"))
    }

    /// Nodes and addresses of the ready endpoints of a Service.
    ///
    /// # Errors
    /// If the API server cannot be asked.
    pub fn ready_endpoints(&self, service: &str) -> Result<BTreeSet<(String, String)>> {
        let label = format!("kubernetes.io/service-name={service}");
        let slices = self.kubectl.json(&["-n", NAMESPACE, "get", "endpointslices", "-l", &label])?;
        let endpoints = list(&slices["items"]).iter().flat_map(|slice| list(&slice["endpoints"]));
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"].as_bool() != Some(false));
        Ok(ready
            .filter_map(|endpoint| {
                Some((
                    endpoint["nodeName"].as_str()?.to_owned(),
                    endpoint["addresses"][0].as_str()?.to_owned(),
                ))
            })
            .collect())
    }

    /// AS number of a node.
    ///
    /// # Errors
    /// If the lab has no such node.
    pub fn asn(&self, node: &str) -> Result<u32> {
        let found = self.lab.topology.nodes.iter().find(|candidate| candidate.name == node);
        Ok(found.ok_or_else(|| anyhow!("the lab has no node {node}"))?.asn)
    }
}

/// The elements of a JSON array; none if it is something else.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The addresses of a pod; none while it waits for them.
///
/// # Errors
/// If its status names something that is no address.
pub fn pod_addresses(pod: &Value) -> Result<Vec<IpAddr>> {
    let texts = list(&pod["status"]["podIPs"]).iter().filter_map(|entry| entry["ip"].as_str());
    texts.map(|text| text.parse().with_context(|| format!("a pod's address that is none: {text}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlay_asks_for_the_test_server_of_this_version() {
        let overlay = include_str!("../../overlay/kustomization.yaml");
        let tag = format!("    newTag: {}\n", env!("CARGO_PKG_VERSION"));
        assert!(overlay.contains(&tag), "{tag} is missing in\n{overlay}");
    }

    #[test]
    fn the_first_service_gets_the_first_address_and_the_last_the_one_it_asks_for() {
        let services = include_str!("../../../manifests/sample/service.yaml");
        let order: Vec<_> =
            SAMPLES.iter().map(|sample| services.find(&format!("name: {}\n", sample.service))).collect();
        assert!(
            order.iter().all(Option::is_some) && order.is_sorted(),
            "the sample has not the order {SAMPLES:?}"
        );
        assert!(services.contains("sart.terassyi.net/loadBalancerIPs: \"10.0.100.20\""));
    }
}
