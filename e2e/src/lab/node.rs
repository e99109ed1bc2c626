//! What makes a machine a Kubernetes node: containerd, images, kubelet and kube-proxy, its cgroups and its pod network.

use super::cgroup;
use super::control_plane::{credentials, flags, path};
use super::layout::Layout;
use super::machine::Machine;
use super::template::fill;
use super::topology::{Node, POD_CIDR, PodNetwork, SART_PODS, ipv6};
use crate::exec;
use crate::wait::{Patience, until};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Image of the container that holds a pod's namespaces; ours, as everything in the lab.
pub const PAUSE_IMAGE: &str = concat!("sart.terassyi.net/pause:", env!("CARGO_PKG_VERSION"));

/// Starts containerd on the node, imports the images, then starts kubelet and kube-proxy.
///
/// # Errors
/// If a part cannot be configured or started, or an image is refused.
pub fn start(
    layout: &Layout,
    (node, pods): (&Node, PodNetwork),
    machine: &Machine,
    images: &[PathBuf],
) -> Result<()> {
    let own = layout.machine(&node.name);
    let cgroup = format!("{}/{}", layout.cgroup(), node.name);
    cgroup::create(&cgroup)?;
    cgroup::weigh(&cgroup, 1)?;
    let containerd = fill(
        include_str!("../../templates/containerd.toml"),
        &[("own", &own.display().to_string()), ("pause", PAUSE_IMAGE)],
    );
    write(&own.join("containerd.toml"), &containerd)?;
    let kubelet = fill(include_str!("../../templates/kubelet.yaml"), &[("cgroup", &format!("/{cgroup}"))]);
    write(&own.join("kubelet.yaml"), &kubelet)?;
    if pods == PodNetwork::Lab {
        let cni = fill(include_str!("../../templates/cni.conflist"), &[("pod_subnet", &node.pod_subnet())]);
        exec::feed(machine.command("sh").args(["-c", "cat > /etc/cni/net.d/10-lab.conflist"]), &cni)?;
    }
    machine.daemon(
        "containerd",
        Path::new("containerd"),
        &["-c".to_owned(), own.join("containerd.toml").display().to_string()],
    )?;
    until(&format!("containerd on {}", node.name), Patience::once(Duration::from_secs(30)), || {
        exec::run(machine.command("ctr").arg("version"))
    })?;
    import(machine, images)?;
    machine.daemon("kubelet", &layout.program("kubelet"), &kubelet_args(layout, (node, pods), &own))?;
    machine.daemon("kube-proxy", &layout.program("kube-proxy"), &proxy_args(layout, node, pods))
}

/// Loads OCI archives into the node's containerd.
///
/// # Errors
/// If an archive is refused.
pub fn import(machine: &Machine, images: &[PathBuf]) -> Result<()> {
    for image in images {
        exec::run(machine.command("ctr").args(["-n", "k8s.io", "images", "import"]).arg(image))
            .with_context(|| format!("{} does not take the image {}", machine.name, image.display()))?;
    }
    Ok(())
}

/// A process inside a pod's network, as its node's process ids go.
///
/// # Errors
/// If containerd cannot be asked, or no container of the pod runs.
pub fn pod_process(machine: &Machine, namespace: &str, pod: &str) -> Result<String> {
    let filter = format!(
        "labels.\"io.kubernetes.pod.name\"=={pod},labels.\"io.kubernetes.pod.namespace\"=={namespace}"
    );
    let containers =
        exec::stdout(machine.command("ctr").args(["-n", "k8s.io", "containers", "ls", "-q", &filter]))?;
    let tasks = exec::stdout(machine.command("ctr").args(["-n", "k8s.io", "tasks", "ls"]))?;
    let task = tasks.lines().find(|line| {
        let id = line.split_ascii_whitespace().next();
        id.is_some_and(|id| containers.lines().any(|container| container == id)) && line.ends_with("RUNNING")
    });
    let pid = task.and_then(|line| line.split_ascii_whitespace().nth(1));
    Ok(pid.with_context(|| format!("{namespace}/{pod} has no process on {}", machine.name))?.to_owned())
}

fn kubelet_args(layout: &Layout, (node, pods): (&Node, PodNetwork), own: &Path) -> Vec<String> {
    let labels = format!("bgp=a,sart.terassyi.net/asn={}", node.asn);
    let address = match pods {
        PodNetwork::Lab => node.internal().to_string(),
        PodNetwork::Sart => format!("{},{}", node.internal(), ipv6::internal(node)),
    };
    let mut args = flags(&[
        ("hostname-override", &node.name),
        ("node-ip", &address),
        ("node-labels", &labels),
        ("root-dir", "/var/lib/kubelet"),
    ]);
    args.push(path("config", &own.join("kubelet.yaml")));
    args.push(credentials(layout, "kubeconfig", &node.name));
    args
}

fn proxy_args(layout: &Layout, node: &Node, pods: PodNetwork) -> Vec<String> {
    let cluster = match pods {
        PodNetwork::Lab => POD_CIDR.to_owned(),
        PodNetwork::Sart => format!("{SART_PODS},{}", ipv6::SART_PODS),
    };
    let mut args = flags(&[
        ("hostname-override", &node.name),
        ("cluster-cidr", &cluster),
        ("proxy-mode", "iptables"),
        // These limits belong to the host and cannot be written from a namespace.
        ("conntrack-max-per-core", "0"),
        // Lowering it needs CAP_SYS_RESOURCE.
        ("oom-score-adj", "0"),
        ("healthz-bind-address", "0.0.0.0:10256"),
    ]);
    args.push(credentials(layout, "kubeconfig", "proxy"));
    args
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
