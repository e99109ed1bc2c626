//! Writes `src/generated/sart.v1.rs` from the .proto files; run it after editing one of them.

mod generate;

fn main() -> anyhow::Result<()> {
    let out = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    generate::generate(&out)
}
