//! The plugin as the agent installed it on a node, called as a runtime calls it: in the node's namespaces, with the first entry
//! of the installed list (CNI specification 1.1.0, section 3), for a new network namespace.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::judge::netconf;
use crate::exec;
use crate::lab::machine::Machine;

const LIST: &str = "/etc/cni/net.d/10-sart.conflist";
const PLUGIN: &str = "/opt/cni/bin/sart-cni";
/// Ends a call whose own deadline does not.
const LONGEST: [&str; 3] = ["-k", "1", "90"];

/// What came of a call.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) exit: Option<i32>,
    /// Its document; null where it said nothing.
    pub(super) document: Value,
    pub(super) took: Duration,
}

/// Who a call is for.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: String,
    /// `CNI_ARGS`.
    pub(super) pod: String,
}

impl Container {
    /// Where its namespace is on the node.
    pub(super) fn netns(&self) -> String {
        format!("/run/netns/{}", self.id)
    }

    /// Makes its namespace.
    pub(super) fn prepare(&self, machine: &Machine) -> Result<()> {
        exec::run(machine.command("ip").args(["netns", "add", &self.id]))
    }

    /// Removes it; one that is not there is no error.
    pub(super) fn remove(&self, machine: &Machine) -> Result<()> {
        let listed = exec::stdout(machine.command("ip").args(["netns", "list"]))?;
        if listed.split_ascii_whitespace().any(|word| word == self.id) {
            exec::run(machine.command("ip").args(["netns", "del", &self.id]))?;
        }
        Ok(())
    }
}

/// Calls the plugin. `patience` stands for the list's `timeout`, in seconds.
pub(super) fn call(machine: &Machine, verb: &str, of: &Container, patience: Option<u64>) -> Result<Said> {
    let list = exec::stdout(machine.command("cat").arg(LIST)).context("the agent installed no list")?;
    let list: Value = serde_json::from_str(&list).with_context(|| format!("{LIST} is no JSON"))?;
    let input = netconf(&list, patience)?.to_string();
    let mut command = machine.command("timeout");
    command.args(LONGEST).arg(PLUGIN);
    command.env("CNI_COMMAND", verb).env("CNI_CONTAINERID", &of.id).env("CNI_NETNS", of.netns());
    command.env("CNI_IFNAME", "eth0").env("CNI_PATH", "/opt/cni/bin").env("CNI_ARGS", &of.pod);
    let begun = Instant::now();
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("cannot start `{}`", exec::shown(&command)))?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output().context("lost the plugin")?;
    let took = begun.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    let document = if text.trim().is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).with_context(|| format!("{verb} said {text:?}"))?
    };
    Ok(Said { exit: output.status.code(), document, took })
}

/// DEL, which must end well.
pub(super) fn delete(machine: &Machine, of: &Container) -> Result<Duration> {
    let said = call(machine, "DEL", of, None)?;
    ensure!(said.exit == Some(0), "DEL of {} ended {:?}: {}", of.id, said.exit, said.document);
    Ok(said.took)
}
