//! The NOTIFICATIONs that say goodbye on purpose (RFC 4486, RFC 9003). Must never decide when one is due.

use crate::wire::notification::Notification;

/// Administrative Shutdown with a text for the neighbour's operator.
#[must_use]
pub fn shutdown(text: &str) -> Notification {
    with_text(Notification::ADMIN_SHUTDOWN, text)
}

/// Administrative Reset with a text for the neighbour's operator.
#[must_use]
pub fn reset(text: &str) -> Notification {
    with_text(Notification::ADMIN_RESET, text)
}

/// No data at all without a text: RFC 4486 knows none here, and a neighbour that knows nothing newer expects none.
fn with_text(kind: (u8, u8), text: &str) -> Notification {
    if text.is_empty() { Notification::new(kind) } else { Notification::with_text(kind, text) }
}
