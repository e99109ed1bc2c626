//! The sart-bgpd daemon.

fn main() {}
