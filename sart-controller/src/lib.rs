//! Cluster controller: pools, virtual addresses, BGP topology and advertisements, decided from caches and written by the leader.
//!
//! One task owns every cache and plans one key at a time; writes run beside it, one batch per key. Each `plan` is pure.

pub mod advertisement;
pub mod block;
pub mod cache;
pub mod cluster_bgp;
pub mod config;
pub mod engine;
pub mod health;
pub mod key;
pub mod lease;
pub mod meta;
pub mod node_bgp;
pub mod pool;
pub mod schedule;
pub mod service;
pub mod watch;
pub mod world;
pub mod write;
