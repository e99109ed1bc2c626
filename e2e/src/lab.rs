//! A lab: brings it up, finds it again, takes it down. The order of the parts is decided here, the parts know each other not.

pub mod cgroup;
mod control_plane;
mod fabric;
pub mod inside;
pub mod kubectl;
pub mod layout;
pub mod machine;
pub mod node;
mod pki;
pub mod process;
mod router;
mod template;
pub mod topology;

use crate::progress::{Step, say};
use crate::wait::{Patience, until};
use anyhow::{Context as _, Result, anyhow, bail};
use kubectl::Kubectl;
use layout::Layout;
use machine::Machine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;
use topology::{MAX_NODES, PodNetwork, Topology};

/// How long the processes and cgroups of a lab may take to go.
const REMOVAL: Duration = Duration::from_secs(30);

/// What kind of lab to bring up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Options {
    /// Kubernetes nodes, the control plane among them.
    pub nodes: u8,
    /// The multi-call Kubernetes program.
    pub kube: PathBuf,
    /// OCI archives each node holds from the start; the pause image must be among them.
    pub images: Vec<PathBuf>,
    /// Who gives pods their network.
    #[serde(default)]
    pub pods: PodNetwork,
}

/// A lab that is up.
#[derive(Debug, Clone)]
pub struct Lab {
    /// Its files.
    pub layout: Layout,
    /// Its machines' names and addresses.
    pub topology: Topology,
}

/// Keeps every other `up` and `down` of the same lab waiting.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

