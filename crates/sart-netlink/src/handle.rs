//! The route socket: dumps and writes, one call after the other.

use std::net::IpAddr;

use netlink_sys::protocols::NETLINK_ROUTE;
use sart_fib::{KernelRoute, RouteAction};

use crate::error::{ActionFailure, OpenError, RequestError};
use crate::exchange::Reply;
use crate::link::{Address, Link, addresses_request, decode_address, decode_link, links_request};
use crate::route::{AF_INET, AF_INET6, Lookup, action_request, decode, decode_lookup, dump_request};
use crate::rule::{self, Rule};
use crate::socket::Connection;

/// Writes per datagram: small enough that the failures of all of them fit the default receive buffer.
const BATCH: usize = 128;

/// A socket for requests. Not cancel-safe: let each call finish.
pub struct RouteHandle {
    connection: Connection,
}

impl RouteHandle {
    /// Opens the socket in the current thread's network namespace.
    pub fn open() -> Result<Self, OpenError> {
        Ok(Self { connection: Connection::open(NETLINK_ROUTE, &[])? })
    }

    /// The address that the kernel stamps on notifications of our own writes; see
    /// [`crate::RouteMonitor::ignore`].
    pub fn port(&self) -> u32 {
        self.connection.port()
    }

    /// All routes of all tables and both families, retried if a change interrupts the dump.
    pub async fn routes(&mut self) -> Result<Vec<KernelRoute>, RequestError> {
        let mut routes = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let replies = self.connection.dump("dump routes", dump_request(family)).await?;
            routes.extend(replies.iter().filter_map(|reply| decode(&reply.body)));
        }
        Ok(routes)
    }

    /// Carries out a plan in order, in batches, and returns what the kernel refused. A deletion of what is gone already
    /// is no failure. After an error the state of the rest is unknown: dump before planning again.
    pub async fn apply(&mut self, actions: &[RouteAction]) -> Result<Vec<ActionFailure>, RequestError> {
        let mut failures = Vec::new();
        for (number, batch) in actions.chunks(BATCH).enumerate() {
            let requests = batch.iter().map(action_request).collect();
            for (index, refusal) in self.connection.batch(requests).await? {
                let gone = matches!(batch[index], RouteAction::Delete(_)) && refusal.errno == libc::ESRCH;
                if !gone {
                    failures.push(ActionFailure { index: number * BATCH + index, refusal });
                }
            }
        }
        Ok(failures)
    }

    /// Asks the kernel what it would do with a packet to `address`.
    pub async fn lookup(&mut self, address: IpAddr) -> Result<Lookup, RequestError> {
        let request = crate::route::lookup_request(address);
        let replies = self.connection.transact("look up a route", request).await?;
        let found = replies.first().and_then(|reply| decode_lookup(&reply.body));
        found.ok_or(RequestError::Malformed("a route lookup"))
    }

    /// All interfaces.
    pub async fn links(&mut self) -> Result<Vec<Link>, RequestError> {
        let replies = self.connection.dump("dump links", links_request()).await?;
        decode_all(&replies, decode_link, "a link")
    }

    /// All addresses of both families.
    pub async fn addresses(&mut self) -> Result<Vec<Address>, RequestError> {
        let replies = self.connection.dump("dump addresses", addresses_request()).await?;
        Ok(replies.iter().filter_map(|reply| decode_address(&reply.body)).collect())
    }

    /// All rules of both families that look up a table.
    pub async fn rules(&mut self) -> Result<Vec<Rule>, RequestError> {
        let mut rules = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let replies = self.connection.dump("dump rules", rule::dump_request(family)).await?;
            rules.extend(replies.iter().filter_map(|reply| rule::decode(&reply.body)));
        }
        Ok(rules)
    }

    /// Adds a rule; false if just this rule stands already.
    pub async fn add_rule(&mut self, rule: &Rule) -> Result<bool, RequestError> {
        let added = self.connection.transact("add a rule", rule::add_request(rule)).await;
        done_unless(added, libc::EEXIST)
    }

    /// Deletes a rule; false if there is none.
    pub async fn delete_rule(&mut self, rule: &Rule) -> Result<bool, RequestError> {
        let deleted = self.connection.transact("delete a rule", rule::delete_request(rule)).await;
        done_unless(deleted, libc::ENOENT)
    }
}

fn done_unless(result: Result<Vec<Reply>, RequestError>, harmless: i32) -> Result<bool, RequestError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.errno() == Some(harmless) => Ok(false),
        Err(error) => Err(error),
    }
}

fn decode_all<T>(
    replies: &[Reply],
    decode: fn(&[u8]) -> Option<T>,
    what: &'static str,
) -> Result<Vec<T>, RequestError> {
    let decoded = replies.iter().map(|reply| decode(&reply.body).ok_or(RequestError::Malformed(what)));
    decoded.collect()
}
