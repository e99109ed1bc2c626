//! AddressPools: which are accepted, and the one AddressBlock of each accepted service pool.

pub mod observe;
pub mod plan;
pub mod watch;

pub use observe::observe;
pub use plan::plan;

#[cfg(test)]
mod tests;
