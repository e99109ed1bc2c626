//! Certificates, tokens and kubeconfigs of one lab. All of it is worthless outside: made at `up`, removed at `down`.

use super::layout::Layout;
use super::template::fill;
use super::topology::{API_SERVICE, Topology};
use crate::exec;
use anyhow::{Context as _, Result, anyhow};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// The users of the API server that are not nodes, with their Kubernetes user and group.
const USERS: [(&str, &str, &str); 4] = [
    ("admin", "admin", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
];

/// Makes the certificate authority, the API server's certificate, a token per user, and the kubeconfigs.
///
/// # Errors
/// If openssl fails or a file cannot be written.
pub fn create(layout: &Layout, topology: &Topology) -> Result<()> {
    let folder = layout.file("pki");
    std::fs::create_dir_all(&folder).context("cannot create the folder of the certificates")?;
    let api = topology
        .control_plane()
        .ok_or_else(|| anyhow!("a lab needs a control-plane node"))?
        .internal()
        .to_string();
    certificates(&folder, &api)?;
    let mut tokens = String::new();
    let nodes = topology
        .nodes
        .iter()
        .map(|node| (node.name.clone(), format!("system:node:{}", node.name), "system:nodes".to_owned()));
    let users =
        USERS.iter().map(|(name, user, group)| ((*name).to_owned(), (*user).to_owned(), (*group).to_owned()));
    for (name, user, group) in users.chain(nodes) {
        let token = token()?;
        let _ = writeln!(tokens, "{token},{user},{name},{group}");
        let ca = folder.join("ca.crt").display().to_string();
        let config = fill(
            include_str!("../../templates/kubeconfig.yaml"),
            &[("api", &api), ("ca", &ca), ("token", &token)],
        );
        std::fs::write(layout.kubeconfig(&name), config)
            .with_context(|| format!("cannot write the kubeconfig of {name}"))?;
    }
    std::fs::write(layout.file("tokens.csv"), tokens).context("cannot write the tokens")
}

fn certificates(folder: &Path, api: &str) -> Result<()> {
    let names = format!(
        "subjectAltName=IP:{api},IP:{API_SERVICE},IP:127.0.0.1,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    );
    std::fs::write(folder.join("names"), names).context("cannot write the certificate's names")?;
    for line in [
        "ecparam -genkey -name prime256v1 -noout -out sa.key",
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -subj /CN=sart-lab -days 30",
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout api.key -out api.csr -subj /CN=kube-apiserver",
        "x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out api.crt -days 30 -extfile names",
    ] {
        exec::run(Command::new("openssl").args(line.split(' ')).current_dir(folder))?;
    }
    Ok(())
}

fn token() -> Result<String> {
    Ok(exec::stdout(Command::new("openssl").args(["rand", "-hex", "16"]))?.trim().to_owned())
}
