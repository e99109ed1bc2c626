//! Network namespaces with veth pairs between them. Must never touch the namespace the test runs in.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, anyhow, bail};
use nix::sched::{CloneFlags, setns};

/// A network namespace; removed when dropped, with its links.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Namespace {
    /// Makes a namespace whose name begins with `purpose` and is unique to this process; its loopback is up.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn new(purpose: &str) -> anyhow::Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{purpose}-{}-{number}", std::process::id());
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.run(&["ip", "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Its name, for `ip netns`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// A command that will run inside. `nsenter` rather than `ip netns exec`: that would mount another /sys.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Runs a command inside and returns what it printed.
    ///
    /// # Errors
    /// If it fails, with what it said.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let (program, arguments) = words.split_first().context("an empty command")?;
        let mut command = self.command(program);
        output(command.args(arguments))
    }

    /// Connects `self` and `other` by a veth pair; each end is (interface, addresses with prefix length).
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn link(&self, own: (&str, &[&str]), other: &Self, far: (&str, &[&str])) -> anyhow::Result<()> {
        let own_name = [own.0, "netns", self.name()];
        let far_name = [far.0, "netns", other.name()];
        let words = [&["link", "add"], &own_name[..], &["type", "veth", "peer", "name"], &far_name[..]];
        ip(&words.concat())?;
        for (namespace, (interface, addresses)) in [(self, own), (other, far)] {
            for address in addresses {
                // Without duplicate address detection an IPv6 address can be used at once.
                let flags: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
                let words = [&["ip", "address", "add", address, "dev", interface], flags].concat();
                namespace.run(&words)?;
            }
            namespace.run(&["ip", "link", "set", interface, "up"])?;
        }
        Ok(())
    }

    /// Sets a switch of this namespace's network stack, such as `net.ipv4.ip_default_ttl` (what the peers in here send is
    /// then a hop away) or `net.ipv4.tcp_rmem` (a peer that reads slowly has a small window).
    ///
    /// # Errors
    /// If the kernel does not know it.
    pub fn sysctl(&self, key: &str, value: &str) -> anyhow::Result<()> {
        self.run(&["sysctl", "-q", "-w", &format!("{key}={value}")]).map(drop)
    }

    /// Runs `inside` on a thread of its own in the namespace, so that sockets made there belong to it.
    ///
    /// # Errors
    /// If the namespace cannot be entered, or `inside` fails.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
        let file = File::open(self.path()).with_context(|| format!("open namespace {}", self.name))?;
        thread::scope(|scope| {
            let entered = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET).context("enter the namespace")?;
                inside()
            });
            entered.join().map_err(|_| anyhow!("the thread in namespace {} panicked", self.name))?
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A test that fails here would hide why it failed before; leftovers show in `ip netns list`.
        let _left_behind = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    output(Command::new("ip").args(arguments))
}

pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = command.output().with_context(|| format!("start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status}): {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}
