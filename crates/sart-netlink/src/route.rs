//! Routes to and from rtnetlink bytes (rtnetlink(7), linux/rtnetlink.h). A message that cannot be a plain route (type of
//! service, source prefix, cached clone) decodes to nothing.

use std::net::IpAddr;

use ipnet::IpNet;
use sart_fib::RouteAction;
use sart_fib::route::{KernelRoute, Leg, MAX_WEIGHT, Route, RouteKey, RouteKind, normalise};

use crate::attr::{Request, attrs, attrs_after, push_attr, u16_at, u32_at};

pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;
pub(crate) const RTM_GETROUTE: u16 = 26;
const RTMSG_LEN: usize = 12;
const RTNEXTHOP_LEN: usize = 8;

const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;

const RTNH_F_DEAD: u32 = 1;
const RTNH_F_ONLINK: u32 = 4;
const RTNH_F_LINKDOWN: u32 = 16;
const RTM_F_CLONED: u32 = 0x200;

const RT_SCOPE_LINK: u8 = 253;
const RT_SCOPE_NOWHERE: u8 = 255;

pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;

/// What the kernel would do with a packet to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Type of the route that matched.
    pub kind: RouteKind,
    /// Table it stands in.
    pub table: u32,
    /// Next hop, if it has one.
    pub gateway: Option<IpAddr>,
    /// Outgoing interface; 0 if none.
    pub ifindex: u32,
    /// Source address the kernel would take.
    pub source: Option<IpAddr>,
}

pub(crate) fn dump_request(family: u8) -> Request {
    let mut header = [0; RTMSG_LEN];
    header[0] = family;
    Request::new(RTM_GETROUTE, 0, &header)
}

pub(crate) fn lookup_request(address: IpAddr) -> Request {
    let mut header = [0; RTMSG_LEN];
    header[0] = family(address);
    header[1] = if address.is_ipv4() { 32 } else { 128 };
    Request::new(RTM_GETROUTE, 0, &header).attr(RTA_DST, &octets(address))
}

pub(crate) fn action_request(action: &RouteAction) -> Request {
    match action {
        RouteAction::Add(route) => write_request(route, NLM_F_CREATE | NLM_F_EXCL),
        RouteAction::Replace(route) => write_request(route, NLM_F_CREATE | NLM_F_REPLACE),
        RouteAction::Delete(route) => delete_request(route),
    }
}

fn write_request(route: &Route, flags: u16) -> Request {
    let on_link = !route.legs.is_empty() && route.legs.iter().all(|leg| leg.gateway.is_none());
    let scope = if on_link { RT_SCOPE_LINK } else { 0 };
    let mut header = header(route, scope);
    let v4 = route.key.prefix.addr().is_ipv4();
    let request = |header: &[u8]| keyed(Request::new(RTM_NEWROUTE, flags, header), &route.key);
    match route.legs.as_slice() {
        [] => request(&header),
        [leg] => {
            let onlink = if leg.onlink { RTNH_F_ONLINK } else { 0 };
            header[8..12].copy_from_slice(&onlink.to_ne_bytes());
            let mut request = request(&header);
            if let Some(gateway) = leg.gateway {
                let (kind, value) = gateway_attr(gateway, v4);
                request = request.attr(kind, &value);
            }
            if leg.ifindex == 0 { request } else { request.attr_u32(RTA_OIF, leg.ifindex) }
        }
        legs => request(&header).nested(RTA_MULTIPATH, &multipath(legs, v4)),
    }
}

/// Without legs: protocol, metric and type name the owner's route whatever its legs are now, and IPv6 then deletes all
/// siblings at once (`fc_delete_all_nh`).
fn delete_request(route: &Route) -> Request {
    keyed(Request::new(RTM_DELROUTE, 0, &header(route, RT_SCOPE_NOWHERE)), &route.key)
}

fn header(route: &Route, scope: u8) -> [u8; RTMSG_LEN] {
    let prefix = route.key.prefix;
    // Tables above 255 travel in RTA_TABLE only, with RT_TABLE_UNSPEC here.
    let table = u8::try_from(route.key.table).unwrap_or(0);
    let [a, b] = [family(prefix.addr()), prefix.prefix_len()];
    [a, b, 0, 0, table, route.protocol, scope, kind_number(route.kind), 0, 0, 0, 0]
}

fn keyed(request: Request, key: &RouteKey) -> Request {
    request
        .attr(RTA_DST, &octets(key.prefix.network()))
        .attr_u32(RTA_TABLE, key.table)
        .attr_u32(RTA_PRIORITY, key.metric)
}

fn multipath(legs: &[Leg], v4: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for leg in legs {
        let mut attrs = Vec::new();
        if let Some(gateway) = leg.gateway {
            let (kind, value) = gateway_attr(gateway, v4);
            push_attr(&mut attrs, kind, &value);
        }
        let len = u16::try_from(RTNEXTHOP_LEN + attrs.len()).unwrap_or(u16::MAX);
        let hops = u8::try_from(leg.weight.clamp(1, MAX_WEIGHT) - 1).unwrap_or(u8::MAX);
        let flags = if leg.onlink { RTNH_F_ONLINK as u8 } else { 0 };
        out.extend_from_slice(&len.to_ne_bytes());
        out.extend_from_slice(&[flags, hops]);
        out.extend_from_slice(&leg.ifindex.to_ne_bytes());
        out.extend_from_slice(&attrs);
    }
    out
}

/// An IPv4 route over an IPv6 neighbour names it in `RTA_VIA`, behind its family.
fn gateway_attr(gateway: IpAddr, v4: bool) -> (u16, Vec<u8>) {
    if gateway.is_ipv4() == v4 {
        return (RTA_GATEWAY, octets(gateway));
    }
    let mut value = u16::from(family(gateway)).to_ne_bytes().to_vec();
    value.extend(octets(gateway));
    (RTA_VIA, value)
}

