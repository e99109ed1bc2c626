//! The outside judge of the CNI plugin: libcni's own `cnitool`, built once per pinned version into the user's cache.

use crate::cache::cache;
use anyhow::{Context as _, Result};
use e2e::exec;
use e2e::progress::{Step, say};
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::process::Command;

/// The Go package; its version is pinned in `e2e/cnitool/go.mod`.
const PACKAGE: &str = "github.com/containernetworking/cni/cnitool";

/// Builds it if need be and returns where it is.
pub fn ensure() -> Result<PathBuf> {
    let source = crate::source::root().join("e2e/cnitool");
    let mut digest = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = source.join(file);
        digest.update(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let hash: String = digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let binary = cache()?.join(format!("cnitool-{hash}"));
    if binary.is_file() {
        say(&format!("cnitool: {}", binary.display()));
        return Ok(binary);
    }
    let step = Step::start("cnitool");
    std::fs::create_dir_all(cache()?).context("cannot create the cache")?;
    // Beside the final name, then renamed: an interrupted build leaves no half program under it.
    let partial = binary.with_extension(format!("part-{}", std::process::id()));
    let mut build = Command::new("go");
    build.args(["build", "-trimpath", "-mod=readonly", "-ldflags", "-s -w", "-o"]).arg(&partial).arg(PACKAGE);
    exec::run(build.current_dir(&source).env("CGO_ENABLED", "0")).context("cnitool does not build")?;
    std::fs::rename(&partial, &binary).with_context(|| format!("cannot create {}", binary.display()))?;
    step.done(&binary.display().to_string());
    Ok(binary)
}
