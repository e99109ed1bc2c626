//! A small stage for the other tests: neighbours, routes, and what was told.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use ipnet::IpNet;

use crate::config::DecisionRules;
use crate::config::{PeerPolicies, TransitPolicy};
use crate::family::{Family, LocalAddresses};
use crate::rib::{Outgoing, PeerConfig, Rib, RibConfig};
use crate::wire::attr::{AsPath, AttrBlock, Attributes, NextHop, Segment, SegmentKind};
use crate::wire::frame::Framer;
use crate::wire::message::{HEADER_LEN, MessageKind};
use crate::wire::update::{Announced, Scratch, Update, UpdateContext, UpdateView};
use crate::wire::{UpdateWriter, WireForm};

pub(in crate::rib) const OWN_AS: u32 = 65000;
pub(in crate::rib) const NOW: Duration = Duration::from_secs(10);

pub(in crate::rib) fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

pub(in crate::rib) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub(in crate::rib) fn path(asns: &[u32]) -> Attributes {
    let segments = if asns.is_empty() {
        Vec::new()
    } else {
        vec![Segment { kind: SegmentKind::Sequence, asns: asns.to_vec() }]
    };
    Attributes { as_path: AsPath { segments }, ..Attributes::default() }
}

/// Accepts everything, multipath and transit on.
pub(in crate::rib) fn rules() -> RibConfig {
    RibConfig {
        decision: DecisionRules { multipath: true, ..DecisionRules::default() },
        transit: TransitPolicy::Full,
        ..RibConfig::new(OWN_AS, Ipv4Addr::new(10, 0, 0, 1))
    }
}

pub(in crate::rib) fn rib(config: RibConfig) -> Rib {
    Rib::new(config, 0x5eed)
}

pub(in crate::rib) fn context(internal: bool) -> UpdateContext {
    UpdateContext { as4: true, internal, families: Family::SUPPORTED.to_vec(), ..UpdateContext::default() }
}

/// Neighbour `last` of AS `asn`, router id 10.0.1.`last`, reached from 192.0.2.254, without policies.
pub(in crate::rib) fn up(rib: &mut Rib, last: u8, asn: u32) {
    up_with(rib, last, asn, PeerPolicies::accept_all());
}

pub(in crate::rib) fn up_with(rib: &mut Rib, last: u8, asn: u32, policies: PeerPolicies) {
    rib.peer_up(ip(last), PeerConfig { policies, ..neighbor(last, asn) });
}

pub(in crate::rib) fn neighbor(last: u8, asn: u32) -> PeerConfig {
    let next_hops = LocalAddresses { v4: Some(Ipv4Addr::new(192, 0, 2, 254)), v6: None };
    PeerConfig::new(asn, Ipv4Addr::new(10, 0, 1, last), context(asn == OWN_AS), next_hops)
}

pub(in crate::rib) fn announce(rib: &mut Rib, from: u8, prefix: &str, attributes: Attributes) {
    let update = Update {
        announced: vec![Announced {
            next_hop: NextHop { address: ip(from), link_local: None },
            prefixes: vec![net(prefix)],
        }],
        attributes,
        ..Update::default()
    };
    rib.update(ip(from), &update, NOW);
}

pub(in crate::rib) fn withdraw(rib: &mut Rib, from: u8, prefix: &str) {
    let update = Update { withdrawn: vec![net(prefix)], ..Update::default() };
    rib.update(ip(from), &update, NOW);
}

/// An announcement with a path identifier.
pub(in crate::rib) fn announce_as(rib: &mut Rib, from: u8, id: u32, prefix: &str, attributes: &Attributes) {
    let (mut list, mut bytes) = (Vec::new(), Vec::new());
    attributes.encode(&mut list).unwrap();
    let next_hop = NextHop { address: ip(from), link_local: None };
    let block = AttrBlock::new(&list);
    let writer = UpdateWriter::announcing(&mut bytes, block, next_hop, Family::IPV4_UNICAST, NUMBERED);
    let mut writer = writer.unwrap();
    writer.push(id, &net(prefix));
    writer.finish();
    rib.receive(ip(from), &bytes[HEADER_LEN..], NOW).unwrap();
}

