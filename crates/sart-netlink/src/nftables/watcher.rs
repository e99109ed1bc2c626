//! The nftables sockets: one subscribed to changes, one for dumps.

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::expression::{service_of_element, service_of_rule};
use super::{Protocol, ServiceRules};
use crate::attr::{Request, attrs, attrs_after, find, messages, text};
use crate::error::{OpenError, RequestError};
use crate::exchange::Reply;
use crate::socket::Connection;

const NFNLGRP_NFTABLES: u32 = 7;
const NFNL_SUBSYS_NFTABLES: u16 = 10 << 8;
const NFT_MSG_GETRULE: u16 = 7;
const NFT_MSG_GETSETELEM: u16 = 13;
const NFT_MSG_NEWGEN: u16 = 15;
const NFGENMSG_LEN: usize = 4;
/// The table's name is attribute 1 of tables, chains, rules, sets and set elements alike.
const NFTA_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const FAMILIES: [u8; 2] = [crate::route::AF_INET, crate::route::AF_INET6];
/// iptables-nft's table, and that of kube-proxy's nftables mode.
const IPTABLES_TABLE: &str = "nat";
const NFTABLES_TABLE: &str = "kube-proxy";

type Service = (std::net::IpAddr, u16, Protocol);

/// Reads kube-proxy's rules and says when they may have changed.
pub struct ServiceRulesWatcher {
    events: Connection,
    query: Connection,
}

impl ServiceRulesWatcher {
    /// Subscribes in the current thread's network namespace; needs CAP_NET_ADMIN there. Changes from now on make
    /// [`ServiceRulesWatcher::changed`] return, so take the first snapshot after opening.
    pub fn open() -> Result<Self, OpenError> {
        let events = Connection::open(NETLINK_NETFILTER, &[NFNLGRP_NFTABLES])?;
        Ok(Self { events, query: Connection::open(NETLINK_NETFILTER, &[])? })
    }

    /// Waits until a transaction has touched kube-proxy's tables (or an unknown part of them was lost from view). All
    /// that has arrived counts as one change. Cancel-safe.
    pub async fn changed(&mut self) -> Result<(), RequestError> {
        let mut touched = false;
        while !touched {
            touched = match self.events.receive().await {
                Ok(datagram) => concerns(datagram),
                Err(RequestError::Overrun) => true,
                Err(error) => return Err(error),
            };
        }
        loop {
            match self.events.try_receive() {
                Ok(Some(_)) | Err(RequestError::Overrun) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the rules as they are now. Not cancel-safe.
    pub async fn snapshot(&mut self) -> Result<ServiceRules, RequestError> {
        let mut served = Vec::new();
        for family in FAMILIES {
            served.extend(self.iptables(family).await?);
            served.extend(self.nftables(family).await?);
        }
        Ok(served.into_iter().collect())
    }

    async fn iptables(&mut self, family: u8) -> Result<Vec<Service>, RequestError> {
        let request = request(NFT_MSG_GETRULE, family)
            .attr(NFTA_TABLE, &terminated(IPTABLES_TABLE))
            .attr(NFTA_RULE_CHAIN, b"KUBE-SERVICES\0");
        let replies = self.dump("dump the nat rules", request).await?;
        let rules = replies.iter().filter_map(|reply| {
            let body = reply.body.get(NFGENMSG_LEN..)?;
            // Kernels before 5.x ignore the filter of the request.
            let here = find(body, NFTA_RULE_CHAIN).map(text) == Some("KUBE-SERVICES")
                && find(body, NFTA_TABLE).map(text) == Some(IPTABLES_TABLE);
            let expressions = find(body, NFTA_RULE_EXPRESSIONS).filter(|_| here)?;
            service_of_rule(expressions, family == crate::route::AF_INET6)
        });
        Ok(rules.collect())
    }

    async fn nftables(&mut self, family: u8) -> Result<Vec<Service>, RequestError> {
        let request = request(NFT_MSG_GETSETELEM, family)
            .attr(NFTA_TABLE, &terminated(NFTABLES_TABLE))
            .attr(NFTA_SET_ELEM_LIST_SET, b"service-ips\0");
        let replies = self.dump("dump kube-proxy's service-ips", request).await?;
        let lists = replies
            .iter()
            .filter_map(|reply| find(reply.body.get(NFGENMSG_LEN..)?, NFTA_SET_ELEM_LIST_ELEMENTS));
        let elements = lists.flat_map(attrs);
        let v6 = family == crate::route::AF_INET6;
        Ok(elements.filter_map(|element| service_of_element(element.value, v6)).collect())
    }

    /// A dump of what does not exist is empty.
    async fn dump(&mut self, what: &'static str, request: Request) -> Result<Vec<Reply>, RequestError> {
        match self.query.dump(what, request).await {
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(Vec::new()),
            result => result,
        }
    }
}

fn request(message: u16, family: u8) -> Request {
    Request::new(NFNL_SUBSYS_NFTABLES | message, 0, &[family, 0, 0, 0])
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// True if a notification is about one of kube-proxy's tables. The end of a transaction (`NEWGEN`) names no table.
fn concerns(datagram: &[u8]) -> bool {
    messages(datagram).filter(|message| message.kind != NFNL_SUBSYS_NFTABLES | NFT_MSG_NEWGEN).any(
        |message| {
            let table = attrs_after(message.body, NFGENMSG_LEN).find(|attr| attr.kind == NFTA_TABLE);
            table.is_some_and(|attr| [IPTABLES_TABLE, NFTABLES_TABLE].contains(&text(attr.value)))
        },
    )
}
