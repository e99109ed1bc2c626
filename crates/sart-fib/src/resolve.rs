//! Turns a next-hop address into legs by longest match against the kernel's own routes. Routes that sart wrote never
//! take part, or a route could resolve over itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use crate::route::{KernelRoute, Leg, MAX_WEIGHT, RouteKind, TABLE_LOCAL, TABLE_MAIN};

/// Lookups one next hop may cost: kernel routes name an interface after one, so more means a loop.
pub const MAX_DEPTH: u8 = 8;

/// `IP6_RT_PRIO_ADDRCONF` (linux/ipv6_route.h): the metric of a prefix that came with an IPv6 address.
const IPV6_LINK_METRIC: u32 = 256;

/// What resolution may use.
#[derive(Debug, Clone)]
pub struct ResolveOptions {
    /// Tables searched together.
    pub tables: Vec<u32>,
    /// Protocols that never resolve a next hop: sart's own.
    pub skip_protocols: Vec<u8>,
    /// Whether a default route may resolve a next hop. Off unless asked for: a neighbour whose link is gone would
    /// otherwise seem reachable over the default gateway.
    pub via_default: bool,
}

/// Why a next hop has no legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unresolved {
    /// Nothing matches.
    #[error("no route leads to next hop {0}; add a connected or static route to it")]
    NoRoute(IpAddr),
    /// Only a default route matches.
    #[error("only the default route leads to next hop {0}; set resolve_via_default to allow it")]
    OnlyDefault(IpAddr),
    /// The address is this host's.
    #[error("next hop {0} is an address of this host")]
    OwnAddress(IpAddr),
    /// The longest match drops packets.
    #[error("the route {1} to next hop {0} drops packets")]
    Dropped(IpAddr, IpNet),
    /// The links of the longest match are down.
    #[error("the link of the route {1} to next hop {0} is down")]
    LinkDown(IpAddr, IpNet),
    /// The source named no next hop, or all legs of an imported route are down.
    #[error("the route has no usable next hop")]
    NoNextHop,
    /// The routes lead to each other.
    #[error("next hop {0} needs more than {MAX_DEPTH} lookups: its routes lead to each other")]
    TooDeep(IpAddr),
}

impl Unresolved {
    /// Label for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Unresolved::NoRoute(_) => "no_route",
            Unresolved::OnlyDefault(_) => "only_default",
            Unresolved::OwnAddress(_) => "own_address",
            Unresolved::Dropped(..) => "dropped",
            Unresolved::LinkDown(..) => "link_down",
            Unresolved::NoNextHop => "no_next_hop",
            Unresolved::TooDeep(_) => "too_deep",
        }
    }
}

/// The kernel's own routes, ready for longest match.
#[derive(Debug)]
pub struct Resolver<'a> {
    routes: BTreeMap<IpNet, &'a KernelRoute>,
    via_default: bool,
}

impl Default for ResolveOptions {
    fn default() -> Self {
        use crate::route::{PROTOCOL_AGENT, PROTOCOL_FIBD};
        Self {
            tables: vec![TABLE_LOCAL, TABLE_MAIN],
            skip_protocols: vec![PROTOCOL_FIBD, PROTOCOL_AGENT],
            via_default: false,
        }
    }
}

impl<'a> Resolver<'a> {
    /// Indexes a kernel dump. Of several routes to one prefix the local table's wins, then the lowest metric: the order
    /// in which the kernel looks them up.
    pub fn new(kernel: &'a [KernelRoute], options: &ResolveOptions) -> Self {
        let rank = |found: &KernelRoute| (found.route.key.table != TABLE_LOCAL, found.route.key.metric);
        let mut routes: BTreeMap<IpNet, &KernelRoute> = BTreeMap::new();
        for found in kernel {
            let route = &found.route;
            // A throw route only ends the search of one table.
            let usable = options.tables.contains(&route.key.table)
                && !options.skip_protocols.contains(&route.protocol);
            if !usable || route.kind == RouteKind::Throw {
                continue;
            }
            let kept = routes.entry(route.key.prefix).or_insert(found);
            if rank(found) < rank(kept) {
                *kept = found;
            }
        }
        Self { routes, via_default: options.via_default }
    }

    /// The legs that lead to `next_hop`, each with its share of `weight`.
    pub fn resolve(&self, next_hop: IpAddr, weight: u16) -> Result<Vec<Leg>, Unresolved> {
        self.lookup(next_hop, weight, 0)
    }

    /// How far `next_hop` is: the metric of the route that leads there, 0 on a link. The interior cost of RFC 4271 section
    /// 9.1.2.2 e.
    pub fn distance(&self, next_hop: IpAddr) -> Result<u32, Unresolved> {
        self.resolve(next_hop, 1)?;
        let found = self.longest_match(next_hop)?;
        let metric = found.route.key.metric;
        // The kernel gives every IPv6 prefix of a link this metric, which says nothing about a distance.
        let of_link = found.is_connected() && metric == IPV6_LINK_METRIC;
        Ok(if of_link { 0 } else { metric })
    }

    fn lookup(&self, address: IpAddr, weight: u16, depth: u8) -> Result<Vec<Leg>, Unresolved> {
        if depth >= MAX_DEPTH {
            return Err(Unresolved::TooDeep(address));
        }
        let found = self.longest_match(address)?;
        let prefix = found.route.key.prefix;
        match found.route.kind {
            RouteKind::Unicast => {}
            RouteKind::Local => return Err(Unresolved::OwnAddress(address)),
            _ => return Err(Unresolved::Dropped(address, prefix)),
        }
        let mut legs = Vec::new();
        for leg in found.usable_legs() {
            let share = weight.saturating_mul(leg.weight).clamp(1, MAX_WEIGHT);
            match leg.gateway {
                Some(gateway) if leg.ifindex == 0 => legs.extend(self.lookup(gateway, share, depth + 1)?),
                gateway => legs.push(Leg { gateway: gateway.or(Some(address)), weight: share, ..*leg }),
            }
        }
        if legs.is_empty() { Err(Unresolved::LinkDown(address, prefix)) } else { Ok(legs) }
    }

    fn longest_match(&self, address: IpAddr) -> Result<&'a KernelRoute, Unresolved> {
        let host = IpNet::from(address);
        for len in (0..=host.max_prefix_len()).rev() {
            let Ok(prefix) = IpNet::new(address, len) else { continue };
            if let Some(found) = self.routes.get(&prefix.trunc()) {
                let refused = len == 0 && !self.via_default;
                return if refused { Err(Unresolved::OnlyDefault(address)) } else { Ok(found) };
            }
        }
        Err(Unresolved::NoRoute(address))
    }
}

#[cfg(test)]
mod tests;
