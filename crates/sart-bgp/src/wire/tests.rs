//! Messages by their bytes, good and bad; and field bugs as regressions. The faults of an UPDATE are in `rfc7606`.

use core::net::{IpAddr, Ipv4Addr};

use super::attr::{AsPath, Attributes, NextHop, Segment, SegmentKind};
use super::capability::{Capability, Role};
use super::fault::Problem;
use super::frame::{Framer, cut};
use super::message::{HEADER_LEN, MAX_LEN, MessageKind, frame};
use super::notification::Notification;
use super::open::{Open, OpenError};
use super::refresh::RouteRefresh;
use super::update::{Update, UpdateContext};
use super::{Packed, end_of_rib, pack_announcements, pack_withdrawals};
use crate::family::Family;

mod rfc7606;

fn context(as4: bool, internal: bool) -> UpdateContext {
    UpdateContext { as4, internal, families: Family::SUPPORTED.to_vec(), ..UpdateContext::default() }
}

/// A good list: ORIGIN IGP, AS_PATH 65001, NEXT_HOP 192.0.2.1.
const GOOD: [u8; 20] = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 192, 0, 2, 1];
const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];
/// 10.9.0.0/16.
const NLRI: &[u8] = &[16, 10, 9];

fn body(attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend((attributes.len() as u16).to_be_bytes());
    body.extend_from_slice(attributes);
    body.extend_from_slice(nlri);
    body
}

/// Reads good attributes, then `extra`, with one prefix.
fn with(extra: &[u8], internal: bool) -> Update {
    let attributes = [&GOOD[..], extra].concat();
    Update::decode(&body(&attributes, NLRI), &context(true, internal)).unwrap()
}

fn prefix() -> ipnet::IpNet {
    "10.9.0.0/16".parse().unwrap()
}

#[test]
fn a_good_update_is_read_as_it_is() {
    let update = with(&[], false);
    assert_eq!(update.faults, []);
    assert_eq!(update.announced[0].next_hop.address, IpAddr::from([192, 0, 2, 1]));
    assert_eq!(update.announced[0].prefixes, [prefix()]);
    assert_eq!(update.attributes.as_path.to_string(), "65001");
}

#[test]
fn four_octet_attributes_of_a_four_octet_neighbor_are_ignored() {
    let update = with(&[0xc0, 17, 6, 2, 1, 0, 1, 0, 0, 0xc0, 18, 8, 0, 1, 0, 0, 1, 2, 3, 4], false);
    assert_eq!(update.attributes, with(&[], false).attributes);
}

#[test]
fn a_family_that_was_not_negotiated_is_ignored() {
    let only_v6 = UpdateContext { families: vec![Family::IPV6_UNICAST], ..context(true, false) };
    let update = Update::decode(&body(&GOOD, NLRI), &only_v6).unwrap();
    assert!(update.announced.is_empty() && update.withdrawn.is_empty());
    let evpn = [&GOOD[..], &[0x80, 14, 5, 0, 25, 70, 0, 0]].concat();
    let update = Update::decode(&body(&evpn, NLRI), &context(true, false)).unwrap();
    assert_eq!(update.announced.len(), 1);
    assert_eq!(update.faults[0].problem, Problem::Family);
}

#[test]
fn end_of_rib_is_recognised_for_both_families() {
    for family in Family::SUPPORTED {
        let bytes = end_of_rib(family);
        let update = Update::decode(&bytes[HEADER_LEN..], &context(true, false)).unwrap();
        assert_eq!(update.end_of_rib, Some(family));
    }
    assert_eq!(with(&[], false).end_of_rib, None);
}

#[test]
fn a_two_octet_neighbors_paths_get_their_real_numbers_back() {
    // AS_PATH 65002 AS_TRANS 65001, AS4_PATH 200000 65001.
    let attributes = [
        ORIGIN,
        &[0x40, 2, 8, 2, 3, 0xfd, 0xea, 0x5b, 0xa0, 0xfd, 0xe9],
        NEXT_HOP,
        &[0xc0, 17, 10, 2, 2, 0, 3, 0x0d, 0x40, 0, 0, 0xfd, 0xe9],
    ]
    .concat();
    let update = Update::decode(&body(&attributes, NLRI), &context(false, false)).unwrap();
    let flat: Vec<u32> = update.attributes.as_path.segments.iter().flat_map(|s| s.asns.clone()).collect();
    assert_eq!(flat, [65002, 200_000, 65001]);
}