/// A withdrawal with a path identifier.
pub(in crate::rib) fn withdraw_as(rib: &mut Rib, from: u8, id: u32, prefix: &str) {
    let mut bytes = Vec::new();
    let mut writer = UpdateWriter::withdrawing(&mut bytes, Family::IPV4_UNICAST, NUMBERED);
    writer.push(id, &net(prefix));
    writer.finish();
    rib.receive(ip(from), &bytes[HEADER_LEN..], NOW).unwrap();
}

const NUMBERED: WireForm = WireForm { as4: true, extended: false, path_ids: true };

/// A route as a neighbour with path identifiers hears it: identifier, prefix, and the AS path, or none if it goes.
pub(in crate::rib) type Numbered = (u32, String, Option<Vec<u32>>);

/// What one neighbour with path identifiers is told in a flush, in order.
pub(in crate::rib) fn numbered(outgoing: &[Outgoing], to: u8) -> Vec<Numbered> {
    let context = UpdateContext { path_ids: vec![Family::IPV4_UNICAST], ..context(false) };
    let (mut framer, mut scratch, mut heard) = (Framer::default(), Scratch::default(), Vec::new());
    for out in outgoing.iter().filter(|out| out.peer == ip(to)) {
        framer.push(&out.bytes);
    }
    while let Some(frame) = framer.next_frame().unwrap() {
        if frame.kind != MessageKind::Update {
            continue;
        }
        let path = Update::decode(&frame.body, &context).unwrap().attributes.as_path;
        let asns: Vec<u32> = path.segments.iter().flat_map(|segment| segment.asns.clone()).collect();
        let view = UpdateView::parse(&frame.body, &context, &mut scratch).unwrap();
        let gone = view.withdrawals().flat_map(|part| part.prefixes()).map(|route| (route, None));
        let come = view.announcements().flat_map(|part| part.nlri.prefixes());
        let come = come.map(|route| (route, Some(asns.clone())));
        heard.extend(gone.chain(come).map(|((id, prefix), path)| (id, prefix.to_string(), path)));
    }
    heard
}

/// The UPDATEs for one neighbour out of a flush.
pub(in crate::rib) fn told(outgoing: &[Outgoing], to: u8) -> Vec<Update> {
    let mut framer = Framer::default();
    for out in outgoing.iter().filter(|out| out.peer == ip(to)) {
        framer.push(&out.bytes);
    }
    let frames = core::iter::from_fn(|| framer.next_frame().unwrap());
    frames
        .filter(|frame| frame.kind == MessageKind::Update)
        .map(|frame| Update::decode(&frame.body, &context(true)).unwrap())
        .filter(|update| update.end_of_rib.is_none())
        .collect()
}

/// Prefixes announced and withdrawn to one neighbour.
pub(in crate::rib) fn changes(outgoing: &[Outgoing], to: u8) -> (Vec<String>, Vec<String>) {
    let updates = told(outgoing, to);
    let text = |prefixes: &[IpNet]| prefixes.iter().map(IpNet::to_string).collect::<Vec<_>>();
    let announced = updates.iter().flat_map(|u| u.announced.iter().flat_map(|part| text(&part.prefixes)));
    let withdrawn = updates.iter().flat_map(|u| text(&u.withdrawn));
    (announced.collect(), withdrawn.collect())
}

/// The neighbour of the best path: 0 for our own, none if there is no path.
pub(in crate::rib) fn best(rib: &Rib, prefix: &str) -> Option<u8> {
    let destination = rib.destination(&net(prefix))?;
    Some(destination.best()?.learned.map_or(0, |learned| match learned.peer {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(_) => u8::MAX,
    }))
}
