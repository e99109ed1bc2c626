//! Counts messages by kind. Must never influence a session.

use crate::wire::message::MessageKind;

/// Messages counted by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounters {
    /// OPEN.
    pub open: u64,
    /// UPDATE.
    pub update: u64,
    /// KEEPALIVE.
    pub keepalive: u64,
    /// NOTIFICATION.
    pub notification: u64,
    /// ROUTE-REFRESH.
    pub route_refresh: u64,
}

impl MessageCounters {
    pub(crate) fn count(&mut self, kind: MessageKind, messages: u64) {
        let counter = match kind {
            MessageKind::Open => &mut self.open,
            MessageKind::Update => &mut self.update,
            MessageKind::Keepalive => &mut self.keepalive,
            MessageKind::Notification => &mut self.notification,
            MessageKind::RouteRefresh => &mut self.route_refresh,
        };
        *counter += messages;
    }
}
