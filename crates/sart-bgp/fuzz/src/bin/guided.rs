//! The guided fuzzer: libFuzzer in front of one target, named by the environment because libFuzzer owns the command line.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sart_bgp_fuzz::Target;

/// Which target to feed.
static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let named = std::env::var("SART_FUZZ_TARGET").ok().and_then(|name| name.parse().ok());
    named.unwrap_or(Target::Update)
});

fuzz_target!(|data: &[u8]| TARGET.run(data));
