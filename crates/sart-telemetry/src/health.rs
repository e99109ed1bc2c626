//! What still keeps a process from being ready. Collects; must never find out by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The conditions a process needs before it can serve. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Health {
    conditions: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
}

/// The right to report one condition.
#[derive(Clone, Debug)]
pub struct Readiness {
    health: Health,
    name: &'static str,
}

impl Health {
    /// Nothing is required yet, so ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition, unmet until [`Readiness::ready`] is called on the result.
    #[must_use]
    pub fn require(&self, name: &'static str) -> Readiness {
        self.set(name, Some("not yet".to_owned()));
        Readiness { health: self.clone(), name }
    }

    /// The unmet conditions as `name: why`, in order of name; empty means ready.
    #[must_use]
    pub fn unmet(&self) -> Vec<String> {
        let conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.iter().filter_map(|(name, why)| why.as_ref().map(|why| format!("{name}: {why}"))).collect()
    }

    fn set(&self, name: &'static str, why_not: Option<String>) {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).insert(name, why_not);
    }
}

impl Readiness {
    /// The condition is met.
    pub fn ready(&self) {
        self.health.set(self.name, None);
    }

    /// The condition is not met, because of `why`.
    pub fn not_ready(&self, why: impl Into<String>) {
        self.health.set(self.name, Some(why.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_no_condition_is_unmet() {
        let health = Health::new();
        assert!(health.unmet().is_empty());
        let api = health.require("api");
        let config = health.require("config");
        config.not_ready("no file");
        assert_eq!(health.unmet(), ["api: not yet", "config: no file"]);
        api.ready();
        config.ready();
        assert!(health.unmet().is_empty());
    }
}