#[test]
fn a_path_counts_a_set_as_one_and_prepending_respects_full_segments() {
    let full = Segment { kind: SegmentKind::Sequence, asns: vec![1; 255] };
    let set = Segment { kind: SegmentKind::Set, asns: vec![7, 8] };
    let path = AsPath { segments: vec![full, set.clone()] };
    assert_eq!(path.hops(), 256);
    let longer = path.prepended(9);
    assert_eq!((longer.hops(), longer.segments.len(), longer.neighbor_as()), (257, 3, Some(9)));
    let behind_set = AsPath { segments: vec![set] };
    assert_eq!(behind_set.neighbor_as(), None);
    assert_eq!(behind_set.prepended(9).to_string(), "9 {7,8}");
}

#[test]
fn each_bad_open_has_its_own_error() {
    let good = Open { asn: 65001, hold_time: 90, router_id: Ipv4Addr::new(1, 2, 3, 4), capabilities: vec![] };
    let body = good.encode()[HEADER_LEN..].to_vec();
    let edit = |edits: &[(usize, u8)], tail: &[u8]| {
        let mut body = body.clone();
        edits.iter().for_each(|(at, value)| body[*at] = *value);
        body.extend_from_slice(tail);
        Open::decode(&body)
    };
    assert_eq!(edit(&[], &[]), Ok(good.clone()));
    assert_eq!(edit(&[(0, 5)], &[]), Err(OpenError::Version { version: 5 }));
    assert_eq!(edit(&[(9, 2)], &[1, 0]), Err(OpenError::Parameter { code: 1 }));
    let malformed: [(u8, &[u8]); 6] =
        [(1, &[]), (0, &[2, 0]), (1, &[2]), (2, &[2, 5]), (3, &[2, 1, 65]), (4, &[2, 2, 65, 4])];
    for (len, tail) in malformed {
        assert_eq!(edit(&[(9, len)], tail), Err(OpenError::Malformed), "{tail:?}");
    }
    // RFC 9072: the extended form; RFC 5492: what is unknown or has an odd length is kept and ignored.
    let extended = edit(&[(9, 255)], &[255, 0, 8, 2, 0, 5, 65, 1, 9, 99, 0]).unwrap();
    let unknown = |code, value: &[u8]| Capability::Unknown { code, value: value.to_vec() };
    assert_eq!(extended.capabilities, [unknown(65, &[9]), unknown(99, &[])]);
}

#[test]
fn three_hundred_octets_of_capabilities_go_by_rfc_9072_in_both_directions() {
    let long = |code| Capability::Unknown { code, value: vec![code; 148] };
    let open =
        |capabilities| Open { asn: 65001, hold_time: 90, router_id: [1, 2, 3, 4].into(), capabilities };
    let sent = open(vec![long(200), long(201)]);
    let bytes = sent.encode();
    assert_eq!(bytes[HEADER_LEN + 9..][..7], [255, 255, 1, 0x2f, 2, 1, 0x2c]);
    assert_eq!(Open::decode(&bytes[HEADER_LEN..]), Ok(sent));
    // 253 octets of capabilities are one too many for the old form's length, since 255 announces the new one.
    for (len, first) in [(250, 254), (251, 255)] {
        let open = open(vec![Capability::Unknown { code: 200, value: vec![0; len] }]);
        let bytes = open.encode();
        assert_eq!(bytes[HEADER_LEN + 9], first);
        assert_eq!(Open::decode(&bytes[HEADER_LEN..]), Ok(open));
    }
    // A sender that leaves the old length field at another value is understood (RFC 9072 section 2).
    let mut odd = bytes[HEADER_LEN..].to_vec();
    odd[9] = 4;
    assert!(Open::decode(&odd).is_ok());
}

#[test]
fn a_route_refresh_of_a_wrong_length_is_answered_as_its_kind_asks() {
    let answer = |body: &[u8], enhanced| {
        RouteRefresh::decode(body, enhanced)
            .map_err(|answer| (answer.code, answer.subcode, answer.data.len()))
    };
    assert_eq!(answer(&[0, 1, 1, 1, 0], true), Err((7, 1, 24)));
    assert_eq!(answer(&[0, 1, 1, 1, 0], false), Err((1, 2, 2)));
    assert_eq!(answer(&[0, 1, 0, 1, 0], true), Err((1, 2, 2)));
    assert_eq!(answer(&[0, 1, 3, 1], true), Ok(None));
    assert_eq!(answer(&[0, 1, 3, 1], false), Ok(Some(RouteRefresh::request(Family::IPV4_UNICAST))));
}

#[test]
fn only_extended_sessions_may_send_long_messages_and_never_a_long_open() {
    for (kind, extended, len, fine) in [
        (MessageKind::Update, false, 4096, true),
        (MessageKind::Update, false, 4097, false),
        (MessageKind::Update, true, 4097, true),
        (MessageKind::Update, true, 65535, true),
        (MessageKind::Notification, true, 65535, true),
        (MessageKind::Open, true, 4096, true),
        (MessageKind::Open, true, 4097, false),
        (MessageKind::Keepalive, true, 20, false),
        (MessageKind::RouteRefresh, false, 22, false),
    ] {
        let bytes = frame(kind, &vec![0; len - HEADER_LEN]);
        let read = cut(&bytes, extended);
        let expected = if fine { None } else { Some(vec![(len >> 8) as u8, len as u8]) };
        assert_eq!(read.err().map(|error| error.notification().data), expected, "{kind:?} {len} {extended}");
    }
}

