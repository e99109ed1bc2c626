//! Pools, blocks and address claims as pure decisions.
