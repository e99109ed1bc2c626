//! The crate against the real kernel, each test in a network namespace of its own.
#![expect(clippy::unwrap_used, reason = "a test fails at its failed step and says why it was skipped")]

#[path = "namespace/conntrack.rs"]
mod conntrack;
#[path = "namespace/netns.rs"]
mod netns;
#[path = "namespace/routes.rs"]
mod routes;
#[path = "namespace/services.rs"]
mod services;
