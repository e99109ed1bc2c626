//! Desired dataplane tables, compilation, diff and the in-memory twin of the maps.
