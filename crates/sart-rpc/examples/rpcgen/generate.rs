//! Compiles the .proto files with a compiler written in Rust, so that neither building nor generating needs `protoc`.

use std::path::Path;

use anyhow::Context as _;

/// Compiles every .proto of this crate into `out/sart.v1.rs`.
pub fn generate(out: &Path) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let sources = ["bgp", "policy", "next_hop", "fib", "cni"].map(|name| format!("sart/v1/{name}.proto"));
    let files = protox::compile(sources, [&root]).context("compile the .proto files")?;
    tonic_prost_build::configure()
        .out_dir(out)
        // Ordered maps: the same state always prints the same.
        .btree_map(".")
        .emit_rerun_if_changed(false)
        .compile_fds(files)
        .context("generate Rust from the .proto files")
}