#[derive(Default)]
struct Fields {
    destination: Option<IpAddr>,
    gateway: Option<IpAddr>,
    source: Option<IpAddr>,
    table: Option<u32>,
    metric: u32,
    ifindex: u32,
    multipath: Vec<(Leg, bool)>,
}

/// Reads an `RTM_NEWROUTE` or `RTM_DELROUTE` body.
pub(crate) fn decode(body: &[u8]) -> Option<KernelRoute> {
    let header: &[u8; RTMSG_LEN] = body.get(..RTMSG_LEN)?.try_into().ok()?;
    let [family, length, source_length, tos, table, protocol, _scope, kind, ..] = *header;
    let flags = u32_at(body, 8)?;
    if source_length != 0 || tos != 0 || flags & RTM_F_CLONED != 0 {
        return None;
    }
    let fields = fields(body);
    let destination = fields.destination.or_else(|| unspecified(family))?;
    let key = RouteKey {
        table: fields.table.unwrap_or(u32::from(table)),
        prefix: IpNet::new(destination, length).ok()?.trunc(),
        metric: fields.metric,
    };
    let kind = kind_of(kind);
    let mut legs = fields.multipath;
    if legs.is_empty() && (fields.ifindex != 0 || fields.gateway.is_some()) && carries(kind) {
        legs.push(leg(fields.gateway, fields.ifindex, 1, flags));
    }
    let down = legs.iter().filter(|(_, down)| *down).map(|(leg, _)| *leg).collect::<Vec<_>>();
    let single = legs.len() == 1;
    let legs = normalise(legs.into_iter().map(|(leg, _)| leg).collect());
    let down = if single && !down.is_empty() { legs.clone() } else { down };
    Some(KernelRoute { route: Route { key, protocol, kind, legs }, down })
}

/// Reads the answer to a route lookup.
pub(crate) fn decode_lookup(body: &[u8]) -> Option<Lookup> {
    let fields = fields(body);
    let table = fields.table.unwrap_or(u32::from(*body.get(4)?));
    let kind = kind_of(*body.get(7)?);
    let (gateway, ifindex) = (fields.gateway, fields.ifindex);
    Some(Lookup { kind, table, gateway, ifindex, source: fields.source })
}

fn fields(body: &[u8]) -> Fields {
    let mut fields = Fields::default();
    for attr in attrs_after(body, RTMSG_LEN) {
        match attr.kind {
            RTA_DST => fields.destination = address(attr.value),
            RTA_GATEWAY => fields.gateway = address(attr.value),
            RTA_VIA => fields.gateway = attr.value.get(2..).and_then(address),
            RTA_PREFSRC => fields.source = address(attr.value),
            RTA_TABLE => fields.table = attr.u32(),
            RTA_PRIORITY => fields.metric = attr.u32().unwrap_or(0),
            RTA_OIF => fields.ifindex = attr.u32().unwrap_or(0),
            RTA_MULTIPATH => fields.multipath = decode_multipath(attr.value),
            _ => {}
        }
    }
    fields
}

fn decode_multipath(mut buf: &[u8]) -> Vec<(Leg, bool)> {
    let mut legs = Vec::new();
    while let Some(len) = u16_at(buf, 0).map(usize::from) {
        let (Some(hop), Some(ifindex)) = (buf.get(..len), u32_at(buf, 4)) else { break };
        let (Some(rest), true) = (hop.get(RTNEXTHOP_LEN..), len >= RTNEXTHOP_LEN) else { break };
        let mut gateway = None;
        for attr in attrs(rest) {
            match attr.kind {
                RTA_GATEWAY => gateway = address(attr.value),
                RTA_VIA => gateway = attr.value.get(2..).and_then(address),
                _ => {}
            }
        }
        legs.push(leg(gateway, ifindex, u16::from(hop[3]) + 1, u32::from(hop[2])));
        buf = buf.get(crate::attr::align(len)..).unwrap_or_default();
    }
    legs
}

fn leg(gateway: Option<IpAddr>, ifindex: u32, weight: u16, flags: u32) -> (Leg, bool) {
    let down = flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN) != 0;
    (Leg { gateway, ifindex, weight, onlink: flags & RTNH_F_ONLINK != 0 }, down)
}

/// IPv6 puts the loopback interface on its unreachable routes: that is no leg.
fn carries(kind: RouteKind) -> bool {
    matches!(kind, RouteKind::Unicast | RouteKind::Local)
}

pub(crate) fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?)),
        _ => None,
    }
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub(crate) fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn unspecified(family: u8) -> Option<IpAddr> {
    match family {
        AF_INET => Some(IpAddr::from([0; 4])),
        AF_INET6 => Some(IpAddr::from([0; 16])),
        _ => None,
    }
}

fn kind_of(number: u8) -> RouteKind {
    match number {
        1 => RouteKind::Unicast,
        2 => RouteKind::Local,
        6 => RouteKind::Blackhole,
        7 => RouteKind::Unreachable,
        8 => RouteKind::Prohibit,
        9 => RouteKind::Throw,
        other => RouteKind::Other(other),
    }
}

fn kind_number(kind: RouteKind) -> u8 {
    match kind {
        RouteKind::Unicast => 1,
        RouteKind::Local => 2,
        RouteKind::Blackhole => 6,
        RouteKind::Unreachable => 7,
        RouteKind::Prohibit => 8,
        RouteKind::Throw => 9,
        RouteKind::Other(number) => number,
    }
}

#[cfg(test)]
mod tests;