/// Waits for the right to change the lab.
///
/// # Errors
/// If the lock file cannot be opened.
pub fn hold(layout: &Layout) -> Result<Held> {
    let path = layout.lock();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    if file.try_lock().is_err() {
        say("another command is changing the lab; waiting for it");
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(Held(file))
}

impl Lab {
    /// Brings a lab up, or finds the one that is.
    ///
    /// # Errors
    /// If a part fails to start (what is there stays for inspection; `down` removes it), or a lab of another size is up.
    pub fn up(layout: &Layout, options: &Options) -> Result<Self> {
        if let Ok(lab) = Self::find(layout) {
            if lab.topology.nodes.len() != usize::from(options.nodes) {
                bail!(
                    "a lab of {} nodes is up; `lab down` first, for one of {}",
                    lab.topology.nodes.len(),
                    options.nodes
                );
            }
            if lab.topology.pods != options.pods {
                bail!("a lab is up whose pods are connected otherwise; `lab down` first");
            }
            say("the lab is up already");
            return Ok(lab);
        }
        if options.nodes == 0 || options.nodes > MAX_NODES {
            bail!("a lab has 1 to {MAX_NODES} nodes");
        }
        down(layout)?;
        let topology = Topology::new(options.nodes).with_pods(options.pods);
        prepare(layout, options)?;
        let machines = start_machines(layout, &topology)?;
        fabric::connect(&topology, &machines)?;
        router::start_all(layout, &topology, &machines)?;
        let step = Step::start("control plane");
        pki::create(layout, &topology)?;
        let (first, control_plane) = topology
            .control_plane()
            .and_then(|node| Some((node, machines.get(&node.name)?)))
            .ok_or_else(|| anyhow!("the control-plane machine was not started"))?;
        control_plane::start(layout, &topology, (first, control_plane))?;
        step.done("API server ready");
        start_nodes(layout, &topology, &machines, &options.images)?;
        let lab = Self { layout: layout.clone(), topology };
        lab.await_nodes()?;
        let text = serde_json::to_string(options).context("cannot encode the lab's options")?;
        std::fs::write(layout.file("up.json"), text).context("cannot record that the lab is up")?;
        Ok(lab)
    }

    /// The lab that is up, with every machine alive.
    ///
    /// # Errors
    /// If none is up completely.
    pub fn find(layout: &Layout) -> Result<Self> {
        let text = std::fs::read_to_string(layout.file("up.json"))
            .map_err(|_| anyhow!("no lab is up; run `lab up`"))?;
        let options: Options = serde_json::from_str(&text).context("cannot read the lab's up.json")?;
        let lab =
            Self { layout: layout.clone(), topology: Topology::new(options.nodes).with_pods(options.pods) };
        for (name, _) in lab.topology.machines() {
            lab.machine(&name)?;
        }
        Ok(lab)
    }

    /// A machine of the lab.
    ///
    /// # Errors
    /// If the lab has none of that name, or it died.
    pub fn machine(&self, name: &str) -> Result<Machine> {
        Machine::find(&self.layout, name)
    }

    /// kubectl for this lab.
    ///
    /// # Errors
    /// If the control-plane machine is gone.
    pub fn kubectl(&self) -> Result<Kubectl> {
        let node =
            self.topology.control_plane().ok_or_else(|| anyhow!("the lab has no control-plane node"))?;
        Ok(Kubectl::new(&self.layout, &self.machine(&node.name)?))
    }

    /// What FRR on a router answers to a `show … json`.
    ///
    /// # Errors
    /// If the router is gone or answers no JSON.
    pub fn ask(&self, router: &str, question: &str) -> Result<Value> {
        let text = crate::exec::stdout(self.machine(router)?.command("vtysh").args(["-c", question]))?;
        serde_json::from_str(&text).with_context(|| format!("{router} answers no JSON to `{question}`"))
    }

    /// Loads OCI archives into every node.
    ///
    /// # Errors
    /// If a node refuses one.
    pub fn import(&self, images: &[PathBuf]) -> Result<()> {
        for node in &self.topology.nodes {
            node::import(&self.machine(&node.name)?, images)?;
        }
        Ok(())
    }

    /// Waits until every node is Ready.
    ///
    /// # Errors
    /// If one is not in time.
    pub fn await_ready(&self) -> Result<()> {
        let kubectl = self.kubectl()?;
        let wanted = self.topology.nodes.len();
        until("nodes Ready", Patience::stable(Duration::from_secs(120)), || {
            let text = kubectl.run(&["get", "nodes", "--no-headers"])?;
            let ready =
                text.lines().filter(|line| line.split_ascii_whitespace().nth(1) == Some("Ready")).count();
            if ready == wanted { Ok(()) } else { bail!("{ready} of {wanted} nodes are Ready:\n{text}") }
        })
    }

    fn await_nodes(&self) -> Result<()> {
        let step = Step::start("nodes");
        let kubectl = self.kubectl()?;
        let wanted = self.topology.nodes.len();
        if self.topology.pods == PodNetwork::Lab {
            self.await_ready()?;
        } else {
            until("nodes registered", Patience::stable(Duration::from_secs(120)), || {
                let text = kubectl.run(&["get", "nodes", "--no-headers"])?;
                let there = text.lines().count();
                if there == wanted { Ok(()) } else { bail!("{there} of {wanted} nodes:\n{text}") }
            })?;
        }
        // A kubelet may not give itself this label.
        if let Some(node) = self.topology.control_plane() {
            kubectl.run(&[
                "label",
                "--overwrite",
                "node",
                &node.name,
                "node-role.kubernetes.io/control-plane=",
            ])?;
        }
        let state = if self.topology.pods == PodNetwork::Lab { "Ready" } else { "registered" };
        step.done(&format!("{wanted} {state}"));
        Ok(())
    }
}

/// Removes whatever is left of a lab, complete or not. Doing it twice is no error.
///
/// # Errors
/// If a process, a cgroup or a file cannot be removed; the message names it.
pub fn down(layout: &Layout) -> Result<()> {
    let processes = process::end_all(layout, REMOVAL)?;
    let cgroups = cgroup::remove(&layout.cgroup(), REMOVAL)?;
    let root = layout.root();
    let had_files = root.exists();
    if had_files {
        std::fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    if processes + cgroups > 0 || had_files {
        say(&format!("removed the lab: {processes} processes, {cgroups} cgroups, its folder"));
    }
    Ok(())
}

fn prepare(layout: &Layout, options: &Options) -> Result<()> {
    for folder in ["log", "bin", "machines"] {
        std::fs::create_dir_all(layout.file(folder))
            .with_context(|| format!("cannot create the lab's folder {folder}"))?;
    }
    Machine::prepare(layout)?;
    for name in [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "kubectl",
    ] {
        std::os::unix::fs::symlink(&options.kube, layout.program(name))
            .with_context(|| format!("cannot link {name}"))?;
    }
    Ok(())
}

fn start_machines(layout: &Layout, topology: &Topology) -> Result<BTreeMap<String, Machine>> {
    let step = Step::start("machines");
    let starts = topology.machines();
    let machines = std::thread::scope(|scope| {
        let threads: Vec<_> =
            starts.iter().map(|(name, kind)| scope.spawn(|| Machine::start(layout, name, *kind))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("starting a machine panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    step.done(&format!("{} started", machines.len()));
    Ok(machines.into_iter().map(|machine| (machine.name.clone(), machine)).collect())
}

fn start_nodes(
    layout: &Layout,
    topology: &Topology,
    machines: &BTreeMap<String, Machine>,
    images: &[PathBuf],
) -> Result<()> {
    let step = Step::start("containerd, images, kubelet, kube-proxy");
    std::thread::scope(|scope| {
        let threads: Vec<_> = topology
            .nodes
            .iter()
            .filter_map(|node| Some((node, machines.get(&node.name)?)))
            .map(|(node, machine)| {
                scope.spawn(|| node::start(layout, (node, topology.pods), machine, images))
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("starting a node panicked"))?)
    })?;
    cgroup::weigh(&layout.cgroup(), topology.nodes.len())?;
    step.done("started");
    Ok(())
}
