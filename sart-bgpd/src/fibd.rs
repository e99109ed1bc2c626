//! The route manager daemon: reads best paths from speakers, watches the kernel, and writes what `sart_fib` plans. It
//! moves routes and never decides about one; at its end the routes stay.

pub mod api;
pub mod args;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod kernel;
pub mod metrics;
pub mod next_hops;
pub mod source;
pub mod tracker;
