//! Why a pool that is asked for gives nothing: said in the same words to pods and to Services.

/// Why a pool gives no new addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closed {
    /// It is not, or not yet, accepted.
    NotAccepted,
    /// It is being drained.
    Disabled,
}

/// Why a named pool cannot serve.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// No such pool.
    #[error("there is no AddressPool {pool:?} of type {kind}; create it or correct the annotation")]
    Unknown {
        /// `pod` or `service`.
        kind: &'static str,
        /// The name in the annotation.
        pool: String,
    },
    /// The pool gives nothing.
    #[error("AddressPool {pool:?} gives no addresses now: it is {why}; see its conditions")]
    Closed {
        /// The pool.
        pool: String,
        /// Why, in words.
        why: &'static str,
    },
}

impl Closed {
    /// Of a pool whose condition `Accepted` is or is not `True`, and that is or is not disabled; none if it is open.
    #[must_use]
    pub fn of(accepted: bool, disabled: bool) -> Option<Self> {
        match (accepted, disabled) {
            (true, false) => None,
            (false, _) => Some(Self::NotAccepted),
            (true, true) => Some(Self::Disabled),
        }
    }

    /// An error that names the pool, if it is closed.
    pub(crate) fn refuse(closed: Option<Self>, pool: &str) -> Result<(), Unusable> {
        let why = match closed {
            None => return Ok(()),
            Some(Self::NotAccepted) => "not accepted",
            Some(Self::Disabled) => "disabled",
        };
        Err(Unusable::Closed { pool: pool.to_owned(), why })
    }
}

impl Unusable {
    /// The word used in conditions, Events, errors of the CNI and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "PoolNotFound",
            Self::Closed { .. } => "PoolNotUsable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_is_not_accepted_is_closed_for_that_even_when_it_is_disabled_too() {
        assert_eq!(Closed::of(true, false), None);
        assert_eq!(Closed::of(true, true), Some(Closed::Disabled));
        assert_eq!(Closed::of(false, true), Some(Closed::NotAccepted));
    }

    #[test]
    fn a_refusal_names_the_pool_and_what_to_look_at() {
        let closed = Closed::refuse(Some(Closed::Disabled), "a").unwrap_err();
        assert_eq!(
            (closed.reason(), closed.to_string().as_str()),
            ("PoolNotUsable", "AddressPool \"a\" gives no addresses now: it is disabled; see its conditions")
        );
        let unknown = Unusable::Unknown { kind: "pod", pool: "b".to_owned() };
        assert_eq!(
            (unknown.reason(), unknown.to_string().as_str()),
            (
                "PoolNotFound",
                "there is no AddressPool \"b\" of type pod; create it or correct the annotation"
            )
        );
    }
}
