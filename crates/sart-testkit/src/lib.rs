//! Test peers and network-namespace harness.
