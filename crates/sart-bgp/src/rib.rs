//! Every table of a speaker.

pub mod feed;
