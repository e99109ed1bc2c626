//! Finds the kernel object that `cargo xtask build-ebpf` made and hands it to the compiler; without one the agent is
//! built all the same and says so in its condition. Never builds the object itself.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(sart_bpf_object)");
    println!("cargo::rerun-if-env-changed=SART_EBPF_OBJECT");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let object = match env::var_os("SART_EBPF_OBJECT") {
        Some(path) => PathBuf::from(path),
        None => beside(&out)?,
    };
    if object.is_file() {
        println!("cargo::rerun-if-changed={}", object.display());
        fs::copy(&object, out.join("sart-ebpf.o"))?;
        println!("cargo::rustc-cfg=sart_bpf_object");
    }
    Ok(())
}

/// `bpf/sart-ebpf.o` of the target folder that `out` lies in. The folder is made and watched, so that an object that
/// appears later is noticed.
fn beside(out: &Path) -> io::Result<PathBuf> {
    // Cargo tags only a folder that it made itself; what it knows of the compiler it writes into any.
    let is_target =
        |folder: &&Path| ["CACHEDIR.TAG", ".rustc_info.json"].iter().any(|name| folder.join(name).is_file());
    let target = out.ancestors().find(is_target).unwrap_or(out);
    let folder = target.join("bpf");
    fs::create_dir_all(&folder)?;
    println!("cargo::rerun-if-changed={}", folder.display());
    Ok(folder.join("sart-ebpf.o"))
}
