//! Keeps what a person needs to find out why something failed, before the lab goes. A dump that fails says so in its place.

use crate::exec;
use crate::lab::Lab;
use crate::lab::layout::Layout;
use crate::lab::topology::Kind;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const OF_CLUSTER: [(&str, &str); 5] = [
    (
        "objects.yaml",
        "get clusterbgp,nodebgp,bgppeer,addresspool,addressblock,addressclaim,bgpadvertisement,svc,endpointslices,deploy,ds -A -o yaml",
    ),
    ("pods.txt", "get pods -A -o wide"),
    ("describe.txt", "describe pods -A"),
    ("events.txt", "get events -A --sort-by=.lastTimestamp"),
    ("nodes.yaml", "get nodes -o yaml"),
];

const OF_NODE: [&str; 9] = [
    "ip address",
    "ip rule",
    "ip route show table all",
    "iptables-save -c",
    "conntrack -L",
    "bpftool prog show",
    "bpftool net show",
    "bpftool link show",
    "find /sys/fs/bpf",
];

const OF_ROUTER: [&str; 4] = [
    "vtysh -c show\u{a0}running-config",
    "vtysh -c show\u{a0}bgp\u{a0}ipv4\u{a0}unicast",
    "vtysh -c show\u{a0}bgp\u{a0}neighbors",
    "ip route",
];

/// Writes logs and dumps below `target/lab-artifacts`, in place of those of an earlier failure.
///
/// # Errors
/// If the folder cannot be written.
pub fn keep(lab: &Lab) -> Result<PathBuf> {
    let folder = keep_logs(&lab.layout)?;
    let kubectl = lab.kubectl()?;
    for (file, words) in OF_CLUSTER {
        dump(&folder, file, &mut kubectl.command(&words.split(' ').collect::<Vec<_>>()))?;
    }
    pod_logs(lab, &folder)?;
    for (name, kind) in lab.topology.machines() {
        let commands: &[&str] = match kind {
            Kind::Node => &OF_NODE,
            Kind::Router => &OF_ROUTER,
            Kind::Client | Kind::Switch => &["ip address", "ip route"],
        };
        let machine = lab.machine(&name)?;
        for line in commands {
            // A no-break space joins words that are one argument.
            let mut words = line.split(' ').map(|word| word.replace('\u{a0}', " "));
            let mut command = machine.command(words.next().unwrap_or_default());
            dump(&folder, &format!("{name}-{}.txt", file_name(line)), command.args(words))?;
        }
    }
    Ok(folder)
}

/// Keeps the logs of a lab that may not have come up.
///
/// # Errors
/// If the folder cannot be written.
pub fn keep_logs(layout: &Layout) -> Result<PathBuf> {
    let folder = layout.artifacts();
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for source in [layout.file("log"), layout.file("audit.log")].iter().filter(|source| source.exists()) {
        exec::run(Command::new("cp").arg("-r").arg(source).arg(&folder)).context("cannot keep the logs")?;
    }
    Ok(folder)
}

/// The logs of every container, of this run and, if it was restarted, the one before: kubelet's own files.
fn pod_logs(lab: &Lab, folder: &Path) -> Result<()> {
    for node in &lab.topology.nodes {
        let mut command = lab.machine(&node.name)?.command("sh");
        command.args(["-c", "for log in /var/log/pods/*/*/*.log; do echo \"== $log\"; cat \"$log\"; done"]);
        dump(folder, &format!("pods-{}.log", node.name), &mut command)?;
    }
    Ok(())
}

fn dump(folder: &Path, file: &str, command: &mut Command) -> Result<()> {
    let text = exec::stdout(command).unwrap_or_else(|error| format!("{error:#}\n"));
    std::fs::write(folder.join(file), text).with_context(|| format!("cannot write {file}"))
}

fn file_name(line: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    line.trim_start_matches("vtysh -c ").chars().map(plain).collect()
}
