//! Build, setup, lab, demo and test tasks.

fn main() {}
