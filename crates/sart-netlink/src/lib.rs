//! Executes route and rule plans over netlink, dumps what the kernel has, and reports its changes. Also reads the rules
//! that kube-proxy wrote. Decides nothing: plans come from `sart_fib`, and their callers.
//!
//! A socket belongs to the network namespace of the thread that opens it, and needs a tokio reactor; only [`BlockingHandle`]
//! and [`ConntrackHandle`] need none.

mod attr;
pub mod blocking;
pub mod conntrack;
pub mod error;
mod exchange;
pub mod handle;
pub mod link;
pub mod monitor;
pub mod nftables;
pub mod pod;
pub mod route;
pub mod rule;
mod socket;

pub use blocking::BlockingHandle;
pub use conntrack::{ConntrackHandle, Tracked};
pub use error::{ActionFailure, OpenError, RequestError};
pub use handle::RouteHandle;
pub use link::{Address, Link};
pub use monitor::{Change, RouteMonitor};
pub use nftables::{Protocol, ServiceRules, ServiceRulesWatcher};
pub use route::Lookup;
pub use rule::Rule;
