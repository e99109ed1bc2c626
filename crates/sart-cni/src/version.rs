//! The versions of the specification that we speak.

use crate::failure::{Failure, code};

/// A version that we speak; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 0.3.1
    V031,
    /// 0.4.0: CHECK, `prevResult` for DEL.
    V040,
    /// 1.0.0: no `version` in `ips`.
    V100,
    /// 1.1.0: GC, STATUS, `mtu` of interfaces and routes.
    V110,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::V031, Self::V040, Self::V100, Self::V110];
    /// What we answer with where the runtime has not named one.
    pub const NEWEST: Self = Self::V110;

    /// Its text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::V031 => "0.3.1",
            Self::V040 => "0.4.0",
            Self::V100 => "1.0.0",
            Self::V110 => "1.1.0",
        }
    }

    /// The version of a configuration; a missing one means 0.1.0 (specification 0.1.0 had no such key).
    ///
    /// # Errors
    /// Code 1 with both sides' versions.
    pub fn parse(text: Option<&str>) -> Result<Self, Failure> {
        let text = text.unwrap_or("0.1.0");
        let known = Self::ALL.into_iter().find(|version| version.text() == text);
        known.ok_or_else(|| {
            let ours = Self::ALL.map(Self::text).join(", ");
            let details = format!("the configuration has cniVersion {text}; sart-cni speaks {ours}");
            Failure::detailed(code::INCOMPATIBLE_VERSION, "incompatible CNI version", details)
        })
    }

    /// Refuses a verb that came with a later version.
    ///
    /// # Errors
    /// Code 1.
    pub fn at_least(self, first: Self, verb: &str) -> Result<(), Failure> {
        if self >= first {
            return Ok(());
        }
        let details = format!("the configuration has cniVersion {}", self.text());
        let msg = format!("{verb} needs CNI version {} or later", first.text());
        Err(Failure::detailed(code::INCOMPATIBLE_VERSION, msg, details))
    }
}

/// The answer to VERSION.
#[must_use]
pub fn document() -> String {
    let supported = Version::ALL.map(Version::text);
    serde_json::json!({"cniVersion": Version::NEWEST.text(), "supportedVersions": supported}).to_string()
}
