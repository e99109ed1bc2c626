//! Policies between the core's terms and the text they have in the API and in the file. One reading for both, so that a
//! file and an API request mean the same; must never repair a value.

mod from_text;
#[cfg(test)]
mod tests;
mod to_text;

pub use self::from_text::{chain, policy_config};
pub use self::to_text::{chain_text, effective_text, policy_config_text};
