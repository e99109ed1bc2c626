//! Which Debian packages the tasks need, which of them are missing, and how they get installed.

use anyhow::{Context as _, Result, bail};
use e2e::exec;
use std::collections::BTreeSet;
use std::process::Command;

/// Why each package is needed is in its line; nothing else is installed.
const PACKAGES: [&str; 23] = [
    "bird2",                       // a peer of the speaker's tests and benches
    "bpftool",                     // shows the pinned objects
    "build-essential",             // linker and static libc of our binaries
    "ca-certificates",             // package registries
    "cargo-web",                   // builds the BPF object
    "conntrack",                   // kube-proxy
    "containerd",                  // the lab's nodes
    "containernetworking-plugins", // pod network of the lab
    "curl",                        // the lab's client
    "frr",                         // the lab's routers
    "git",                         // puts known defects back, in a tree of their own
    "gobgpd",                      // a peer of the speaker's tests and benches
    "iproute2",                    // links and routes of the lab
    "iptables",                    // kube-proxy
    "iputils-ping",                // pods of the lab reach each other
    "llvm-22-dev",                 // BPF linker
    "nftables",                    // inventory and tests
    "openssl",                     // the lab's certificates
    "runc",                        // the lab's containers
    "procps",                      // `sysctl` in the tests' namespaces
    "rust-web-src",                // `core` for the BPF object
    "rustc-web",                   // builds the BPF object
    "tcpdump",                     // packet timestamps
];

/// The packages of the list that are not installed.
pub fn missing() -> Result<Vec<&'static str>> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${binary:Package} ${db:Status-Status}\n"]);
    let text =
        exec::stdout(&mut query).context("the tasks install Debian packages; this machine has no dpkg")?;
    let installed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .map(|name| name.split(':').next().unwrap_or(name))
        .collect();
    Ok(PACKAGES.into_iter().filter(|package| !installed.contains(package)).collect())
}

/// Installs them, without the packages they merely recommend.
pub fn install(packages: &[&str]) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "installing packages needs root; run `cargo xtask setup` as root, or: apt-get install {}",
            packages.join(" ")
        );
    }
    exec::run(apt().arg("update")).context("apt cannot read its package lists")?;
    exec::run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
        .with_context(|| format!("apt cannot install {}", packages.join(" ")))
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
    command
}
