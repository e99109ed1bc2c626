//! Addresses as pure decisions: which pools may serve, which address a Service or a pod gets, where a block lies in its pool.
//!
//! What is decided for the cluster is computed from what the API server holds, so a restart changes none of it; the ledger
//! of a node's pods is a cache that journal, kernel and blocks rebuild.

pub mod block;
pub mod free;
pub mod pod;
pub mod pool;
pub mod unusable;
pub mod vip;
