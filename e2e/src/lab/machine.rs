//! A machine of the lab: the namespaces held by one process, and how to run something inside them.
//! The host sees no name of it; when its first process dies, the kernel removes all of it.

use super::layout::{Layout, MARK};
use super::process::Process;
use super::topology::Kind;
use crate::exec;
use crate::wait::{Patience, until};
use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The script that is each machine's first process.
const INIT: &str = include_str!("../../templates/machine-init.sh");

/// A running machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Name, also its hostname.
    pub name: String,
    /// Its first process, seen from the host.
    pub init: Process,
    lab: Layout,
}

impl Machine {
    /// Starts a machine and waits until its file system and kernel settings are in place.
    ///
    /// # Errors
    /// If the namespaces are refused or the first process ends early; the message carries its log.
    pub fn start(layout: &Layout, name: &str, kind: Kind) -> Result<Self> {
        let own = layout.machine(name);
        std::fs::create_dir_all(&own).with_context(|| format!("cannot create {}", own.display()))?;
        let script = layout.file("machine-init.sh");
        let log =
            File::create(layout.log(&format!("init-{name}"))).context("cannot create the machine's log")?;
        let mut command = Command::new("setsid");
        command
            .args([
                "unshare",
                "--net",
                "--mount",
                "--pid",
                "--uts",
                "--ipc",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "bash",
            ])
            .arg(script)
            .args([name, kind.word()])
            .arg(layout.root())
            .env(MARK, layout.root())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share the machine's log")?)
            .stderr(log);
        crate::interrupt::hold_if_stopped();
        let outer = command.spawn().with_context(|| format!("cannot start `{}`", exec::shown(&command)))?;
        let outer =
            Process::of(outer.id().cast_signed()).ok_or_else(|| anyhow!("machine {name} ended at once"))?;
        let patience = Patience::once(Duration::from_secs(20));
        let init = until(&format!("machine {name}"), patience, || ready(layout, name, outer))?;
        let machine = Self { name: name.to_owned(), init, lab: layout.clone() };
        let text = serde_json::to_string(&machine).context("cannot encode the machine")?;
        std::fs::write(own.join("machine.json"), text).context("cannot record the machine")?;
        Ok(machine)
    }

    /// The machine of that name in a lab that is up.
    ///
    /// # Errors
    /// If there is none, or it has died.
    pub fn find(layout: &Layout, name: &str) -> Result<Self> {
        let path = layout.machine(name).join("machine.json");
        let text = std::fs::read_to_string(&path)
            .map_err(|_| anyhow!("the lab has no machine {name} (is it up?)"))?;
        let machine: Self =
            serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        if machine.init.is_alive() {
            Ok(machine)
        } else {
            Err(anyhow!("machine {name} has died; run `lab down`"))
        }
    }

    /// Puts the script that machines start from into the lab's folder.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn prepare(layout: &Layout) -> Result<()> {
        std::fs::write(layout.file("machine-init.sh"), INIT).context("cannot write machine-init.sh")
    }

    /// A command that runs with all of the machine's namespaces, its file system among them.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.enter(&["-n", "-m", "-p", "-u", "-i"], program.as_ref())
    }

    /// A command that only uses the machine's network: files and the working directory are the host's.
    pub fn network_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.enter(&["-n"], program.as_ref())
    }

    fn enter(&self, namespaces: &[&str], program: &std::ffi::OsStr) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.init.pid.to_string()]).args(namespaces).arg("--").arg(program);
        command.env(MARK, self.lab.root());
        command
    }

    /// Starts a daemon that stays behind as a child of the machine's first process, with its output in the log of that name.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn daemon(&self, name: &str, program: &Path, args: &[String]) -> Result<()> {
        let mut command = self.daemon_command("", name, program, args);
        exec::run(&mut command).with_context(|| format!("cannot start {name} on {}", self.name))
    }

    /// A command that waits for the end of its standard input and then starts the daemon.
    pub fn daemon_later(&self, name: &str, program: &Path, args: &[String]) -> Command {
        self.daemon_command("read -r _; ", name, program, args)
    }

    fn daemon_command(&self, first: &str, name: &str, program: &Path, args: &[String]) -> Command {
        let script = format!("{first}log=$1; shift; exec setsid -f \"$@\" >>\"$log\" 2>&1 </dev/null");
        let mut command = self.command("sh");
        command
            .args(["-c", &script, "daemon"])
            .arg(self.lab.log(&format!("{name}-{}", self.name)))
            .arg(program)
            .args(args);
        command
    }

    /// The machine's processes, seen from the host.
    pub fn processes(&self) -> Vec<Process> {
        let own = self.init.namespace("pid");
        super::process::all()
            .into_iter()
            .filter(|process| own.is_some() && process.namespace("pid") == own)
            .collect()
    }

    /// Runs a piece of this program with the machine's network, in a thread of its own.
    ///
    /// # Errors
    /// If the network namespace cannot be entered, and what `work` returns.
    pub fn in_network<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = format!("/proc/{}/ns/net", self.init.pid);
        let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        let thread = std::thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).context("cannot enter the network namespace")?;
            work()
        });
        thread.join().map_err(|_| anyhow!("the work in the network of {} panicked", self.name))?
    }
}

fn ready(layout: &Layout, name: &str, outer: Process) -> Result<Process> {
    if !outer.is_alive() {
        let log = std::fs::read_to_string(layout.log(&format!("init-{name}"))).unwrap_or_default();
        return Err(anyhow!("its first process ended: {}", log.trim()));
    }
    if !layout.machine(name).join("ready").exists() {
        return Err(anyhow!("its file system is not set up yet"));
    }
    outer.child().ok_or_else(|| anyhow!("its first process is not there yet"))
}
