//! Packets through the kernel programs on scratch maps: random ones against the reference model, known ones by their bytes,
//! and every reason at least once.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it stands")]

mod bench;
mod differential;
mod frame;
mod golden;
mod poddifferential;
mod podframe;
mod podgolden;
mod podlink;
mod podrandom;
mod random;
mod reasons;
mod regressions;
