//! The view and the packing as tables use them: canonical attributes, path identifiers, long messages, borrowed routes.

use core::net::IpAddr;

use super::{Scratch, UpdateContext, UpdateView};
use crate::family::Family;
use crate::wire::attr::{AsPath, AttrBlock, Attributes, NextHop, Segment, SegmentKind};
use crate::wire::frame::Framer;
use crate::wire::nlri::V4Route;
use crate::wire::{UpdateWriter, WireForm};

fn context() -> UpdateContext {
    UpdateContext { as4: true, internal: true, families: Family::SUPPORTED.to_vec(), ..Default::default() }
}

fn body(attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    [&[0, 0][..], &(attributes.len() as u16).to_be_bytes(), &attributes, nlri].concat()
}

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];
const MED: &[u8] = &[0x80, 4, 4, 0, 0, 0, 7];
const NLRI: &[u8] = &[16, 10, 9];

/// The canonical attributes of a message that announces something.
fn canonical(attributes: &[&[u8]], context: &UpdateContext) -> Vec<u8> {
    let mut scratch = Scratch::default();
    let body = body(attributes, NLRI);
    let view = UpdateView::parse(&body, context, &mut scratch).unwrap();
    assert_eq!(view.announcements().count(), 1, "{:?}", view.faults());
    view.attributes().bytes().to_vec()
}

#[test]
fn equal_attributes_have_equal_bytes_however_they_were_written() {
    let plain = canonical(&[ORIGIN, AS_PATH, NEXT_HOP, MED], &context());
    assert_eq!(plain, [ORIGIN, AS_PATH, MED].concat());
    let other_next_hop: &[u8] = &[0x40, 3, 4, 192, 0, 2, 99];
    let long_med: &[u8] = &[0x9f, 4, 0, 4, 0, 0, 0, 7];
    let discarded: &[u8] = &[0x40, 6, 1, 0];
    let not_transitive: &[u8] = &[0x80, 200, 1, 0];
    let again: &[u8] = &[0x40, 1, 1, 2];
    let variants: [&[&[u8]]; 4] = [
        &[ORIGIN, AS_PATH, other_next_hop, MED],
        &[MED, NEXT_HOP, AS_PATH, ORIGIN],
        &[ORIGIN, AS_PATH, NEXT_HOP, long_med],
        &[ORIGIN, discarded, AS_PATH, NEXT_HOP, not_transitive, MED, again],
    ];
    for variant in variants {
        assert_eq!(canonical(variant, &context()), plain, "{variant:?}");
    }
    let narrow: &[u8] = &[0x40, 2, 4, 2, 1, 0xfd, 0xe9];
    let two_octet = UpdateContext { as4: false, ..context() };
    assert_eq!(canonical(&[ORIGIN, narrow, NEXT_HOP, MED], &two_octet), plain);
}

#[test]
fn a_summary_says_what_the_attributes_say() {
    let sequence = |asns: &[u32]| Segment { kind: SegmentKind::Sequence, asns: asns.to_vec() };
    let set = Segment { kind: SegmentKind::Set, asns: vec![7, 8] };
    let attributes = Attributes {
        as_path: AsPath { segments: vec![sequence(&[1, 2]), set, sequence(&[70_000])] },
        med: Some(5),
        local_pref: Some(6),
        communities: vec![0xffff_ff01, 0xffff_0000, 12],
        cluster_list: vec![[1, 1, 1, 1].into(); 3],
        only_to_customer: Some(9),
        ..Attributes::default()
    };
    let mut bytes = Vec::new();
    attributes.encode(&mut bytes).unwrap();
    let block = AttrBlock::new(&bytes);
    let summary = block.summary();
    assert_eq!((summary.path_hops, summary.cluster_hops), (4, 3));
    assert_eq!((summary.neighbor_as, summary.origin_as), (Some(1), Some(70_000)));
    assert_eq!((summary.med, summary.local_pref, summary.only_to_customer), (Some(5), Some(6), Some(9)));
    use crate::wire::attr::SummaryFlags as Flags;
    for (flag, there) in [
        (Flags::NO_EXPORT, true),
        (Flags::GRACEFUL_SHUTDOWN, true),
        (Flags::AS_SET, true),
        (Flags::NO_ADVERTISE, false),
        (Flags::BLACKHOLE, false),
    ] {
        assert_eq!(summary.flags.contains(flag), there, "{flag:?}");
    }
    assert!(block.path_contains(8) && block.path_contains(70_000) && !block.path_contains(9));
    assert!(block.cluster_list_contains([1, 1, 1, 1].into()));
    assert_eq!(block.to_attributes(), attributes);
}

