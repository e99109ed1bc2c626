//! The bytes of BGP (RFC 4271 section 4): decides what they mean and what a fault costs. Must never keep state of a
//! session, panic on any input, or allocate more than a small multiple of a message's size.
#![deny(clippy::indexing_slicing)]

pub mod attr;
pub mod capability;
pub mod fault;
pub mod frame;
pub mod message;
pub mod nlri;
pub mod notification;
pub mod open;
pub mod refresh;
pub mod update;

pub(crate) mod code;
mod pack;
#[cfg(test)]
mod proptests;
mod reader;
#[cfg(test)]
mod tests;

pub use self::pack::{Packed, UpdateWriter, WireForm, end_of_rib, pack_announcements, pack_withdrawals};
