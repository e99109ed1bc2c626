//! The bytes of BGP (RFC 4271 section 4): decides what they mean and what a fault costs. Must never keep state of a
//! session, panic on any input, or allocate more than a message's size.
#![deny(clippy::indexing_slicing)]

pub mod attr;
pub mod message;
pub mod notification;
