//! The daemons around the pure cores: sockets, signals, files and gRPC. Nothing here decides about routes.

pub mod bgpd;
pub mod fibd;
