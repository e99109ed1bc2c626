//! A plugin and its configuration, and one timed call of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// What is measured.
#[derive(Debug)]
pub struct Contender {
    /// Its name in the report.
    pub name: &'static str,
    /// The plugin.
    pub program: PathBuf,
    folder: PathBuf,
    config: Value,
}

impl Contender {
    /// Ours.
    pub fn sart(program: &Path, folder: &Path) -> Self {
        let config = json!({
            "cniVersion": "1.0.0", "name": "sart-network", "type": "sart-cni", "timeout": 60,
            "endpoint": format!("unix://{}", folder.join("cni.sock").display()),
            "stateDir": folder.join("state"),
        });
        Self { name: "sart", program: program.to_owned(), folder: PathBuf::new(), config }
    }

    /// One of Debian's, with host-local.
    pub fn debian(kind: &'static str, peers: &Path, folder: &Path) -> Self {
        let subnet = if kind == "ptp" { "10.2.0.0/16" } else { "10.3.0.0/16" };
        let ipam = json!({
            "type": "host-local", "dataDir": folder.join("host-local"),
            "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}],
        });
        let config = json!({
            "cniVersion": "1.0.0", "name": kind, "type": kind, "isGateway": true, "bridge": "cni-bench0", "ipam": ipam,
        });
        Self { name: kind, program: peers.join(kind), folder: peers.to_owned(), config }
    }

    /// Calls it; how long it took from its start to its end, and what it said.
    pub fn call(&self, verb: &str, container: &str, netns: &str) -> anyhow::Result<(Duration, Vec<u8>)> {
        let input = self.config.to_string();
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", container)
            .env("CNI_NETNS", netns);
        command
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", &self.folder)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().with_context(|| format!("start {}", self.program.display()))?;
        child.stdin.take().context("standard input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        let took = begun.elapsed();
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{} {verb}: {} {said}", self.name, output.status);
        Ok((took, output.stdout))
    }
}