fn next_hop(address: &str) -> NextHop {
    NextHop { address: address.parse::<IpAddr>().unwrap(), link_local: None }
}

/// Reads all messages; what they announce, what they withdraw, and how long each is.
fn read_back(bytes: &[u8], context: &UpdateContext) -> (Vec<(NextHop, V4Route)>, Vec<V4Route>, Vec<usize>) {
    let mut framer = Framer::default();
    framer.allow_extended();
    framer.push(bytes);
    let (mut announced, mut withdrawn, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    let mut scratch = Scratch::default();
    while let Some(frame) = framer.next_ref().unwrap() {
        lengths.push(frame.body.len() + 19);
        let view = UpdateView::parse(frame.body, context, &mut scratch).unwrap();
        assert_eq!(view.faults(), []);
        for part in view.announcements() {
            announced.extend(part.nlri.v4().map(|route| (part.next_hop, route)));
        }
        withdrawn.extend(view.withdrawals().flat_map(|nlri| nlri.v4()));
    }
    (announced, withdrawn, lengths)
}

fn routes(count: u32) -> Vec<V4Route> {
    (0..count).map(|n| V4Route { path_id: n % 3, bits: (10 << 24) + (n << 8), len: 24 }).collect()
}

#[test]
fn every_form_of_message_is_packed_full_and_read_back() {
    let mut list = Vec::new();
    Attributes { med: Some(1), ..Attributes::default() }.encode(&mut list).unwrap();
    for (extended, path_ids, hop) in [
        (false, false, "192.0.2.1"),
        (false, true, "192.0.2.1"),
        (true, false, "192.0.2.1"),
        (true, true, "2001:db8::1"),
        (false, false, "fe80::1"),
    ] {
        let form = WireForm { as4: true, extended, path_ids };
        let mut sent = routes(40_000);
        if !path_ids {
            sent.iter_mut().for_each(|route| route.path_id = 0);
        }
        let mut out = vec![];
        let hop = next_hop(hop);
        let mut announcer =
            UpdateWriter::announcing(&mut out, AttrBlock::new(&list), hop, Family::IPV4_UNICAST, form)
                .unwrap();
        sent.iter().for_each(|route| announcer.push_v4(*route));
        let announcements = announcer.finish();
        let mut withdrawer = UpdateWriter::withdrawing(&mut out, Family::IPV4_UNICAST, form);
        sent.iter().for_each(|route| withdrawer.push_v4(*route));
        let withdrawals = withdrawer.finish();
        let reader = UpdateContext {
            path_ids: if path_ids { vec![Family::IPV4_UNICAST] } else { vec![] },
            extended_next_hop: true,
            ..context()
        };
        let (announced, withdrawn, lengths) = read_back(&out, &reader);
        assert_eq!(withdrawn, sent);
        assert_eq!(announced, sent.into_iter().map(|route| (hop, route)).collect::<Vec<_>>());
        assert_eq!(lengths.len(), announcements + withdrawals);
        let longest = *lengths.iter().max().unwrap();
        assert!(longest <= form.max_len() && longest + 8 > form.max_len(), "{form:?}: {longest}");
    }
}

#[test]
fn without_routes_no_message_is_written() {
    let mut out = vec![7];
    assert_eq!(UpdateWriter::withdrawing(&mut out, Family::IPV6_UNICAST, WireForm::default()).finish(), 0);
    let hop = next_hop("192.0.2.1");
    let block = AttrBlock::default();
    let announcer = UpdateWriter::announcing(&mut out, block, hop, Family::IPV4_UNICAST, WireForm::default());
    assert_eq!(announcer.unwrap().finish(), 0);
    let long = vec![0; 4090];
    let block = AttrBlock::new(&long);
    assert!(
        UpdateWriter::announcing(&mut out, block, hop, Family::IPV4_UNICAST, WireForm::default()).is_err()
    );
    assert_eq!(out, [7]);
}
