//! Pod pools: answers the nodes' BlockRequests with AddressBlocks, advertises each block, takes back what nodes release, and
//! gives the blocks of a lost node to others only when that is safe.

pub mod bodies;
pub mod grant;
pub mod lost;
pub mod observe;
pub mod plan;
pub mod watch;

pub use observe::observe;
pub use plan::plan;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
