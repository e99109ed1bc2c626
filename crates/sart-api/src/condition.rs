//! The condition every status carries: one entry per type, newest fact last.
//!
//! The printer columns read the last entry, so the condition a person wants to see is written last.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A list of conditions never grows beyond this many types.
pub const MAX_CONDITIONS: usize = 16;

/// BGPPeer: `status` is the session's FSM state name (`Established`, `Idle`, …).
pub const SESSION: &str = "Session";
/// NodeBGP: `status` is `Available` or `Unavailable`.
pub const SPEAKER: &str = "Speaker";
/// NodeBGP: `True` when the kernel took our programs, `False` when kube-proxy serves instead.
pub const DATAPLANE: &str = "Dataplane";
/// AddressPool, BGPPeer, ClusterBGP: `False` refuses the object and says why.
pub const ACCEPTED: &str = "Accepted";
/// ClusterBGP: `True` when every selected node has what this resource asks for.
pub const READY: &str = "Ready";
/// AddressBlock: `True` while its node is gone or out of service.
pub const LOST: &str = "Lost";
/// BGPAdvertisement: `True` when at least one session carries the prefix.
pub const ADVERTISED: &str = "Advertised";

/// One observed fact about an object.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about, such as `Accepted`, `Session`, `Speaker`; the list's key.
    #[serde(rename = "type", default)]
    #[schemars(length(max = 316))]
    pub type_: String,
    /// `True`, `False`, `Unknown`, or the state's own name (`Established`, `Available`).
    #[schemars(length(max = 64))]
    pub status: String,
    /// One word for machines.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// One sentence for people; says what to do.
    #[serde(default)]
    #[schemars(length(max = 32768))]
    pub message: String,
    /// When `status` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_transition_time: Option<Time>,
    /// `metadata.generation` this was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl Condition {
    /// A condition without a time; [`merge`] adds it.
    #[must_use]
    pub fn new(type_: &str, status: &str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            last_transition_time: None,
            observed_generation: None,
        }
    }

    /// The same condition, computed from this generation of the object.
    #[must_use]
    pub fn observed(mut self, generation: Option<i64>) -> Self {
        self.observed_generation = generation;
        self
    }

    /// Whether `status` is `True`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// The condition of this type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether the condition of this type is `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(Condition::is_true)
}

/// Gives `wanted` the times of `current`: a condition whose status did not change keeps its time, any other gets `now`.
/// The order of `wanted` stays. Unchanged input yields a list equal to `current`'s entries, so a writer can compare.
#[must_use]
pub fn merge(current: &[Condition], wanted: Vec<Condition>, now: &Time) -> Vec<Condition> {
    wanted
        .into_iter()
        .map(|mut condition| {
            let kept = find(current, &condition.type_)
                .filter(|old| old.status == condition.status)
                .and_then(|old| old.last_transition_time.clone());
            condition.last_transition_time = Some(kept.unwrap_or_else(|| now.clone()));
            condition
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let first = merge(&[], vec![Condition::new(SESSION, "Idle", "Start", "")], &at(1));
        let same = merge(&first, vec![Condition::new(SESSION, "Idle", "Other", "x")], &at(2));
        assert_eq!(same[0].last_transition_time, Some(at(1)));
        let moved = merge(&same, vec![Condition::new(SESSION, "Established", "", "")], &at(3));
        assert_eq!(moved[0].last_transition_time, Some(at(3)));
    }

    #[test]
    fn merging_what_is_there_changes_nothing() {
        let first = merge(&[], vec![Condition::new(ACCEPTED, "True", "Ok", "")], &at(1));
        let again = merge(&first, vec![Condition::new(ACCEPTED, "True", "Ok", "")], &at(9));
        assert_eq!(first, again);
        assert!(is_true(&again, ACCEPTED) && !is_true(&again, READY));
    }

    #[test]
    fn issue_7_2_the_history_of_a_session_does_not_make_the_list_grow() {
        let mut conditions = Vec::new();
        for (second, state) in ["Connect", "OpenSent", "OpenConfirm", "Established"].iter().enumerate() {
            let wanted = vec![Condition::new(SESSION, state, state, "")];
            conditions = merge(&conditions, wanted, &at(i64::try_from(second).unwrap()));
        }
        assert_eq!(conditions.iter().map(|c| c.status.as_str()).collect::<Vec<_>>(), ["Established"]);
    }
}
