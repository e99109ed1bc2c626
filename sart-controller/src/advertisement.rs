//! Folds what every node reports into `BGPAdvertisement.status`, one write per settled change.

pub mod observe;
pub mod plan;
pub mod watch;

pub use observe::observe;
pub use plan::plan;

#[cfg(test)]
mod tests;
