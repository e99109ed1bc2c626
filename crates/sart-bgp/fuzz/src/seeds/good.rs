//! Good messages, written by the codec itself.

use core::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use sart_bgp::family::Family;
use sart_bgp::wire::attr::{
    Aggregator, AsPath, AttrBlock, Attributes, NextHop, Origin, Segment, SegmentKind, UnknownAttribute,
};
use sart_bgp::wire::capability::{AddPathMode, Capability, GracefulRestart, Role};
use sart_bgp::wire::message::{HEADER_LEN, keepalive};
use sart_bgp::wire::notification::Notification;
use sart_bgp::wire::open::Open;
use sart_bgp::wire::{UpdateWriter, WireForm, end_of_rib};

fn body(message: &[u8]) -> Vec<u8> {
    message.get(HEADER_LEN..).unwrap_or_default().to_vec()
}

fn open(asn: u32, capabilities: Vec<Capability>) -> Open {
    Open { asn, hold_time: 90, router_id: Ipv4Addr::new(10, 0, 0, 2), capabilities }
}

fn capabilities() -> Vec<Capability> {
    let v4 = Family::IPV4_UNICAST;
    let v6 = Family::IPV6_UNICAST;
    vec![
        Capability::Multiprotocol(v4),
        Capability::Multiprotocol(v6),
        Capability::Multiprotocol(Family::EVPN),
        Capability::RouteRefresh,
        Capability::ExtendedNextHop(vec![(v4, 2)]),
        Capability::ExtendedMessage,
        Capability::Role(Role::CUSTOMER),
        Capability::GracefulRestart(GracefulRestart {
            restarting: true,
            notification: true,
            time: 120,
            families: vec![(v4, true), (v6, false)],
        }),
        Capability::FourOctetAs(65100),
        Capability::AddPath(vec![(v4, AddPathMode::Both), (v6, AddPathMode::Receive)]),
        Capability::EnhancedRouteRefresh,
        Capability::Fqdn { host: b"leaf1".to_vec(), domain: b"example".to_vec() },
        Capability::Unknown { code: 75, value: b"\x08FRR/8.4.".to_vec() },
    ]
}

pub(super) fn opens() -> Vec<Vec<u8>> {
    let long = |code| Capability::Unknown { code, value: vec![code; 148] };
    let opens = [
        open(65100, vec![]),
        open(65100, vec![Capability::FourOctetAs(65100)]),
        open(4_200_000_000, vec![Capability::FourOctetAs(4_200_000_000)]),
        open(65100, capabilities()),
        open(65100, vec![long(200), long(201)]),
    ];
    opens.iter().map(|open| body(&open.encode())).collect()
}

fn attributes() -> Attributes {
    let segment = |kind, asns: &[u32]| Segment { kind, asns: asns.to_vec() };
    let segments =
        vec![segment(SegmentKind::Sequence, &[65100, 200_000, 65002]), segment(SegmentKind::Set, &[7, 8])];
    Attributes {
        origin: Origin::Incomplete,
        as_path: AsPath { segments },
        med: Some(10),
        local_pref: Some(200),
        atomic_aggregate: true,
        aggregator: Some(Aggregator { asn: 200_000, router_id: Ipv4Addr::new(1, 2, 3, 4) }),
        communities: vec![0xffff_ff01, 0x0001_0002],
        originator_id: Some(Ipv4Addr::new(5, 6, 7, 8)),
        cluster_list: vec![Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(8, 8, 8, 8)],
        ext_communities: vec![0x0002_0001_0000_0001],
        ipv6_ext_communities: vec![[3; 20]],
        large_communities: vec![[1, 2, 3], [4, 5, 6]],
        only_to_customer: Some(65100),
        unknown: vec![UnknownAttribute { code: 200, value: vec![1, 2, 3] }],
        ..Attributes::default()
    }
}

/// A next hop, routes of one family and how they are written.
type Routes = (NextHop, &'static [&'static str], WireForm);

fn next_hop(address: IpAddr) -> NextHop {
    let link_local = if address.is_ipv6() { "fe80::1".parse().ok() } else { None };
    NextHop { address, link_local }
}

