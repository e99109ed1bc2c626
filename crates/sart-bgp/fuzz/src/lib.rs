//! What must hold for the codec and the speaker whatever bytes come in: targets to feed, seeds to begin with, and a
//! mutator. Decides nothing about how long to run; must never accept a broken property in silence.

pub mod mutate;
pub mod seeds;
pub mod targets;

pub use self::targets::Target;
