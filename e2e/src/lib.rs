//! The lab: whole clusters inside one Linux machine, and the checks that run on them.
//!
//! A *machine* of the lab (node, router, client, switch) is a set of namespaces held by one process; nothing of the lab
//! has a name outside its folder but its cgroups, so killing those processes and removing the folder is all it takes to
//! undo it. Nothing here may touch what another lab, or the host, owns.

pub mod artifacts;
pub mod clean;
pub mod demo;
pub mod exec;
pub mod figures;
pub mod interrupt;
pub mod inventory;
pub mod lab;
pub mod progress;
pub mod trials;
pub mod wait;

pub use lab::{Lab, Options};
pub use sart_testkit::audit;
