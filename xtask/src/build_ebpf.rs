//! `cargo xtask build-ebpf`: makes `target/bpf/sart-ebpf.o` with whichever complete toolchain is here, and keeps what it
//! made by the hash of everything that went in. Never touches the Rust toolchain of user space.
//!
//! It needs the Debian packages `llvm-22-dev` for the linker, and `rustc-web`, `cargo-web` and `rust-web-src` where rustup
//! has no nightly with `rust-src`.

mod linker;
mod toolchain;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};
use e2e::progress::{Step, say};
use sha2::{Digest, Sha256};

use crate::run;
use crate::source::root;
use toolchain::Toolchain;

const TRIPLE: &str = "bpfel-unknown-none";

/// Builds the kernel object, or takes the one that the same sources and tools made before.
///
/// # Errors
/// Says which prerequisite is missing, or that the compiler refused.
pub fn run() -> Result<()> {
    let toolchain = Toolchain::find()?;
    let linker = linker::ensure()?;
    let object = target_dir().join("bpf/sart-ebpf.o");
    let kept = crate::cache::cache()?.join("bpf").join(format!("{}.o", fingerprint(&toolchain)?));
    if kept.is_file() {
        place(&kept, &object)?;
        say(&format!("{} (unchanged)", object.display()));
        return Ok(());
    }
    let step = Step::start("BPF object (25 to 75 seconds the first time)");
    let built = compile(&toolchain, &linker)?;
    place(&built, &kept)?;
    place(&kept, &object)?;
    step.done(&format!("{} with {}", object.display(), toolchain.name));
    Ok(())
}

/// Installs the linker if it is not there yet.
///
/// # Errors
/// If it cannot be built; says what is missing.
pub fn ensure_linker() -> Result<()> {
    let path = linker::ensure()?;
    say(&format!("BPF linker: {}", path.display()));
    Ok(())
}

/// The workspace's target folder.
fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

fn compile(toolchain: &Toolchain, linker: &Path) -> Result<PathBuf> {
    let folder = target_dir().join("bpf-build");
    let flags = [
        "-Cdebuginfo=2".to_owned(),
        "-Cpanic=abort".to_owned(),
        format!("-Clinker={}", linker.display()),
        "-Clink-arg=--btf".to_owned(),
        "--cfg".to_owned(),
        format!("bpf_target_arch=\"{}\"", env::consts::ARCH),
    ];
    let mut command = Command::new(&toolchain.cargo);
    command
        .args(["build", "--package", "sart-ebpf", "--release", "--target", TRIPLE, "-Zbuild-std=core"])
        .arg("--locked")
        .current_dir(root())
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        // Set by the cargo that runs us, and wrong for the other toolchain.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("CARGO");
    run::checked(&mut command)?;
    Ok(folder.join(TRIPLE).join("release/sart-ebpf"))
}

/// A hash of the sources, the lock file and the tools.
fn fingerprint(toolchain: &Toolchain) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(toolchain.version.as_bytes());
    hash.update(linker::VERSION.as_bytes());
    hash.update(env::consts::ARCH.as_bytes());
    for file in inputs()? {
        let bytes = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        hash.update(file.strip_prefix(root()).unwrap_or(&file).as_os_str().as_encoded_bytes());
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn inputs() -> Result<Vec<PathBuf>> {
    let mut files = vec![root().join("Cargo.lock"), root().join("xtask/src/build_ebpf.rs")];
    for folder in ["sart-ebpf", "sart-ebpf-common"] {
        for entry in walkdir::WalkDir::new(root().join(folder)).sort_by_file_name() {
            let entry = entry.with_context(|| format!("read the folder {folder}"))?;
            if entry.file_type().is_file() {
                files.push(entry.into_path());
            }
        }
    }
    Ok(files)
}

/// Copies by way of a file beside the goal, so that nobody ever reads half an object. Leaves a goal alone that holds the
/// same already: by a newer time cargo would take it for changed and build the agent again.
fn place(from: &Path, to: &Path) -> Result<()> {
    let object = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    if fs::read(to).is_ok_and(|there| there == object) {
        return Ok(());
    }
    let folder = to.parent().context("an object lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let beside = to.with_extension(format!("new-{}", std::process::id()));
    fs::write(&beside, object).with_context(|| format!("write {}", beside.display()))?;
    fs::rename(&beside, to).with_context(|| format!("put {} in place", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_in_place_keeps_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let [made, goal] = ["made", "bpf/goal.o"].map(|name| folder.path().join(name));
        let time = || fs::metadata(&goal).and_then(|data| data.modified()).expect("a file with a time");
        fs::write(&made, "one").expect("an object");
        place(&made, &goal).expect("the first of its name");

        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        let file = fs::File::options().write(true).open(&goal).expect("the goal");
        file.set_modified(long_ago).expect("an old time");
        place(&made, &goal).expect("the same again");
        assert_eq!(time(), long_ago);

        fs::write(&made, "two").expect("another object");
        place(&made, &goal).expect("another");
        assert_eq!(fs::read_to_string(&goal).expect("the goal"), "two");
        assert_ne!(time(), long_ago);
        let beside = fs::read_dir(folder.path().join("bpf")).expect("the goal's folder").count();
        assert_eq!(beside, 1, "nothing but the goal");
    }
}
