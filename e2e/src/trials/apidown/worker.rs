//! What a worker shows of its pods while nobody can ask the API server: containerd, the agent's own socket, the kernel.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ipnet::Ipv4Net;
use serde_json::Value;

use super::super::sart::{kill_everywhere, running_everywhere};
use super::NAMESPACE;
use super::judge::Attachment;
use crate::demo::context::list;
use crate::lab::inside::Inside;
use crate::lab::machine::Machine;
use crate::{Lab, exec};

const AGENT: &str = "sart-agent";

/// A worker.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    pub(super) lab: &'a Lab,
    pub(super) name: String,
    pub(super) machine: Machine,
}

/// The network of a pod.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) inside: Inside,
    pub(super) address: Ipv4Addr,
}

impl Network {
    /// With the one address that `eth0` has there.
    pub(super) fn of(inside: Inside) -> Result<Self> {
        let show = ["ip", "-j", "-4", "address", "show", "dev", "eth0"];
        let text = exec::stdout(&mut inside.command(&show))?;
        let links: Value = serde_json::from_str(&text).context("ip printed no JSON")?;
        let entries = list(&links[0]["addr_info"]);
        ensure!(entries.len() == 1 && entries[0]["prefixlen"] == 32, "eth0 has {entries:?}");
        let address = entries[0]["local"].as_str().context("an address without a value")?.parse()?;
        Ok(Self { inside, address })
    }
}

impl<'a> Worker<'a> {
    pub(super) fn of(lab: &'a Lab, name: &str) -> Result<Self> {
        Ok(Self { lab, name: name.to_owned(), machine: lab.machine(name)? })
    }

    /// The network of a pod of the trial that runs here.
    pub(super) fn pod(&self, pod: &str) -> Result<Network> {
        Network::of(Inside::of_pod(&self.machine, NAMESPACE, pod)?)
    }

    /// The namespace that has this path here.
    pub(super) fn inside(&self, path: String) -> Inside {
        Inside::at(&self.machine, path)
    }

    /// Whether a network has a link `eth0`.
    pub(super) fn has_link(&self, path: String) -> Result<bool> {
        let links = exec::stdout(&mut self.inside(path).command(&["ip", "-o", "link"]))?;
        Ok(links.lines().any(|line| line.split_ascii_whitespace().any(|word| word.starts_with("eth0"))))
    }

    /// Ids of a pod's sandboxes whose process runs.
    pub(super) fn sandboxes(&self, pod: &str) -> Result<Vec<String>> {
        let filter = format!(
            "labels.\"io.kubernetes.pod.name\"=={pod},labels.\"io.kubernetes.pod.namespace\"=={NAMESPACE},\
             labels.\"io.cri-containerd.kind\"==sandbox"
        );
        let known = self.ctr(&["containers", "ls", "-q", &filter])?;
        let tasks = self.ctr(&["tasks", "ls"])?;
        let runs = |id: &&str| {
            let of =
                |line: &str| line.split_ascii_whitespace().next() == Some(id) && line.ends_with("RUNNING");
            tasks.lines().any(of)
        };
        Ok(known.lines().filter(runs).map(str::to_owned).collect())
    }

    /// Ends the process that holds a pod's sandbox, as a fault would; its id.
    pub(super) fn kill_sandbox(&self, pod: &str) -> Result<String> {
        let ids = self.sandboxes(pod)?;
        let id = ids.first().with_context(|| format!("{pod} has no sandbox on {}", self.name))?;
        self.ctr(&["tasks", "kill", "-s", "SIGKILL", id])?;
        Ok(id.clone())
    }

    fn ctr(&self, words: &[&str]) -> Result<String> {
        exec::stdout(self.machine.command("ctr").args(["-n", "k8s.io"]).args(words))
    }

    /// `sart cni list`, asked in the agent's container.
    pub(super) fn attachments(&self) -> Result<Vec<Attachment>> {
        let text = exec::stdout(&mut self.sart(&["cni", "list"])?)?;
        serde_json::from_str(&text).context("sart cni list printed something else")
    }

    /// `sart cni check`: nothing differs between journal, kernel, address book and dataplane.
    pub(super) fn check(&self) -> Result<()> {
        exec::run(&mut self.sart(&["cni", "check"])?).with_context(|| format!("{} differs", self.name))
    }

    fn sart(&self, words: &[&str]) -> Result<Command> {
        let agents = running_everywhere(self.lab, std::slice::from_ref(&self.name), AGENT)?;
        let agent = agents.first().with_context(|| format!("no agent runs on {}", self.name))?;
        let mut command = Command::new("nsenter");
        command.args(["-t", &agent.pid.to_string(), "-m", "--", "/sart"]).args(words).args(["-o", "json"]);
        Ok(command)
    }

    /// Kills the agent with -9.
    pub(super) fn kill_agent(&self) -> Result<()> {
        let killed = kill_everywhere(self.lab, std::slice::from_ref(&self.name), AGENT)?;
        ensure!(killed > 0, "no agent was running on {}", self.name);
        Ok(())
    }

    /// An error if link or route of an attachment is on the node.
    pub(super) fn holds_nothing_of(&self, container: &str, address: Ipv4Addr) -> Result<()> {
        let links = exec::stdout(self.machine.command("ip").args(["-d", "-o", "link"]))?;
        ensure!(!links.contains(&format!("/{container}/")), "the link of {container} is there");
        let net = Ipv4Net::from(address).to_string();
        let route = exec::stdout(self.machine.command("ip").args(["-4", "route", "show", "exact", &net]))?;
        ensure!(route.trim().is_empty(), "there is a route to {address}: {route}");
        Ok(())
    }

    /// The node has a way to every one of these nets.
    pub(super) fn routes_to<'n>(&self, nets: impl IntoIterator<Item = &'n Ipv4Net>) -> Result<()> {
        for net in nets {
            let net = net.to_string();
            let route =
                exec::stdout(self.machine.command("ip").args(["-4", "route", "show", "exact", &net]))?;
            ensure!(!route.trim().is_empty(), "{} has no route to {net}", self.name);
        }
        Ok(())
    }
}
