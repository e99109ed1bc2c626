//! The committed generated code is what the .proto files say.

#[path = "../examples/rpcgen/generate.rs"]
mod generate;

#[test]
fn generated_code_matches_the_proto_files() {
    let out = tempfile::tempdir().unwrap();
    generate::generate(out.path()).unwrap();
    let fresh = std::fs::read_to_string(out.path().join("sart.v1.rs")).unwrap();
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/generated/sart.v1.rs")).unwrap();
    assert!(
        fresh == committed,
        "src/generated/sart.v1.rs is stale: run `cargo run -p sart-rpc --example rpcgen` and commit the result"
    );
}
