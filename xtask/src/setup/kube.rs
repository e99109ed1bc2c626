//! The lab's Kubernetes: one Go program, built once per content of `e2e/kube` into the user's cache and reused from there.

use crate::cache::cache;
use anyhow::{Context as _, Result, bail};
use e2e::exec;
use e2e::progress::{Step, say};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the components say when asked for their version; the version itself is pinned in `e2e/kube/go.mod`.
const LINKER_FLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34";

/// The program of this checkout.
#[derive(Debug)]
pub struct Kube {
    source: PathBuf,
    binary: PathBuf,
}

impl Kube {
    /// The program built from the sources of this workspace, built or not.
    pub fn of(workspace: &Path) -> Result<Self> {
        let source = workspace.join("e2e/kube");
        let mut digest = Sha256::new();
        for file in ["go.mod", "go.sum", "main.go"] {
            let path = source.join(file);
            digest.update(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        digest.update(LINKER_FLAGS);
        let hash: String = digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { source, binary: cache()?.join(format!("kube-{hash}")) })
    }

    /// Whether it is in the cache.
    pub fn is_built(&self) -> bool {
        self.binary.is_file()
    }

    /// Builds it if need be and returns where it is.
    pub fn ensure(&self) -> Result<PathBuf> {
        if self.is_built() {
            say(&format!("Kubernetes for the lab: {}", self.binary.display()));
            return Ok(self.binary.clone());
        }
        say("building Kubernetes for the lab (4 minutes the first time, 10 s when Go's cache is warm)");
        let step = Step::start("Kubernetes for the lab");
        self.build()?;
        step.done(&self.binary.display().to_string());
        Ok(self.binary.clone())
    }

    /// Builds beside the final name and renames: an interrupted build leaves no half program under it.
    fn build(&self) -> Result<()> {
        if exec::run(Command::new("go").arg("version")).is_err() {
            bail!("building the lab's Kubernetes needs Go 1.24 or newer in PATH");
        }
        let folder = self.binary.parent().context("the cache has no parent folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let partial = self.binary.with_extension(format!("part-{}", std::process::id()));
        let mut command = Command::new("go");
        command
            .args(["build", "-trimpath", "-mod=readonly", "-ldflags", LINKER_FLAGS, "-o"])
            .arg(&partial)
            .arg(".");
        command.current_dir(&self.source).env("CGO_ENABLED", "0");
        exec::run(&mut command).context("the lab's Kubernetes does not build")?;
        std::fs::rename(&partial, &self.binary)
            .with_context(|| format!("cannot create {}", self.binary.display()))
    }
}
