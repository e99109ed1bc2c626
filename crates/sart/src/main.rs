//! The sart command line.

fn main() {}
