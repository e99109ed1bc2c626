//! Routes as the kernel keys and holds them, normalised so that two equal routes compare equal. Never guesses a field
//! the kernel did not say.

use std::net::IpAddr;

use ipnet::IpNet;

/// `RTPROT_KERNEL`: routes the kernel made from addresses (linux/rtnetlink.h).
pub const PROTOCOL_KERNEL: u8 = 2;
/// `RTPROT_BOOT`: what `ip route add` writes when no protocol is named.
pub const PROTOCOL_BOOT: u8 = 3;
/// `RTPROT_STATIC`.
pub const PROTOCOL_STATIC: u8 = 4;
/// The protocol id of the route manager.
pub const PROTOCOL_FIBD: u8 = 186;
/// The protocol id of the agent's loop stoppers.
pub const PROTOCOL_AGENT: u8 = 187;
/// The protocol id of the routes to this node's pods, one per pod address, and of nothing else.
pub const PROTOCOL_POD: u8 = 188;
/// The protocol id of the blackhole routes that cover this node's blocks of pod addresses.
pub const PROTOCOL_BLOCK: u8 = 189;
/// `RT_TABLE_MAIN`.
pub const TABLE_MAIN: u32 = 254;
/// `RT_TABLE_LOCAL`.
pub const TABLE_LOCAL: u32 = 255;
/// Largest weight the kernel holds: `rtnh_hops` is one byte and counts from 0.
pub const MAX_WEIGHT: u16 = 256;

/// What identifies a route in the kernel when the type of service is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// Routing table, full 32 bits.
    pub table: u32,
    /// Destination, host bits cleared.
    pub prefix: IpNet,
    /// Kernel metric (`RTA_PRIORITY`): lower wins inside one prefix.
    pub metric: u32,
}

/// `rtm_type` (rtnetlink(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKind {
    /// Forwarded to the legs.
    Unicast,
    /// Delivered to this host.
    Local,
    /// Dropped in silence.
    Blackhole,
    /// Dropped, the sender is told "host unreachable".
    Unreachable,
    /// Dropped, the sender is told "prohibited".
    Prohibit,
    /// The lookup goes on in the next rule.
    Throw,
    /// Any other type, by number (broadcast, anycast, multicast, …).
    Other(u8),
}

/// One way out of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg {
    /// The neighbour that takes the packet; none when the destination itself is on the link.
    pub gateway: Option<IpAddr>,
    /// Interface index; 0 when the kernel named none.
    pub ifindex: u32,
    /// Share of the flows, 1 to [`MAX_WEIGHT`].
    pub weight: u16,
    /// `RTNH_F_ONLINK`: the gateway is on the link although no address says so.
    pub onlink: bool,
}

/// A route, wanted or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Table, prefix and metric.
    pub key: RouteKey,
    /// Who wrote it (`rtm_protocol`).
    pub protocol: u8,
    /// What happens to a packet.
    pub kind: RouteKind,
    /// Sorted, no two with the same gateway and interface; empty unless unicast or local.
    pub legs: Vec<Leg>,
}

/// A route found in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRoute {
    /// The route itself.
    pub route: Route,
    /// Legs that carry nothing now (`RTNH_F_DEAD` or `RTNH_F_LINKDOWN`); a subset of `route.legs`.
    pub down: Vec<Leg>,
}

impl Route {
    /// A unicast route over `legs`, normalised.
    pub fn unicast(key: RouteKey, protocol: u8, legs: Vec<Leg>) -> Self {
        Self { key, protocol, kind: RouteKind::Unicast, legs: normalise(legs) }
    }

    /// A route that refuses packets with "unreachable".
    pub fn unreachable(key: RouteKey, protocol: u8) -> Self {
        Self { key, protocol, kind: RouteKind::Unreachable, legs: Vec::new() }
    }
}

impl KernelRoute {
    /// A route whose legs all work.
    pub fn up(route: Route) -> Self {
        Self { route, down: Vec::new() }
    }

    /// The legs that carry traffic now.
    pub fn usable_legs(&self) -> impl Iterator<Item = &Leg> {
        self.route.legs.iter().filter(|leg| !self.down.contains(leg))
    }

    /// True for a route straight to a link: the destination needs no gateway. The default route is never one, or a
    /// point-to-point uplink would own every prefix.
    pub fn is_connected(&self) -> bool {
        self.route.kind == RouteKind::Unicast
            && self.route.key.prefix.prefix_len() > 0
            && !self.route.legs.is_empty()
            && self.route.legs.iter().all(|leg| leg.gateway.is_none())
    }
}

/// Sorts legs, folds doubles (the kernel refuses none of them, but hashes flows over each) and brings weights into the
/// kernel's range. A single leg has weight 1: the kernel keeps no weight for it.
pub fn normalise(mut legs: Vec<Leg>) -> Vec<Leg> {
    legs.sort_unstable();
    legs.dedup_by(|later, kept| {
        let same = later.gateway == kept.gateway && later.ifindex == kept.ifindex;
        if same {
            kept.weight = kept.weight.max(later.weight);
            kept.onlink |= later.onlink;
        }
        same
    });
    let single = legs.len() == 1;
    for leg in &mut legs {
        leg.weight = if single { 1 } else { leg.weight.clamp(1, MAX_WEIGHT) };
    }
    legs
}
