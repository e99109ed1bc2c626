//! Compiles our binaries so that they need nothing but the kernel: the GNU target with a static C library.

use super::Profile;
use crate::source::root;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

/// Builds the packages' binaries and returns the folder they are in.
pub fn build(packages: &BTreeSet<&str>, profile: Profile) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(["build", "--quiet", "--target", &target, "--bins"]);
    packages.iter().for_each(|package| {
        command.args(["-p", package]);
    });
    // With an explicit target these flags stay away from build scripts and macros, which cannot be static.
    command.env("RUSTFLAGS", "-C target-feature=+crt-static").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // Where `build-ebpf` put the kernel programs; with an explicit target the build script would look elsewhere.
    let object = target_folder().join("bpf/sart-ebpf.o");
    if object.is_file() {
        command.env("SART_EBPF_OBJECT", object);
    }
    let folder = match profile {
        Profile::Release => {
            command.arg("--release");
            "release"
        }
        Profile::Debug => {
            // What no debugger will look at would only make each node's import slower.
            command.env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_PROFILE_DEV_STRIP", "debuginfo");
            "debug"
        }
    };
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo cannot build {}", packages.iter().copied().collect::<Vec<_>>().join(", "));
    }
    Ok(target_folder().join(target).join(folder))
}

fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}
