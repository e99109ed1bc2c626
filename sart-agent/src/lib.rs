//! The node agent: decides for this node what is announced, programs the kernel, and talks to the speaker.

pub mod dataplane;
pub mod node;
