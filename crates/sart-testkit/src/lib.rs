//! Real peers and real kernels for tests and benches: network namespaces, FRR, BIRD, GoBGP, a BGP peer that says exactly
//! what it is told, and one that floods and counts. And the judge of what a real API server recorded.
//! Everything made here is removed when its value is dropped, also when a test fails.

pub mod audit;
pub mod bird;
pub mod flood;
pub mod frr;
pub mod gobgp;
pub mod heard;
pub mod judge;
pub mod load;
pub mod netns;
pub mod process;
pub mod raw_peer;
pub mod update;
pub mod wait;

pub use bird::Bird;
pub use flood::Flood;
pub use frr::Frr;
pub use gobgp::Gobgp;
pub use heard::Heard;
pub use netns::Namespace;
pub use process::Process;
pub use raw_peer::{Open, RawPeer};
pub use update::Update;
pub use wait::wait_for;

/// Why tests in namespaces cannot run here; `None` if they can. For [`skips`].
#[must_use]
pub fn missing() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("network namespaces need root");
    }
    if !std::path::Path::new("/usr/sbin/ip").exists() && !std::path::Path::new("/sbin/ip").exists() {
        return Some("iproute2 is not installed");
    }
    None
}

/// Like [`missing`], for tests that have FRR as a neighbour.
#[must_use]
pub fn missing_with_frr() -> Option<&'static str> {
    missing().or_else(|| (!frr::is_installed()).then_some("FRR (zebra, bgpd, vtysh) is not installed"))
}

/// Like [`missing`], for tests that have BIRD as a neighbour.
#[must_use]
pub fn missing_with_bird() -> Option<&'static str> {
    missing().or_else(|| (!bird::is_installed()).then_some("BIRD is not installed"))
}

/// Like [`missing`], for tests that have GoBGP as a neighbour.
#[must_use]
pub fn missing_with_gobgp() -> Option<&'static str> {
    missing().or_else(|| (!gobgp::is_installed()).then_some("GoBGP is not installed"))
}

/// Whether a test that lacks `missing` returns at once. Says so; where nothing may be skipped (`SART_REQUIRE_ALL` is set)
/// the test fails instead.
#[must_use]
#[expect(clippy::print_stdout, reason = "a skipped test says why")]
pub fn skips(missing: Option<&str>) -> bool {
    let Some(reason) = missing else { return false };
    assert!(std::env::var_os("SART_REQUIRE_ALL").is_none(), "cannot run: {reason}");
    println!("skipped: {reason}");
    true
}