#[test]
fn roles_go_together_in_pairs_only() {
    let fitting: Vec<(u8, u8)> =
        (0..6).flat_map(|a| (0..6).map(move |b| (a, b))).filter(|(a, b)| Role(*a).fits(Role(*b))).collect();
    assert_eq!(fitting, [(0, 3), (1, 2), (2, 1), (3, 0), (4, 4)]);
}

#[test]
fn a_shutdown_text_is_shown_whatever_bytes_it_has() {
    let text = |data: &[u8]| Notification::with_data(Notification::ADMIN_SHUTDOWN, data).shutdown_text();
    assert_eq!(text(b"\x03bye"), Some(String::from("bye")));
    assert_eq!(text(&[2, 0xff, b'x']), Some(String::from("\u{fffd}x")));
    assert_eq!(text(&[9, b'x']), None);
    assert_eq!(Notification::with_data(Notification::COLLISION, b"\x01x").shutdown_text(), None);
}

#[test]
fn issue_7_1_4_any_number_of_communities_of_any_kind_is_read() {
    let update = with(
        &[
            0xc0, 8, 8, 0, 1, 0, 2, 0, 3, 0, 4, 0xc0, 16, 16, 0, 2, 0, 1, 0, 0, 0, 1, 0, 2, 0, 1, 0, 0, 0, 2,
            0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3,
        ],
        false,
    );
    assert_eq!(update.faults, []);
    assert_eq!(update.attributes.communities, [0x0001_0002, 0x0003_0004]);
    assert_eq!(update.attributes.ext_communities.len(), 2);
    assert_eq!(update.attributes.large_communities, [[1, 2, 3]]);
    let internal = with(&[0x80, 9, 4, 1, 2, 3, 4, 0x80, 10, 4, 5, 6, 7, 8], true);
    assert_eq!(internal.attributes.originator_id, Some(Ipv4Addr::new(1, 2, 3, 4)));
    assert_eq!(internal.attributes.cluster_list, [Ipv4Addr::new(5, 6, 7, 8)]);
}

#[test]
fn issue_7_1_4_an_update_cut_anywhere_never_panics() {
    let whole = body(&GOOD, NLRI);
    for cut in 0..whole.len() {
        for as4 in [true, false] {
            let _ = Update::decode(&whole[..cut], &context(as4, true));
        }
    }
}

#[test]
fn issue_7_1_4_two_thousand_prefixes_are_split_into_messages_of_legal_size() {
    let prefixes: Vec<ipnet::IpNet> =
        (0..2000u16).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256).parse().unwrap()).collect();
    let next_hop = NextHop { address: IpAddr::from([192, 0, 2, 1]), link_local: None };
    let announced = pack_announcements(&Attributes::default(), next_hop, &prefixes, true);
    let withdrawn = pack_withdrawals(&prefixes);
    for Packed { bytes, messages, oversized } in [announced, withdrawn] {
        let mut framer = Framer::default();
        framer.push(&bytes);
        let mut seen = Vec::new();
        while let Some(frame) = framer.next_frame().unwrap() {
            assert!(frame.body.len() + HEADER_LEN <= MAX_LEN);
            let update = Update::decode(&frame.body, &context(true, false)).unwrap();
            seen.extend(update.withdrawn);
            seen.extend(update.announced.into_iter().flat_map(|part| part.prefixes));
        }
        assert_eq!((seen, messages, oversized.len()), (prefixes.clone(), 2, 0));
    }
}

#[test]
fn routes_whose_attributes_fill_a_message_are_left_out() {
    let attributes = Attributes { communities: vec![1; 1020], ..Attributes::default() };
    let next_hop = NextHop { address: IpAddr::from([192, 0, 2, 1]), link_local: None };
    let packed = pack_announcements(&attributes, next_hop, &[prefix()], true);
    assert_eq!((packed.messages, packed.oversized), (0, vec![prefix()]));
}

#[test]
fn a_header_error_repeats_until_the_stream_is_dropped() {
    let mut framer = Framer::default();
    framer.push(&[0; HEADER_LEN]);
    assert_eq!(framer.next_frame(), framer.next_frame());
    assert!(framer.next_frame().is_err());
    let mut bytes = frame(MessageKind::Keepalive, &[]);
    bytes[18] = 6;
    let mut framer = Framer::default();
    framer.push(&bytes);
    assert_eq!(framer.next_frame().unwrap_err().notification().data, [6]);
}
