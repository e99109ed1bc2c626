//! `cargo xtask lab`: a whole cluster with routers and a client inside this machine, for people and tests.
//! Parses and prints; what a lab is and does is decided in `e2e`.

use crate::image::{self, Name, Profile};
use crate::setup::kube::Kube;
use crate::source::root;
use anyhow::{Context as _, Result, bail};
use e2e::lab::layout::Layout;
use e2e::lab::topology::PodNetwork;
use e2e::lab::{self, Options};
use e2e::progress::{Step, say};
use e2e::{Lab, exec, interrupt, inventory};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

/// A whole cluster, its routers and a client, in namespaces of this machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Bring the lab up, or find the one that is (about 20 s).
    Up {
        /// Kubernetes nodes, the control plane among them.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=50))]
        nodes: u8,
        /// Leave the pods' network to sart: nodes are Ready once it is installed.
        #[arg(long)]
        dual: bool,
    },
    /// Remove the lab, complete or not.
    Down,
    /// Show machines, programs and nodes; non-zero if the lab is not up.
    Status,
    /// Run kubectl as the cluster's administrator.
    Kubectl {
        /// What kubectl gets.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run a command inside a node, a router or the client (a shell if none is given).
    Exec {
        /// `sart-worker`, `spine0`, `core0`, `client0`, …
        machine: String,
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Ask a router, e.g. `lab vtysh spine0 -- show bgp summary` (a shell if nothing is asked).
    Vtysh {
        /// `spine0`, `spine1` or `core0`.
        router: String,
        /// The words of one command.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Load OCI archives into every node (all of `target/images` if none is given).
    Import {
        /// The archives.
        archives: Vec<PathBuf>,
    },
    /// Print the log of a program of the lab, or the logs' names.
    Logs {
        /// For instance `kubelet-sart-worker`.
        name: Option<String>,
    },
    /// Print what this machine holds of processes, namespaces, mounts, cgroups, links, BPF programs and routes, sorted.
    Inventory,
    /// Bring a lab up and down, and kill three half-way; non-zero if anything is left behind.
    CheckClean,
    /// Kill, replace and deprive parts of sart on a lab that is up with the samples (`cargo xtask demo --keep`).
    Trial {
        /// Which trials; all if none is named.
        names: Vec<String>,
    },
}

/// The lab of this checkout.
pub fn layout() -> Layout {
    Layout::new(&root().join("target"))
}

/// Runs the task.
pub fn run(args: Args) -> Result<()> {
    match args.task {
        Task::Up { nodes, dual } => {
            up(nodes, if dual { PodNetwork::Sart } else { PodNetwork::Lab }).map(drop)
        }
        Task::Down => down(),
        Task::Status => status(),
        Task::Kubectl { args } => finish(&mut Lab::find(&layout())?.kubectl()?.command(&args)),
        Task::Exec { machine, command } => enter(&machine, &command),
        Task::Vtysh { router, words } => vtysh(&router, &words),
        Task::Import { archives } => import(archives),
        Task::Logs { name } => logs(name.as_deref()),
        Task::Inventory => print_inventory(),
        Task::CheckClean => check_clean(),
        Task::Trial { names } => trials(&names),
    }
}

fn print_inventory() -> Result<()> {
    print(&inventory::take(layout().target()).into_iter().collect::<Vec<_>>().join("\n"))
}

/// Brings the lab up; Ctrl-C on the way removes it.
pub fn up(nodes: u8, pods: PodNetwork) -> Result<Lab> {
    require_root()?;
    let layout = layout();
    if Lab::find(&layout).is_ok_and(|lab| lab.topology.nodes.len() == usize::from(nodes)) {
        say("the lab is up already");
        return Lab::find(&layout);
    }
    let options = Options { pods, ..options(nodes, Profile::Release)? };
    let held = lab::hold(&layout)?;
    let interrupted = layout.clone();
    interrupt::clean_up_on_interrupt(move || remove(&interrupted))?;
    let step = Step::start("lab");
    let lab = Lab::up(&layout, &options)?;
    step.done("up");
    drop(held);
    Ok(lab)
}

/// What `up` needs, built where it is missing.
pub fn options(nodes: u8, profile: Profile) -> Result<Options> {
    let kube = Kube::of(&root())?.ensure()?;
    let images = image::build(&[Name::Pause], profile)?;
    Ok(Options { nodes, kube, images, pods: PodNetwork::Lab })
}

/// Removes the lab.
pub fn down() -> Result<()> {
    require_root()?;
    let layout = layout();
    let _held = lab::hold(&layout)?;
    lab::down(&layout)
}

fn remove(layout: &Layout) {
    if let Err(error) = lab::down(layout) {
        say(&format!("{error:#}"));
    }
}

fn require_root() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab creates namespaces and cgroups and needs root");
    }
    Ok(())
}

fn status() -> Result<()> {
    let lab = Lab::find(&layout())?;
    let mut text = String::new();
    for (name, kind) in lab.topology.machines() {
        let machine = lab.machine(&name)?;
        let programs = machine.processes().len();
        text.push_str(&format!(
            "{name:<20} {:<7} init {:<8} {programs} processes\n",
            kind.word(),
            machine.init.pid
        ));
    }
    text.push_str(&lab.kubectl()?.run(&["get", "nodes", "-o", "wide"])?);
    print(text.trim_end())
}

fn enter(machine: &str, command: &[OsString]) -> Result<()> {
    let machine = Lab::find(&layout())?.machine(machine)?;
    let (program, args) = command
        .split_first()
        .map_or((OsString::from("bash"), [].as_slice()), |(first, rest)| (first.clone(), rest));
    finish(machine.command(program).args(args))
}

fn vtysh(router: &str, words: &[String]) -> Result<()> {
    let machine = Lab::find(&layout())?.machine(router)?;
    let mut command = machine.command("vtysh");
    if !words.is_empty() {
        command.args(["-c", &words.join(" ")]);
    }
    finish(&mut command)
}

fn import(archives: Vec<PathBuf>) -> Result<()> {
    let lab = Lab::find(&layout())?;
    let archives = if archives.is_empty() { image::archives(&lab.layout.images())? } else { archives };
    let absolute = archives
        .iter()
        .map(|path| path.canonicalize().with_context(|| format!("no archive {}", path.display())));
    let archives = absolute.collect::<Result<Vec<_>>>()?;
    let step = Step::start("import");
    lab.import(&archives)?;
    step.done(&format!("{} archives on {} nodes", archives.len(), lab.topology.nodes.len()));
    Ok(())
}

fn logs(name: Option<&str>) -> Result<()> {
    let layout = layout();
    if let Some(name) = name {
        let path = layout.log(name);
        return print(&std::fs::read_to_string(&path).with_context(|| format!("no log {}", path.display()))?);
    }
    let entries = std::fs::read_dir(layout.file("log")).context("no lab is up")?;
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned)).collect();
    names.sort();
    print(&names.join("\n"))
}

/// Runs trials on the lab that is up; all if none is named.
pub fn trials(names: &[String]) -> Result<()> {
    e2e::trials::run(&Lab::find(&layout())?, names, say)
}

/// Brings small labs up and down, killing some half-way, and compares inventories.
pub fn check_clean() -> Result<()> {
    require_root()?;
    let options = options(2, Profile::Release)?;
    e2e::clean::check(&layout(), &options)
}

/// Ends with the command's own exit code.
fn finish(command: &mut std::process::Command) -> Result<()> {
    match exec::interactive(command)? {
        0 => Ok(()),
        code => std::process::exit(i32::from(code)),
    }
}

fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{text}").context("cannot print")
}
