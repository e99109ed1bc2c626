//! A network namespace on a machine: runs programs in it, and tells whom it reaches. Changes nothing by itself.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::machine::Machine;
use super::node::pod_process;
use crate::exec;

/// How long an answer may take, in seconds. On a machine whose processors are busy elsewhere one took more than five.
const PATIENCE: &str = "20";

/// One request with curl: an error for any answer but a success in time, whatever proxies the environment names.
pub const CURL_OPTIONS: [&str; 7] =
    ["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", PATIENCE];

/// Inside a network namespace.
#[derive(Debug, Clone)]
pub struct Inside {
    machine: Machine,
    path: String,
}

impl Inside {
    /// Inside the namespace that has this path on the machine.
    #[must_use]
    pub fn at(machine: &Machine, path: String) -> Self {
        Self { machine: machine.clone(), path }
    }

    /// Inside a running pod's.
    ///
    /// # Errors
    /// As [`pod_process`].
    pub fn of_pod(machine: &Machine, namespace: &str, pod: &str) -> Result<Self> {
        let process = pod_process(machine, namespace, pod)?;
        Ok(Self::at(machine, format!("/proc/{process}/ns/net")))
    }

    /// A command that runs there.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.machine.command("nsenter");
        command.arg(format!("--net={}", self.path)).arg("--").args(words);
        command
    }

    /// The address answers one echo request.
    ///
    /// # Errors
    /// If it does not.
    pub fn ping(&self, to: IpAddr) -> Result<()> {
        let words = ["ping", "-n", "-q", "-c", "1", "-W", PATIENCE, &to.to_string()];
        exec::run(&mut self.command(&words)).with_context(|| format!("{self} does not reach {to}"))
    }

    /// What is answered to an HTTP request.
    ///
    /// # Errors
    /// If it is not a success in time.
    pub fn get(&self, target: SocketAddr) -> Result<String> {
        let mut curl = self.command(&["curl"]);
        exec::stdout(curl.args(CURL_OPTIONS).arg(format!("http://{target}/")))
            .with_context(|| format!("{self} gets nothing from {target}"))
    }

    /// The pod at `to` answers ping, and HTTP to a client whose address it sees as `own`.
    ///
    /// # Errors
    /// If it does not answer, or sees another source.
    pub fn reaches_as(&self, own: IpAddr, to: IpAddr) -> Result<()> {
        self.ping(to)?;
        let answer = self.get(SocketAddr::new(to, 8080))?;
        // The test server tells the client's address with its port, whichever that is.
        let source = format!("\"{}", SocketAddr::new(own, 0));
        let seen = answer.contains(source.trim_end_matches('0'));
        ensure!(seen, "{to} sees another source than {own}: {answer}");
        Ok(())
    }
}

impl std::fmt::Display for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.path, self.machine.name)
    }
}
