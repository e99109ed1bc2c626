//! BIRD 2 as a neighbour, in a namespace, with a socket and files of its own. Must never touch a system BIRD.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::netns::{Namespace, output};
use crate::process::Process;

const DAEMON: &str = "/usr/sbin/bird";
const CLIENT: &str = "/usr/sbin/birdc";
const START_TIME: Duration = Duration::from_secs(30);

/// A running BIRD; ends when dropped.
#[derive(Debug)]
pub struct Bird {
    process: Process,
    folder: TempDir,
}

/// Whether bird and birdc are here.
#[must_use]
pub fn is_installed() -> bool {
    [DAEMON, CLIENT].iter().all(|file| Path::new(file).exists())
}

impl Bird {
    /// Starts BIRD in `namespace` with `config` and waits until it answers. What it logs goes to [`Bird::log`].
    ///
    /// # Errors
    /// If it cannot be started or does not answer.
    pub fn start(namespace: &Namespace, config: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sart-bird-").tempdir()?;
        let file = folder.path().join("bird.conf");
        std::fs::write(
            &file,
            format!("log stderr {{ info, remote, warning, error, auth, fatal, bug }};\n{config}"),
        )?;
        let mut command = namespace.command(DAEMON);
        command.arg("-f").arg("-c").arg(&file).arg("-s").arg(folder.path().join("bird.ctl"));
        let mut process = Process::start(command, &folder.path().join("bird.log"))?;
        process.answers("bird", START_TIME, || birdc(folder.path(), "show status"))?;
        Ok(Self { process, folder })
    }

    /// Runs one command and returns what it printed.
    ///
    /// # Errors
    /// If birdc fails.
    pub fn birdc(&self, command: &str) -> anyhow::Result<String> {
        birdc(self.folder.path(), command)
    }

    /// Replaces its configuration while it runs.
    ///
    /// # Errors
    /// If BIRD does not take it.
    pub fn reconfigure(&self, config: &str) -> anyhow::Result<()> {
        std::fs::write(self.folder.path().join("bird.conf"), format!("log stderr all;\n{config}"))?;
        let said = self.birdc("configure")?;
        anyhow::ensure!(said.contains("econfigur"), "bird refuses: {said}");
        Ok(())
    }

    /// Whether its protocol `name` is up.
    ///
    /// # Errors
    /// If birdc fails.
    pub fn is_established(&self, name: &str) -> anyhow::Result<bool> {
        Ok(self.birdc(&format!("show protocols {name}"))?.contains("Established"))
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

fn birdc(folder: &Path, command: &str) -> anyhow::Result<String> {
    output(Command::new(CLIENT).arg("-s").arg(folder.join("bird.ctl")).args(command.split(' ')))
}
