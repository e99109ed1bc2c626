//! Route merge, next-hop resolution and route plans as pure decisions.
