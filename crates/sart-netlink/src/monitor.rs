//! What changes in the kernel's routes, rules, links and addresses, as it happens. An overrun is a change like any
//! other: it says that everything must be read again.

use netlink_sys::protocols::NETLINK_ROUTE;
use sart_fib::KernelRoute;

use crate::attr::messages;
use crate::error::{OpenError, RequestError};
use crate::link::{RTM_DELADDR, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK};
use crate::route::{RTM_DELROUTE, RTM_NEWROUTE, decode};
use crate::rule::{RTM_DELRULE, RTM_NEWRULE};
use crate::socket::Connection;

/// `RTNLGRP_LINK`, `IPV4_IFADDR`, `IPV4_ROUTE`, `IPV4_RULE`, `IPV6_IFADDR`, `IPV6_ROUTE`, `IPV6_RULE`.
const GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A route was written or deleted by someone else. IPv4 routes that die with their link are not reported: watch
    /// [`Change::Link`] too.
    Route {
        /// The route as notified.
        route: KernelRoute,
        /// Deleted instead of written.
        deleted: bool,
    },
    /// An interface came, went, or changed.
    Link,
    /// An address came or went.
    Address,
    /// A rule came or went.
    Rule,
    /// Notifications were lost: dump everything again.
    Overrun,
}

/// A subscription.
pub struct RouteMonitor {
    connection: Connection,
    ignored: Option<u32>,
}

impl RouteMonitor {
    /// Subscribes in the current thread's network namespace. Subscribe before the first dump, or a change between the
    /// two is lost.
    pub fn open() -> Result<Self, OpenError> {
        Ok(Self { connection: Connection::open(NETLINK_ROUTE, &GROUPS)?, ignored: None })
    }

    /// Leaves out the echoes of the writes of one handle ([`crate::RouteHandle::port`]).
    pub fn ignore(&mut self, port: u32) {
        self.ignored = Some(port);
    }

    /// Waits for changes and returns all that have arrived. Cancel-safe.
    pub async fn changed(&mut self) -> Result<Vec<Change>, RequestError> {
        let mut changes = Vec::new();
        while changes.is_empty() {
            match self.connection.receive().await {
                Ok(datagram) => collect(datagram, self.ignored, &mut changes),
                Err(RequestError::Overrun) => changes.push(Change::Overrun),
                Err(error) => return Err(error),
            }
        }
        self.drain(&mut changes)?;
        Ok(changes)
    }

    fn drain(&mut self, changes: &mut Vec<Change>) -> Result<(), RequestError> {
        loop {
            match self.connection.try_receive() {
                Ok(Some(datagram)) => collect(datagram, self.ignored, changes),
                Ok(None) => return Ok(()),
                Err(RequestError::Overrun) => changes.push(Change::Overrun),
                Err(error) => return Err(error),
            }
        }
    }
}

fn collect(datagram: &[u8], ignored: Option<u32>, changes: &mut Vec<Change>) {
    let foreign = messages(datagram).filter(|message| Some(message.port) != ignored);
    changes.extend(foreign.filter_map(|message| match message.kind {
        RTM_NEWROUTE | RTM_DELROUTE => {
            let deleted = message.kind == RTM_DELROUTE;
            decode(message.body).map(|route| Change::Route { route, deleted })
        }
        RTM_NEWLINK | RTM_DELLINK => Some(Change::Link),
        RTM_NEWADDR | RTM_DELADDR => Some(Change::Address),
        RTM_NEWRULE | RTM_DELRULE => Some(Change::Rule),
        _ => None,
    }));
}
