//! The sart-fibd daemon.

fn main() {}
