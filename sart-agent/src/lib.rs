//! The node agent: decides for this node what is announced, programs the kernel, and talks to the speaker.

pub mod agent;
pub mod cli;
pub mod cni;
pub mod dataplane;
pub mod engine;
pub mod event;
pub mod forwarding;
pub mod ipam;
pub mod lock;
pub mod metrics;
pub mod node;
pub mod pods;
pub mod proxy;
pub mod settings;
pub mod speaker;
pub mod status;
pub mod stoppers;
pub mod uplinks;
pub mod watch;
