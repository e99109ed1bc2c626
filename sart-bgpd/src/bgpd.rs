//! The speaker daemon: moves bytes between sockets and `sart_bgp`, and serves its API; it never decides about a path.
//!
//! One task owns the [`sart_bgp::speaker::Speaker`]. Connection, dial and listener tasks send it events over one bounded
//! channel; API calls reach it as closures over another; what it sends leaves through one bounded queue per connection.

pub mod allocator;
pub mod api;
pub mod args;
pub mod connection;
pub mod daemon;
pub mod dial;
pub mod file;
pub mod leave;
pub mod listen;
pub mod metrics;
pub mod owner;
pub mod policy;
pub mod record;
pub mod reload;
pub mod transport;
pub mod watch;
