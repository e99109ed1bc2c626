//! What a node speaks: its NodeBGP and BGPPeers, made of every ClusterBGP that selects it.

pub mod observe;
pub mod peers;
pub mod plan;
pub mod watch;

pub use observe::observe;
pub use plan::plan;

#[cfg(test)]
mod tests;
