//! The documents of the CNI specification (1.1.0, and down to 0.3.1) and the frames in which plugin and agent exchange
//! them. Reads and writes bytes it is given; which address a pod gets is none of its business.

pub mod config;
pub mod environment;
pub mod failure;
pub mod intent;
pub mod key;
pub mod result;
pub mod version;
pub mod wire;

pub use failure::Failure;
pub use key::AttachmentKey;
pub use version::Version;
