//! Desired dataplane tables, their compilation into map entries, the difference to what the kernel holds, and a twin of
//! the maps in memory. Decides what the maps must contain and in which order they change; never touches a kernel, a
//! clock or a file.

pub mod desired;
pub mod maglev;
pub mod model;
pub mod plan;
pub mod tables;
