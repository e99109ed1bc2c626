//! kubectl against the lab's API server, with the lab's own credentials and cache.

use super::layout::Layout;
use super::machine::Machine;
use crate::exec;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::process::Command;

/// Talks to the API server as its administrator.
#[derive(Debug, Clone)]
pub struct Kubectl {
    layout: Layout,
    machine: Machine,
}

impl Kubectl {
    /// From the control-plane node's network; files and the working directory are the caller's.
    pub fn new(layout: &Layout, machine: &Machine) -> Self {
        Self { layout: layout.clone(), machine: machine.clone() }
    }

    /// The command, to be completed and run by the caller.
    pub fn command(&self, args: &[impl AsRef<std::ffi::OsStr>]) -> Command {
        let mut command = self.machine.network_command(self.layout.program("kubectl"));
        command.args(args);
        command
            .env("KUBECONFIG", self.layout.kubeconfig("admin"))
            .env("KUBECACHEDIR", self.layout.file("kubectl-cache"));
        command
    }

    /// Runs kubectl and returns its stdout.
    ///
    /// # Errors
    /// If it fails; the message carries its stderr.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        exec::stdout(&mut self.command(args))
    }

    /// Runs kubectl with `-o json` and returns what it printed.
    ///
    /// # Errors
    /// As [`Self::run`], and if the output is no JSON.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let text = self.run(&[args, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("kubectl {} printed no JSON", args.join(" ")))
    }
}
