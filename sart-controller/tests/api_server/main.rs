//! The controller against a real API server: etcd and kube-apiserver in a network namespace of their own, nothing faked.
//!
//! The Kubernetes program is found through `SART_KUBE` or in the cache that `cargo xtask setup` fills; without it every
//! test says so and passes, so that a plain `cargo test` works anywhere.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends the test")]

mod audit;
mod blocks;
mod cluster;
mod leader;
mod schema;
mod service;
mod topology;
