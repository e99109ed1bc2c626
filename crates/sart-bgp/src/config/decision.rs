//! The knobs of the decision process. Must not decide anything.

use serde::{Deserialize, Serialize};

/// How paths are compared and how many are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRules {
    /// Equally good paths are all used.
    pub multipath: bool,
    /// The most paths to use together; at least 1.
    pub max_paths: u8,
    /// For a multipath set AS paths need only be equally long; otherwise they must be equal.
    pub relax: bool,
    /// The oldest of equal eBGP paths wins before router ids are compared; stabler, but depends on history.
    pub prefer_oldest: bool,
    /// MEDs of different neighbouring ASes are compared too.
    pub always_compare_med: bool,
    /// MEDs are compared within each neighbouring AS before ASes are compared with each other, so that the order of
    /// arrival has no influence (RFC 4271 section 9.1.2.2 c). Otherwise paths are compared in pairs, the newest first.
    pub deterministic_med: bool,
    /// A missing MED counts as the highest one, not as 0.
    pub missing_med_as_worst: bool,
}

impl Default for DecisionRules {
    fn default() -> Self {
        Self {
            multipath: false,
            max_paths: 64,
            relax: true,
            prefer_oldest: false,
            always_compare_med: false,
            deterministic_med: true,
            missing_med_as_worst: false,
        }
    }
}
