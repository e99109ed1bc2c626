//! A Service's addresses: claim, status, advertisement, and the way back.

pub mod bodies;
pub mod observe;
pub mod plan;
pub mod request;
pub mod watch;

pub use observe::observe;
pub use plan::plan;

#[cfg(test)]
mod tests;
