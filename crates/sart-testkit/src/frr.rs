//! FRR as a neighbour: zebra and bgpd in a namespace, with sockets and files of their own. Must never touch a system FRR.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use nix::unistd::User;
use tempfile::TempDir;

use crate::netns::{Namespace, output};
use crate::process::Process;
use crate::wait::wait_for;

const START_TIME: Duration = Duration::from_secs(30);

/// Every FRR daemon makes a folder for its log's buffers below /var/tmp/frr, a path fixed when it is built, and leaves it
/// there when it is killed. Behind a mount that only the daemon sees, it goes with the daemon.
const BEHIND_A_MOUNT: &str =
    "mkdir -p /var/tmp/frr && mount -t tmpfs -o mode=0755 sart-frr /var/tmp/frr && exec \"$@\"";

/// A running FRR; ends when dropped.
#[derive(Debug)]
pub struct Frr {
    // Fields drop in order: bgpd says goodbye to zebra, then the folder goes.
    bgpd: Process,
    zebra: Option<Process>,
    folder: TempDir,
}

/// Whether zebra, bgpd and vtysh are here.
#[must_use]
pub fn is_installed() -> bool {
    ["/usr/lib/frr/zebra", "/usr/lib/frr/bgpd", "/usr/bin/vtysh"].iter().all(|file| Path::new(file).exists())
}

/// A bgpd.conf with short timers: `neighbors` are (address, AS number), `lines` go below `router bgp`.
#[must_use]
pub fn config(asn: u32, router_id: &str, neighbors: &[(&str, u32)], lines: &[&str]) -> String {
    let mut text = format!(
        "router bgp {asn}\n bgp router-id {router_id}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         no bgp default ipv4-unicast\n"
    );
    let mut families = [String::new(), String::new()];
    for (address, of) in neighbors {
        text.push_str(&format!(
            " neighbor {address} remote-as {of}\n neighbor {address} timers 3 9\n neighbor {address} timers connect 1\n \
             neighbor {address} advertisement-interval 0\n"
        ));
        families[usize::from(address.contains(':'))].push_str(&format!("  neighbor {address} activate\n"));
    }
    for line in lines {
        text.push_str(&format!(" {line}\n"));
    }
    let [v4, v6] = families;
    text.push_str(&format!(" address-family ipv4 unicast\n  maximum-paths 16\n{v4} exit-address-family\n"));
    if !v6.is_empty() {
        text.push_str(&format!(" address-family ipv6 unicast\n{v6} exit-address-family\n"));
    }
    text
}

impl Frr {
    /// Starts FRR in `namespace` with `bgpd_config` and waits until it answers.
    ///
    /// # Errors
    /// If a daemon cannot be started or does not answer.
    pub fn start(namespace: &Namespace, bgpd_config: &str) -> anyhow::Result<Self> {
        Self::start_daemons(namespace, bgpd_config, true)
    }

    /// The same without zebra: a bgpd that never touches the kernel's routes and takes every next hop for reachable.
    ///
    /// # Errors
    /// As [`Frr::start`].
    pub fn start_alone(namespace: &Namespace, bgpd_config: &str) -> anyhow::Result<Self> {
        Self::start_daemons(namespace, bgpd_config, false)
    }

