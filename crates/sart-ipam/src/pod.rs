//! Pod addresses as pure decisions: which pools a pod draws from, which address of this node's blocks it gets, when the
//! node needs another block and which it gives back. Nothing here knows the API server, the kernel or a clock.

pub mod choice;
pub mod ledger;
pub mod need;

pub use choice::{ChoiceError, PodPool, choose};
pub use ledger::{AdoptError, AllocateError, Block, BlockState, Counts, Given, Ledger, Reuse};
pub use need::{Need, Want, low_water, need};

#[cfg(test)]
mod tests;

#[cfg(test)]
mod proptests;
