//! The status of a ClusterBGP: which nodes it selects, which have what it asks for, and what is wrong.

pub mod observe;
pub mod plan;
pub mod watch;

pub use observe::observe;
pub use plan::plan;

#[cfg(test)]
mod tests;