    fn start_daemons(namespace: &Namespace, bgpd_config: &str, with_zebra: bool) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sart-frr-").tempdir()?;
        let user = User::from_name("frr")?.context("there is no user frr")?;
        let owner = |path: &Path| chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()));
        owner(folder.path())?;
        for (file, text) in [("zebra.conf", ""), ("bgpd.conf", bgpd_config)] {
            let path = folder.path().join(file);
            fs::write(&path, text)?;
            owner(&path)?;
        }
        let zebra = with_zebra.then(|| daemon(namespace, folder.path(), "zebra", &[])).transpose()?;
        let socket = folder.path().join("zserv.api");
        wait_for("zebra's socket", START_TIME, || Ok((!with_zebra || socket.exists()).then_some(())))?;
        let mut bgpd = daemon(namespace, folder.path(), "bgpd", if with_zebra { &[] } else { &["-Z"] })?;
        bgpd.answers("bgpd", START_TIME, || vtysh(folder.path(), &["show bgp summary"]))?;
        Ok(Self { bgpd, zebra, folder })
    }

    /// Runs one command and returns what it printed.
    ///
    /// # Errors
    /// If vtysh fails.
    pub fn vtysh(&self, command: &str) -> anyhow::Result<String> {
        self.vtysh_all(&[command])
    }

    /// Runs commands in one vtysh, such as `configure terminal` and what follows.
    ///
    /// # Errors
    /// If vtysh fails.
    pub fn vtysh_all(&self, commands: &[&str]) -> anyhow::Result<String> {
        vtysh(self.folder.path(), commands)
    }

    /// Runs one `… json` command.
    ///
    /// # Errors
    /// If vtysh fails or does not print JSON.
    pub fn json(&self, command: &str) -> anyhow::Result<serde_json::Value> {
        let text = self.vtysh(command)?;
        serde_json::from_str(&text).with_context(|| format!("`{command}` printed {text}"))
    }

    /// The prefixes of its table, sorted; `family` is `ipv4` or `ipv6`.
    ///
    /// # Errors
    /// If vtysh fails.
    pub fn prefixes(&self, family: &str) -> anyhow::Result<Vec<String>> {
        let table = self.json(&format!("show bgp {family} unicast json"))?;
        let mut prefixes: Vec<String> =
            table["routes"].as_object().map(|routes| routes.keys().cloned().collect()).unwrap_or_default();
        prefixes.sort();
        Ok(prefixes)
    }

    /// The state it sees its session with `neighbor` in.
    ///
    /// # Errors
    /// If vtysh fails.
    pub fn state(&self, neighbor: &str) -> anyhow::Result<String> {
        let answer = self.json(&format!("show bgp neighbors {neighbor} json"))?;
        Ok(answer[neighbor]["bgpState"].as_str().unwrap_or("absent").to_owned())
    }

    /// How many UPDATEs it received from `neighbor`.
    ///
    /// # Errors
    /// If vtysh fails or does not know the neighbour.
    pub fn updates_received(&self, neighbor: &str) -> anyhow::Result<u64> {
        let answer = self.json(&format!("show bgp neighbors {neighbor} json"))?;
        answer[neighbor]["messageStats"]["updatesRecv"].as_u64().context("no message statistics")
    }

    /// What bgpd and zebra wrote, for a failing test.
    #[must_use]
    pub fn logs(&self) -> String {
        let zebra = self.zebra.as_ref().map_or_else(String::new, Process::log);
        format!("bgpd:\n{}\nzebra:\n{zebra}", self.bgpd.log())
    }

    /// The process id of its bgpd.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.bgpd.id()
    }
}

fn vtysh(folder: &Path, commands: &[&str]) -> anyhow::Result<String> {
    let mut vtysh = Command::new("vtysh");
    vtysh.arg("--vty_socket").arg(folder);
    for command in commands {
        vtysh.args(["-c", command]);
    }
    output(&mut vtysh)
}

fn daemon(namespace: &Namespace, folder: &Path, name: &str, more: &[&str]) -> anyhow::Result<Process> {
    let file = |ending: &str| -> PathBuf { folder.join(format!("{name}.{ending}")) };
    let mut command = namespace.command("unshare");
    command.args(["--mount", "--", "sh", "-c", BEHIND_A_MOUNT, "sh"]).arg(format!("/usr/lib/frr/{name}"));
    command.args(["-u", "frr", "-g", "frr", "-P", "0", "--log", "stdout", "--vty_socket"]).arg(folder);
    command
        .arg("-z")
        .arg(folder.join("zserv.api"))
        .arg("-f")
        .arg(file("conf"))
        .arg("-i")
        .arg(file("pid"))
        .args(more);
    Process::start(command, &file("log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_frr_leaves_no_folder_of_log_buffers_behind() {
        if crate::skips(crate::missing_with_frr()) {
            return;
        }
        let namespace = Namespace::new("tk-frr").unwrap();
        let frr = Frr::start(&namespace, &config(65001, "10.0.0.1", &[], &[])).unwrap();
        let zebra = frr.zebra.as_ref().unwrap().id();
        let folders = [("bgpd", frr.pid()), ("zebra", zebra)]
            .map(|(name, pid)| (pid, format!("/var/tmp/frr/{name}.{pid}")));
        for (pid, folder) in &folders {
            let inside = format!("/proc/{pid}/root{folder}");
            assert!(Path::new(&inside).is_dir(), "the daemon is {pid} itself and has {folder}");
        }
        drop(frr);
        for (_, folder) in &folders {
            assert!(!Path::new(folder).exists(), "{folder} was left behind");
        }
    }
}