fn routes() -> Vec<(u8, Routes)> {
    let v4 = next_hop(IpAddr::from([192, 0, 2, 2]));
    let v6 = next_hop(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]));
    let form = |as4, path_ids| WireForm { as4, extended: false, path_ids };
    let v4_routes: &[&str] = &["10.0.0.0/8", "10.9.0.0/16", "10.9.8.0/24", "10.9.8.7/32", "0.0.0.0/0"];
    let v6_routes: &[&str] = &["2001:db8::/32", "2001:db8:1::/48", "2001:db8::1/128", "::/0"];
    vec![
        (0x4f, (v4, v4_routes, form(true, false))),
        (0x4e, (v4, v4_routes, form(false, false))),
        (0x7f, (v4, v4_routes, form(true, true))),
        (0x4f, (v6, v6_routes, form(true, false))),
        (0x4c, (v6, v6_routes, form(false, false))),
        (0x7f, (v6, v6_routes, form(true, true))),
        (0x4f, (v6, v4_routes, form(true, false))),
    ]
}

pub(super) fn updates() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (options, (next_hop, prefixes, form)) in routes() {
        let prefixes: Vec<IpNet> = prefixes.iter().filter_map(|prefix| prefix.parse().ok()).collect();
        let Some(family) = prefixes.first().map(Family::of_prefix) else { continue };
        for attributes in [Attributes::default(), attributes()] {
            seeds.extend(
                announcement(&attributes, (next_hop, family, form), &prefixes)
                    .map(|body| tagged(options, &body)),
            );
        }
        let mut out = Vec::new();
        let mut withdrawer = UpdateWriter::withdrawing(&mut out, family, form);
        prefixes.iter().for_each(|prefix| withdrawer.push(3, prefix));
        withdrawer.finish();
        seeds.push(tagged(options, &body(&out)));
    }
    seeds.extend(
        [Family::IPV4_UNICAST, Family::IPV6_UNICAST].map(|family| tagged(0x0f, &body(&end_of_rib(family)))),
    );
    seeds
}

fn announcement(
    attributes: &Attributes,
    (next_hop, family, form): (NextHop, Family, WireForm),
    prefixes: &[IpNet],
) -> Option<Vec<u8>> {
    let mut list = Vec::new();
    attributes.encode(&mut list).ok()?;
    let mut out = Vec::new();
    let mut announcer =
        UpdateWriter::announcing(&mut out, AttrBlock::new(&list), next_hop, family, form).ok()?;
    prefixes.iter().for_each(|prefix| announcer.push(3, prefix));
    announcer.finish();
    Some(body(&out))
}

fn tagged(options: u8, body: &[u8]) -> Vec<u8> {
    [&[options], body].concat()
}

pub(super) fn notifications() -> Vec<Vec<u8>> {
    let shutdown = Notification::with_text(Notification::ADMIN_SHUTDOWN, "maintenance until six");
    let messages = [
        Notification::new(Notification::HOLD_EXPIRED),
        Notification::with_data(Notification::BAD_LENGTH, &[0, 18]),
        Notification::too_many_prefixes(Family::IPV6_UNICAST, 1000),
        shutdown.clone(),
        shutdown.into_hard_reset(),
    ];
    messages.iter().map(|message| body(&message.encode())).collect()
}

pub(super) fn refreshes() -> Vec<Vec<u8>> {
    (0..4).flat_map(|subtype| [0, 1].map(|options| vec![options, 0, 1, subtype, 1])).collect()
}

/// Scripts for a speaker: a session that comes up, talks and ends, from either side.
pub(super) fn scripts() -> Vec<Vec<u8>> {
    let external = open(65100, capabilities());
    let internal = open(65000, vec![Capability::FourOctetAs(65000)]);
    let mut scripts = Vec::new();
    // The event's top bit picks the neighbour, its top three bits the connection.
    for (event, open) in [(0x00, external), (0x80, internal)] {
        let mut script = vec![event];
        say(&mut script, event, &open.encode());
        say(&mut script, event, &keepalive());
        let established = script.clone();
        for update in updates() {
            say_body(&mut script, event, 2, update.get(1..).unwrap_or_default());
            if script.len() > 2500 {
                scripts.push(core::mem::replace(&mut script, established.clone()));
            }
        }
        for refresh in refreshes() {
            say_body(&mut script, event, 5, refresh.get(1..).unwrap_or_default());
        }
        script.extend([4, 0xff, 0xff, event + 3]);
        scripts.push(script);
    }
    scripts.push(vec![1, 0x21, 2, 3, 4, 1, 0, 0x83, 0x04, 0xff, 0xff]);
    scripts
}

fn say(script: &mut Vec<u8>, event: u8, message: &[u8]) {
    script.push(event + 5);
    script.extend((message.len() as u16).to_be_bytes());
    script.extend(message);
}

fn say_body(script: &mut Vec<u8>, event: u8, kind: u8, body: &[u8]) {
    script.extend([event + 6, kind]);
    script.extend((body.len() as u16).to_be_bytes());
    script.extend(body);
}
