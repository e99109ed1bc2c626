//! Why a policy configuration was refused. Names field and value; must never repair one.

/// A fault of sets, policies or chains.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value:?}: {rule}")]
pub struct PolicyError {
    /// The field, with the object it belongs to: `policies[in].statements[0].match.prefix_set`.
    pub field: String,
    /// The value found.
    pub value: String,
    /// What the field accepts.
    pub rule: &'static str,
    /// The value is a key that was given before.
    pub duplicate: bool,
}

impl PolicyError {
    pub(super) fn invalid(field: impl Into<String>, value: impl ToString, rule: &'static str) -> Self {
        Self { field: field.into(), value: value.to_string(), rule, duplicate: false }
    }

    pub(super) fn duplicate(field: impl Into<String>, value: impl ToString) -> Self {
        let rule = "is given twice; remove one";
        Self { field: field.into(), value: value.to_string(), rule, duplicate: true }
    }
}
