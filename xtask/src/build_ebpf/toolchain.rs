//! Finds a Rust toolchain that can build `core` for the kernel: one that brings the library's sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// A compiler, its cargo and its version.
pub struct Toolchain {
    /// What people call it.
    pub name: &'static str,
    /// Its cargo.
    pub cargo: PathBuf,
    /// Its compiler.
    pub rustc: PathBuf,
    /// What `rustc -vV` prints.
    pub version: String,
}

impl Toolchain {
    /// rustup's nightly if it has `rust-src`, else Debian's.
    pub fn find() -> Result<Self> {
        if let Some(found) = Self::nightly() {
            return Ok(found);
        }
        if let Some(found) = Self::at("Debian's Rust", Path::new("/usr/bin")) {
            return Ok(found);
        }
        bail!(
            "no Rust toolchain with the library's sources for the BPF object: run `cargo xtask setup` (packages \
             rustc-web, cargo-web and rust-web-src), or `rustup component add rust-src --toolchain nightly`"
        )
    }

    fn nightly() -> Option<Self> {
        let shown =
            Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"]).output().ok()?;
        let rustc = PathBuf::from(String::from_utf8(shown.stdout).ok()?.trim());
        Self::at("rustup's nightly", rustc.parent()?)
    }

    fn at(name: &'static str, bin: &Path) -> Option<Self> {
        let (cargo, rustc) = (bin.join("cargo"), bin.join("rustc"));
        let sysroot = said(&rustc, &["--print", "sysroot"])?;
        let core = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs");
        if !core.is_file() || !cargo.is_file() {
            return None;
        }
        let version = said(&rustc, &["-vV"])?;
        Some(Self { name, cargo, rustc, version })
    }
}

fn said(program: &Path, arguments: &[&str]) -> Option<String> {
    let shown = Command::new(program).args(arguments).output().ok()?;
    shown.status.success().then(|| String::from_utf8(shown.stdout).ok())?
}
