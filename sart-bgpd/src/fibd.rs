//! The route manager daemon.
