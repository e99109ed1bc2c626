//! GoBGP as a neighbour, in a namespace, with its API on that namespace's loopback. Must never touch a system gobgpd.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::netns::{Namespace, output};
use crate::process::Process;

const DAEMON: &str = "/usr/bin/gobgpd";
const CLIENT: &str = "/usr/bin/gobgp";
const START_TIME: Duration = Duration::from_secs(30);

/// A running gobgpd; ends when dropped. One per namespace, since its API listens on a fixed port.
#[derive(Debug)]
pub struct Gobgp<'a> {
    process: Process,
    namespace: &'a Namespace,
    _folder: TempDir,
}

/// Whether gobgpd and gobgp are here.
#[must_use]
pub fn is_installed() -> bool {
    [DAEMON, CLIENT].iter().all(|file| Path::new(file).exists())
}

impl<'a> Gobgp<'a> {
    /// Starts gobgpd in `namespace` with `config` (TOML) and waits until it answers.
    ///
    /// # Errors
    /// If it cannot be started or does not answer.
    pub fn start(namespace: &'a Namespace, config: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sart-gobgp-").tempdir()?;
        let file = folder.path().join("gobgpd.toml");
        std::fs::write(&file, config)?;
        let mut command = namespace.command(DAEMON);
        command.args(["-t", "toml", "--pprof-disable", "--api-hosts", "127.0.0.1:50051", "-f"]).arg(&file);
        let mut process = Process::start(command, &folder.path().join("gobgpd.log"))?;
        process.answers("gobgpd", START_TIME, || ask(namespace, "global"))?;
        Ok(Self { process, namespace, _folder: folder })
    }

    /// Runs one command of its client and returns what it printed.
    ///
    /// # Errors
    /// If the client fails.
    pub fn run(&self, command: &str) -> anyhow::Result<String> {
        ask(self.namespace, command)
    }

    /// Runs one command with `-j`.
    ///
    /// # Errors
    /// If the client fails or does not print JSON.
    pub fn json(&self, command: &str) -> anyhow::Result<serde_json::Value> {
        let text = self.run(&format!("-j {command}"))?;
        serde_json::from_str(&text).with_context(|| format!("`gobgp -j {command}` printed {text}"))
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn ask(namespace: &Namespace, command: &str) -> anyhow::Result<String> {
    output(namespace.command(CLIENT).args(command.split(' ')))
}
