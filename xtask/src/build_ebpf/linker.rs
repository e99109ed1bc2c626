//! The BPF linker, built once into the user's cache from its published sources against Debian's LLVM.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::progress::Step;

use crate::run;

/// The release we use; 0.13 knows LLVM 22.
pub const VERSION: &str = "0.13.0";
const LLVM: &str = "/usr/lib/llvm-22";

/// The linker's path, after building it if it is not there.
pub fn ensure() -> Result<PathBuf> {
    let tools = crate::cache::cache()?.join("tools");
    let linker = tools.join("bin/bpf-linker");
    if is_ours(&linker) {
        return Ok(linker);
    }
    ensure!(
        Path::new(LLVM).join("include/llvm-c").is_dir(),
        "no LLVM 22 for the BPF linker: run `cargo xtask setup` (package llvm-22-dev)"
    );
    let step = Step::start("BPF linker (about a minute, once)");
    let mut command = Command::new("cargo");
    command
        .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force"])
        .args(["--no-default-features", "--features", "llvm-22", "--root"])
        .arg(&tools)
        .env("LLVM_PREFIX", LLVM)
        .env("CARGO_TARGET_DIR", super::target_dir().join("bpf-build/linker"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run::checked(&mut command)?;
    step.done(&linker.display().to_string());
    Ok(linker)
}

fn is_ours(linker: &Path) -> bool {
    let shown = Command::new(linker).arg("--version").output();
    shown.is_ok_and(|shown| String::from_utf8_lossy(&shown.stdout).contains(VERSION))
}
