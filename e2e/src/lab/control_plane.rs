//! etcd, API server, controller manager and scheduler on the control-plane node.

use super::kubectl::Kubectl;
use super::layout::Layout;
use super::machine::Machine;
use super::topology::{Node, POD_CIDR, SERVICE_CIDR, Topology, ipv6};
use crate::wait::{Patience, until};
use anyhow::{Context as _, Result};
use std::path::Path;
use std::time::Duration;

/// Starts the control plane and waits until the API server is ready.
///
/// # Errors
/// If a component cannot be started or the API server does not become ready.
pub fn start(layout: &Layout, topology: &Topology, (node, machine): (&Node, &Machine)) -> Result<()> {
    let policy = layout.file("audit-policy.yaml");
    std::fs::write(&policy, include_str!("../../templates/audit-policy.yaml"))
        .context("cannot write the audit policy")?;
    let api = node.internal().to_string();
    let services = if topology.is_dual_stack() {
        format!("{SERVICE_CIDR},{}", ipv6::SERVICE_CIDR)
    } else {
        SERVICE_CIDR.to_owned()
    };
    machine.daemon("etcd", &layout.program("etcd"), &etcd(layout))?;
    machine.daemon(
        "kube-apiserver",
        &layout.program("kube-apiserver"),
        &api_server(layout, &api, &services),
    )?;
    let kubectl = Kubectl::new(layout, machine);
    until("API server", Patience::once(Duration::from_secs(60)), || {
        kubectl.run(&["get", "--raw", "/readyz"])
    })?;
    machine.daemon(
        "kube-controller-manager",
        &layout.program("kube-controller-manager"),
        &controller_manager(layout),
    )?;
    let mut scheduler = flags(&[("leader-elect", "false")]);
    scheduler.push(credentials(layout, "kubeconfig", "scheduler"));
    machine.daemon("kube-scheduler", &layout.program("kube-scheduler"), &scheduler)
}

fn etcd(layout: &Layout) -> Vec<String> {
    // The data does not outlive the lab: waiting for the disk would only slow every write down.
    let mut args = vec!["--unsafe-no-fsync".to_owned(), path("data-dir", &layout.file("etcd"))];
    args.extend(flags(&[
        ("listen-client-urls", "http://127.0.0.1:2379"),
        ("advertise-client-urls", "http://127.0.0.1:2379"),
        ("listen-peer-urls", "http://127.0.0.1:2380"),
        ("log-level", "warn"),
    ]));
    args
}

fn api_server(layout: &Layout, address: &str, services: &str) -> Vec<String> {
    let pki = layout.file("pki");
    let mut args = flags(&[
        ("advertise-address", address),
        ("etcd-servers", "http://127.0.0.1:2379"),
        ("service-cluster-ip-range", services),
        ("service-account-issuer", "https://kubernetes.default"),
        ("authorization-mode", "Node,RBAC"),
        ("enable-admission-plugins", "NodeRestriction"),
        ("allow-privileged", "true"),
        ("kubelet-preferred-address-types", "InternalIP"),
        ("audit-log-mode", "blocking"),
        // The judge of addresses must see all of it: a log of 100 MB would be begun anew.
        ("audit-log-maxsize", "10000"),
    ]);
    args.extend([
        path("service-account-key-file", &pki.join("sa.key")),
        path("service-account-signing-key-file", &pki.join("sa.key")),
        path("tls-cert-file", &pki.join("api.crt")),
        path("tls-private-key-file", &pki.join("api.key")),
        path("client-ca-file", &pki.join("ca.crt")),
        path("token-auth-file", &layout.file("tokens.csv")),
        path("audit-policy-file", &layout.file("audit-policy.yaml")),
        path("audit-log-path", &layout.file("audit.log")),
    ]);
    args
}

fn controller_manager(layout: &Layout) -> Vec<String> {
    let mut args = flags(&[
        ("leader-elect", "false"),
        ("use-service-account-credentials", "true"),
        ("cluster-cidr", POD_CIDR),
        ("node-monitor-grace-period", "12s"),
    ]);
    args.extend(
        ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"]
            .map(|flag| credentials(layout, flag, "controller-manager")),
    );
    // Its default lies outside the lab's folder, and the folder is made where it is missing.
    args.push(path("flex-volume-plugin-dir", &layout.file("volume-plugins")));
    args.push(path("service-account-private-key-file", &layout.file("pki").join("sa.key")));
    args.push(path("root-ca-file", &layout.file("pki").join("ca.crt")));
    args
}

/// `--name=value` for each pair.
pub fn flags(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

/// `--name=path`.
pub fn path(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// `--flag=<kubeconfig of the user>`.
pub fn credentials(layout: &Layout, flag: &str, user: &str) -> String {
    path(flag, &layout.kubeconfig(user))
}
