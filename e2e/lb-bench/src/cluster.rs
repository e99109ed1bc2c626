//! The bench's own objects in the cluster: a namespace with selector-less LoadBalancer Services whose EndpointSlices it
//! writes itself, so that a flip is exactly one API request.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use futures::{Stream, TryStreamExt};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

/// Namespace of everything the bench creates, and name of its pool.
const NAMESPACE: &str = "lb-bench";
/// How long a namespace may take to go.
const GOING: Duration = Duration::from_secs(60);
/// Room for every Service of a run: those of the samples' pools would not do.
const POOL: &str = "10.64.0.0/20";

/// A client and the names it works with.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    node: String,
    pod: Ipv4Addr,
}

/// The wall clock, since the epoch: the same clock that stamps captured packets.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl Cluster {
    /// Connects with the administrator's kubeconfig.
    pub(crate) async fn connect(kubeconfig: &Path, node: &str, pod: Ipv4Addr) -> anyhow::Result<Self> {
        let file =
            Kubeconfig::read_from(kubeconfig).with_context(|| format!("read {}", kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self { client: Client::try_from(config)?, node: node.to_owned(), pod })
    }

    /// Makes the namespace.
    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        let left_behind = || {
            format!(
                "make namespace {NAMESPACE} (a run that was killed leaves it and a pool of its name behind: delete both)"
            )
        };
        self.namespaces().create(&PostParams::default(), &namespace).await.with_context(left_behind)?;
        let pool = serde_json::from_value(json!({
            "apiVersion": "sart.terassyi.net/v1alpha2", "kind": "AddressPool", "metadata": {"name": NAMESPACE},
            "spec": {"cidr": POOL, "type": "service"},
        }))?;
        self.pools().create(&PostParams::default(), &pool).await?;
        Ok(())
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    fn pools(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("sart.terassyi.net", "v1alpha2", "AddressPool");
        Api::all_with(self.client.clone(), &ApiResource::from_gvk(&kind))
    }

    /// Removes every Service (so that addresses are given back), the pool and the namespace, and waits until that is gone:
    /// the next run makes one of the same name.
    pub(crate) async fn clean_up(&self) -> anyhow::Result<()> {
        for service in self.services().list(&kube::api::ListParams::default()).await? {
            self.delete_service(service.metadata.name.as_deref().unwrap_or_default()).await?;
        }
        self.pools().delete(NAMESPACE, &DeleteParams::default()).await?;
        self.namespaces().delete(NAMESPACE, &DeleteParams::default()).await?;
        let gone = async {
            while self.namespaces().get_opt(NAMESPACE).await?.is_some() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        };
        let late = || format!("namespace {NAMESPACE} is still there {GOING:?} after its deletion");
        tokio::time::timeout(GOING, gone).await.with_context(late)?
    }

    fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn slices(&self) -> Api<EndpointSlice> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Creates a `Local` Service without selector.
    pub(crate) async fn create_service(&self, name: &str) -> anyhow::Result<()> {
        let service = serde_json::from_value(json!({
            "metadata": {"name": name, "annotations": {"sart.terassyi.net/addresspool": NAMESPACE}},
            "spec": {
                "type": "LoadBalancer", "externalTrafficPolicy": "Local", "allocateLoadBalancerNodePorts": true,
                "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
            },
        }))?;
        self.services().create(&PostParams::default(), &service).await?;
        Ok(())
    }

    /// Deletes the Service; its slice is the caller's.
    pub(crate) async fn delete_service(&self, name: &str) -> anyhow::Result<()> {
        self.services().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Creates the one slice of a Service, with one endpoint on the bench's node.
    pub(crate) async fn create_slice(&self, service: &str, ready: bool) -> anyhow::Result<()> {
        let labels: BTreeMap<&str, &str> = [("kubernetes.io/service-name", service)].into();
        let slice = serde_json::from_value(json!({
            "metadata": {"name": service, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [self.endpoint(ready)],
        }))?;
        self.slices().create(&PostParams::default(), &slice).await?;
        Ok(())
    }

    fn endpoint(&self, ready: bool) -> serde_json::Value {
        json!({
            "addresses": [self.pod.to_string()], "nodeName": self.node,
            "conditions": {"ready": ready, "serving": ready, "terminating": false},
        })
    }

    /// Deletes the slice.
    pub(crate) async fn delete_slice(&self, service: &str) -> anyhow::Result<()> {
        self.slices().delete(service, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Flips the endpoint; returns the time just before the request left.
    pub(crate) async fn flip(&self, service: &str, ready: bool) -> anyhow::Result<Duration> {
        let patch = json!({"endpoints": [self.endpoint(ready)]});
        let sent = now();
        self.slices().patch(service, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(sent)
    }

    /// Events of one slice from now on, as any client sees them.
    pub(crate) async fn watch_slice(
        &self,
        name: &str,
    ) -> anyhow::Result<impl Stream<Item = kube::Result<WatchEvent<EndpointSlice>>> + use<>> {
        let known = self.slices().get(name).await?.metadata.resource_version.unwrap_or_default();
        let only = WatchParams::default().fields(&format!("metadata.name={name}"));
        Ok(self.slices().watch(&only, &known).await?.into_stream())
    }

    /// Events of all Services of the bench from now on.
    pub(crate) async fn watch_services(
        &self,
    ) -> anyhow::Result<impl Stream<Item = kube::Result<WatchEvent<Service>>> + use<>> {
        let known = self.services().list(&kube::api::ListParams::default()).await?;
        let version = known.metadata.resource_version.unwrap_or_default();
        Ok(self.services().watch(&WatchParams::default(), &version).await?.into_stream())
    }

    /// The address of a Service, once it has one.
    pub(crate) async fn address(&self, name: &str) -> anyhow::Result<Ipv4Addr> {
        loop {
            if let Some(address) = external_ip(&self.services().get(name).await?) {
                return Ok(address);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The first ingress address of a Service.
pub(crate) fn external_ip(service: &Service) -> Option<Ipv4Addr> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
    ingress.first()?.ip.as_ref()?.parse().ok()
}
