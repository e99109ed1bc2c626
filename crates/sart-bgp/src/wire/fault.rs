//! What a fault in an UPDATE costs: the type decides the answer (RFC 7606). Must never be softened by a caller.

use core::fmt;

use super::code;
use super::notification::Notification;

/// The price of a fault, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultClass {
    /// The attribute is dropped, the route kept.
    AttributeDiscard,
    /// The routes of the UPDATE are taken as withdrawn.
    TreatAsWithdraw,
    /// The session ends: the routes of the UPDATE cannot be told.
    SessionReset,
}

/// The price of a problem as its type: what reads an attribute says by its signature what a fault of it costs, and a
/// price that ends the session cannot be handed to the code that goes on.
pub(crate) trait Survivable {
    /// The class it is reported with.
    const CLASS: FaultClass;
    /// What is wrong.
    fn problem(self) -> Problem;
}

/// The attribute is dropped and the route kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Discard(pub Problem);

/// The routes of the UPDATE are taken as withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Withdraw(pub Problem);

/// The session ends. Not [`Survivable`]: it can only become the error of the whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reset(pub Problem);

impl Survivable for Discard {
    const CLASS: FaultClass = FaultClass::AttributeDiscard;

    fn problem(self) -> Problem {
        self.0
    }
}

impl Survivable for Withdraw {
    const CLASS: FaultClass = FaultClass::TreatAsWithdraw;

    fn problem(self) -> Problem {
        self.0
    }
}

impl From<Problem> for Discard {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Problem> for Withdraw {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Problem> for Reset {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl Reset {
    /// The fault of the attribute `code`, or of the message itself with 0.
    pub(crate) const fn of(self, code: u8) -> Fault {
        Fault { code, problem: self.0, class: FaultClass::SessionReset }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The flags contradict the type.
    Flags,
    /// The length does not fit the type.
    Length,
    /// The value is not one that the type has.
    Value,
    /// The attribute runs over the end of the list, or its header is cut.
    Overrun,
    /// The attribute came twice.
    Duplicate,
    /// A mandatory attribute is missing.
    Missing,
    /// Only internal neighbours may send it.
    NotFromExternal,
    /// A well-known attribute that does not exist.
    Unrecognized,
    /// A family that was not negotiated.
    Family,
    /// A prefix is too long or cut off.
    Prefix,
}

/// One fault of an UPDATE.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}: {class}", Attribute(*code))]
pub struct Fault {
    /// Type code of the attribute; 0 for the message itself.
    pub code: u8,
    /// What is wrong.
    pub problem: Problem,
    /// What it costs.
    pub class: FaultClass,
}

impl Fault {
    /// The answer on the wire, used only if the class is [`FaultClass::SessionReset`].
    #[must_use]
    pub const fn notification(&self) -> Notification {
        Notification::new(match (self.code, self.problem) {
            (0, Problem::Prefix) => Notification::INVALID_NETWORK,
            (_, Problem::Unrecognized) => Notification::UNRECOGNIZED_WELL_KNOWN,
            (code::MP_REACH | code::MP_UNREACH, Problem::Length | Problem::Prefix | Problem::Value) => {
                Notification::OPTIONAL_ATTRIBUTE
            }
            _ => Notification::MALFORMED_ATTRIBUTES,
        })
    }
}

impl FaultClass {
    /// The label for metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::AttributeDiscard => "AttributeDiscard",
            Self::TreatAsWithdraw => "TreatAsWithdraw",
            Self::SessionReset => "SessionReset",
        }
    }
}

impl Problem {
    /// The label for metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Flags => "Flags",
            Self::Length => "Length",
            Self::Value => "Value",
            Self::Overrun => "Overrun",
            Self::Duplicate => "Duplicate",
            Self::Missing => "Missing",
            Self::NotFromExternal => "NotFromExternal",
            Self::Unrecognized => "Unrecognized",
            Self::Family => "Family",
            Self::Prefix => "Prefix",
        }
    }
}

impl fmt::Display for FaultClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AttributeDiscard => "attribute discarded",
            Self::TreatAsWithdraw => "routes withdrawn",
            Self::SessionReset => "session reset",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flags => "has wrong flags",
            Self::Length => "has a wrong length",
            Self::Value => "has an invalid value",
            Self::Overrun => "overruns its list",
            Self::Duplicate => "came twice",
            Self::Missing => "is missing",
            Self::NotFromExternal => "came from an external neighbor",
            Self::Unrecognized => "is an unknown well-known attribute",
            Self::Family => "names a family that was not negotiated",
            Self::Prefix => "has a malformed prefix",
        })
    }
}

struct Attribute(u8);

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("UPDATE"),
            unnamed => match code::name(unnamed) {
                Some(name) => f.write_str(name),
                None => write!(f, "attribute {unnamed}"),
            },
        }
    }
}
