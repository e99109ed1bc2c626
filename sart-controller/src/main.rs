//! Cluster controller: pools, VIPs, BGP topology, advertisements.

fn main() {}
