//! Addresses as pure decisions: which pools may serve, which address a Service gets, where a block lies in its pool.
//!
//! Nothing here remembers anything: every answer is computed from what the API server holds, so a restart changes none.

pub mod block;
pub mod free;
pub mod pool;
pub mod vip;
