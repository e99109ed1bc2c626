//! RFC 7606 row by row: the acceptance criteria 25 to 30 as tables of bytes.

use std::net::Ipv6Addr;

use super::{AS_PATH, GOOD, NEXT_HOP, NLRI, ORIGIN, body, context, prefix, with};
use crate::family::Family;
use crate::wire::attr::{AsPath, Attributes, Segment, SegmentKind};
use crate::wire::fault::{Fault, FaultClass, Problem};
use crate::wire::message::HEADER_LEN;
use crate::wire::pack_announcements;
use crate::wire::update::{Scratch, Update, UpdateContext, UpdateView};

fn assert_withdrawn(update: &Update, what: &[u8]) {
    assert!(update.announced.is_empty(), "{what:?}");
    assert_eq!(update.withdrawn, [prefix()], "{what:?}");
    assert!(update.faults.iter().any(|fault| fault.class == FaultClass::TreatAsWithdraw), "{what:?}");
    assert_eq!(update.attributes, Attributes::default(), "{what:?}");
}

fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    [&[flags, code, value.len() as u8][..], value].concat()
}

#[test]
fn criterion_25_a_malformed_mandatory_attribute_withdraws_the_routes() {
    let path = |value: &[u8]| attribute(0x40, 2, value);
    let hop = |value: &[u8]| attribute(0x40, 3, value);
    let origins = [
        attribute(0x40, 1, &[]),
        attribute(0x40, 1, &[0, 0]),
        attribute(0x40, 1, &[3]),
        attribute(0x40, 1, &[255]),
        attribute(0xc0, 1, &[0]),
        attribute(0x00, 1, &[0]),
        attribute(0x80, 1, &[0]),
    ];
    let paths = [
        path(&[0, 1, 0, 0, 0, 1]),
        path(&[5, 1, 0, 0, 0, 1]),
        // Confederation segments do not cross the border of one (RFC 5065 section 5).
        path(&[3, 1, 0, 0, 0, 1]),
        path(&[4, 1, 0, 0, 0, 1]),
        path(&[2, 0]),
        path(&[2]),
        path(&[2, 2, 0, 0, 0, 1]),
        path(&[2, 255, 0, 0, 0, 1]),
        path(&[2, 1, 0, 0, 0, 1, 9]),
        path(&[2, 1, 0, 0, 0, 0]),
        path(&[1, 2, 0, 0, 0, 1, 0, 0, 0, 0]),
        attribute(0xc0, 2, &[2, 1, 0, 0, 0, 1]),
    ];
    let hops = [
        hop(&[]),
        hop(&[192, 0, 2]),
        hop(&[192, 0, 2, 1, 1]),
        hop(&[0, 0, 0, 0]),
        hop(&[127, 0, 0, 1]),
        hop(&[224, 0, 0, 1]),
        hop(&[240, 0, 0, 1]),
        hop(&[255, 255, 255, 255]),
        attribute(0xc0, 3, &[192, 0, 2, 1]),
    ];
    let origins = origins.into_iter().map(|bad| [&bad[..], AS_PATH, NEXT_HOP].concat());
    let paths = paths.into_iter().map(|bad| [ORIGIN, &bad, NEXT_HOP].concat());
    let hops = hops.into_iter().map(|bad| [ORIGIN, AS_PATH, &bad].concat());
    for list in origins.chain(paths).chain(hops) {
        for internal in [true, false] {
            let update = Update::decode(&body(&list, NLRI), &context(true, internal)).unwrap();
            assert_withdrawn(&update, &list);
        }
    }
}

#[test]
fn criterion_25_a_missing_mandatory_attribute_withdraws_the_routes() {
    let missing: [(&[&[u8]], &[u8]); 4] = [
        (&[AS_PATH, NEXT_HOP], &[1]),
        (&[ORIGIN, NEXT_HOP], &[2]),
        (&[ORIGIN, AS_PATH], &[3]),
        (&[], &[1, 2, 3]),
    ];
    for (parts, codes) in missing {
        let list = parts.concat();
        let update = Update::decode(&body(&list, NLRI), &context(true, false)).unwrap();
        assert_withdrawn(&update, &list);
        let class = FaultClass::TreatAsWithdraw;
        let expected = codes.iter().map(|code| Fault { code: *code, problem: Problem::Missing, class });
        assert_eq!(update.faults, expected.collect::<Vec<_>>());
    }
    // Routes in MP_REACH_NLRI need no NEXT_HOP, but the other two (RFC 4760 section 3).
    let reach = reach(Family::IPV6_UNICAST, &[0x20; 16], &[16, 0x20, 1]);
    for (parts, kept) in [(vec![&reach[..], ORIGIN, AS_PATH], true), (vec![&reach, ORIGIN], false)] {
        let update = Update::decode(&body(&parts.concat(), &[]), &context(true, false)).unwrap();
        assert_eq!((update.announced.len(), update.withdrawn.is_empty()), (usize::from(kept), kept));
    }
}

#[test]
fn criterion_25_a_malformed_optional_attribute_withdraws_the_routes() {
    let bad: [(u8, u8, &[u8]); 28] = [
        (0x80, 4, &[]),
        (0x80, 4, &[0; 3]),
        (0x80, 4, &[0; 5]),
        (0xc0, 4, &[0; 4]),
        (0x40, 5, &[]),
        (0x40, 5, &[0; 3]),
        (0xc0, 5, &[0; 4]),
        (0xc0, 6, &[]),
        (0x80, 7, &[0, 0, 0, 1, 1, 1, 1, 1]),
        (0xc0, 8, &[]),
        (0xc0, 8, &[0; 5]),
        (0x80, 8, &[0; 4]),
        (0x80, 9, &[]),
        (0x80, 9, &[0; 3]),
        (0x80, 9, &[0; 5]),
        (0x80, 10, &[]),
        (0x80, 10, &[0; 5]),
        (0xc0, 10, &[0; 4]),
        (0xc0, 16, &[]),
        (0xc0, 16, &[0; 9]),
        (0xc0, 25, &[]),
        (0xc0, 25, &[0; 21]),
        (0x80, 25, &[0; 20]),
        (0xc0, 32, &[]),
        (0xc0, 32, &[0; 13]),
        (0xc0, 35, &[0; 3]),
        (0xc0, 35, &[0; 4]),
        (0x80, 35, &[0, 0, 0, 1]),
    ];
    for (flags, code, value) in bad {
        let extra = attribute(flags, code, value);
        assert_withdrawn(&with(&extra, true), &extra);
        let external = with(&extra, false);
        match code {
            // Only internal neighbours are listened to at all.
            5 | 9 | 10 => assert_eq!(external.announced.len(), 1, "{extra:?}"),
            _ => assert_withdrawn(&external, &extra),
        }
    }
}

#[test]
fn criterion_25_a_route_that_was_fine_before_is_withdrawn_in_its_family() {
    let unusable = [[0; 16], Ipv6Addr::LOCALHOST.octets(), [0xff; 16]];
    for next_hop in unusable {
        let reach = reach(Family::IPV6_UNICAST, &next_hop, &[16, 0x20, 1]);
        let list = [&reach[..], ORIGIN, AS_PATH].concat();
        let update = Update::decode(&body(&list, &[]), &context(true, false)).unwrap();
        assert_eq!(update.withdrawn, ["2001::/16".parse().unwrap()]);
        assert_eq!(update.faults[0].problem, Problem::Value);
    }
}

#[test]
fn criterion_26_what_does_no_harm_is_discarded_and_the_route_kept() {
    let discarded: [(u8, u8, &[u8]); 17] = [
        (0x40, 6, &[0]),
        (0xc0, 7, &[0, 0, 0xfd, 0xe9, 1]),
        (0xc0, 7, &[0xfd, 0xe9, 1, 2, 3, 4]),
        (0xc0, 7, &[0, 0, 0xfd, 0xe9, 1, 2, 3]),
        (0xc0, 7, &[0, 0, 0xfd, 0xe9, 1, 2, 3, 4, 5]),
        (0xc0, 7, &[0, 0, 0, 0, 1, 2, 3, 4]),
        (0x40, 5, &[0, 0, 0, 200]),
        (0x80, 9, &[1, 2, 3, 4]),
        (0x80, 10, &[1, 2, 3, 4]),
        (0x80, 10, &[1, 2, 3]),
        // AIGP: a length that overruns, one below its own header, one of another size, a Transitive bit.
        (0x80, 26, &[1, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1]),
        (0x80, 26, &[1, 0, 2]),
        (0x80, 26, &[1, 0, 7, 0, 0, 0, 1]),
        (0xc0, 26, &[1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 1]),
        (0xc0, 40, &[1, 0, 9, 0]),
        (0xc0, 40, &[1, 0, 1, 0]),
        (0x80, 29, &[4, 0, 0, 9, 1]),
    ];
    for (flags, code, value) in discarded {
        let extra = attribute(flags, code, value);
        let update = with(&extra, false);
        assert_eq!(update.announced.len(), 1, "{extra:?}");
        assert_eq!(update.faults.len(), 1, "{extra:?}");
        assert_eq!(update.faults[0].class, FaultClass::AttributeDiscard);
        assert_eq!(update.attributes, with(&[], false).attributes, "{extra:?}");
    }
}

#[test]
fn criterion_26_what_is_not_transitive_goes_no_further() {
    let well_formed: [(u8, u8, &[u8]); 4] = [
        (0x80, 26, &[1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 1]),
        (0x80, 29, &[4, 0, 0, 1, 1]),
        (0x80, 200, &[1, 2]),
        (0x80, 33, &[0; 40]),
    ];
    for (flags, code, value) in well_formed {
        let update = with(&attribute(flags, code, value), false);
        assert_eq!((update.announced.len(), update.faults.len()), (1, 0), "{code}");
        assert_eq!(update.attributes, with(&[], false).attributes, "{code}");
    }
    let prefix_sid = attribute(0xc0, 40, &[1, 0, 7, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(with(&prefix_sid, false).attributes.unknown[0].code, 40);
}

#[test]
fn criterion_26_a_two_octet_neighbors_bad_companions_are_discarded() {
    let narrow_path: &[u8] = &[0x40, 2, 4, 2, 1, 0xfd, 0xe9];
    let read = |extra: &[u8]| {
        let list = [ORIGIN, narrow_path, NEXT_HOP, extra].concat();
        Update::decode(&body(&list, NLRI), &context(false, false)).unwrap()
    };
    let plain = read(&[]);
    let bad: [(u8, &[u8]); 6] = [
        (17, &[2, 1, 0, 0, 1]),
        (17, &[3, 1, 0, 0, 0, 1]),
        (17, &[2, 1, 0, 0, 0, 0]),
        (18, &[0, 1, 0, 0, 1, 2, 3]),
        (18, &[0, 1, 0, 0, 1, 2, 3, 4, 5]),
        (18, &[0, 0, 0, 0, 1, 2, 3, 4]),
    ];
    for (code, value) in bad {
        let update = read(&attribute(0xc0, code, value));
        assert_eq!(update.announced.len(), 1, "{code} {value:?}");
        assert_eq!(update.faults[0].class, FaultClass::AttributeDiscard);
        assert_eq!(update.attributes, plain.attributes);
    }
    for extra in [&[0xc0, 7, 8, 0, 0, 0xfd, 0xe9, 1, 2, 3, 4][..], &[0xc0, 7, 5, 0xfd, 0xe9, 1, 2, 3]] {
        assert_eq!(read(extra).attributes, plain.attributes, "the length is that of the session");
    }
}

#[test]
fn criterion_18_what_a_two_octet_neighbor_left_out_is_put_back() {
    // AS_PATH 65002 AS_TRANS 65001, AS4_PATH 200000 65001.
    let path: &[u8] = &[0x40, 2, 8, 2, 3, 0xfd, 0xea, 0x5b, 0xa0, 0xfd, 0xe9];
    let path4: &[u8] = &[0xc0, 17, 10, 2, 2, 0, 3, 0x0d, 0x40, 0, 0, 0xfd, 0xe9];
    let longer: &[u8] = &[0xc0, 17, 18, 2, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4];
    let trans: &[u8] = &[0xc0, 7, 6, 0x5b, 0xa0, 1, 2, 3, 4];
    let own: &[u8] = &[0xc0, 7, 6, 0xfd, 0xea, 9, 9, 9, 9];
    let aggregator4: &[u8] = &[0xc0, 18, 8, 0, 3, 0x0d, 0x40, 1, 2, 3, 4];
    type Case<'a> = (&'a [&'a [u8]], &'a [u32], Option<u32>);
    let cases: [Case<'_>; 5] = [
        (&[path4], &[65002, 200_000, 65001], None),
        (&[], &[65002, 23456, 65001], None),
        (&[longer], &[65002, 23456, 65001], None),
        (&[trans, path4, aggregator4], &[65002, 200_000, 65001], Some(200_000)),
        // An aggregate made since by a two-octet speaker: neither companion holds any more.
        (&[own, path4, aggregator4], &[65002, 23456, 65001], Some(65002)),
    ];
    for (extra, asns, aggregator) in cases {
        let list = [&[ORIGIN, path, NEXT_HOP], extra].concat().concat();
        let update = Update::decode(&body(&list, NLRI), &context(false, false)).unwrap();
        assert_eq!(update.faults, []);
        let attributes = update.attributes;
        let flat: Vec<u32> = attributes.as_path.segments.iter().flat_map(|s| s.asns.clone()).collect();
        assert_eq!((flat.as_slice(), attributes.aggregator.map(|a| a.asn)), (asns, aggregator));
    }
    let wide = AsPath { segments: vec![Segment { kind: SegmentKind::Sequence, asns: vec![200_000] }] };
    let attributes = Attributes { as_path: wide, ..Attributes::default() };
    let next_hop = with(&[], false).announced[0].next_hop;
    let packed = pack_announcements(&attributes, next_hop, &[prefix()], false);
    let trans: &[u8] = &[0x40, 2, 4, 2, 1, 0x5b, 0xa0];
    let expected = [ORIGIN, trans, NEXT_HOP, &[0xc0, 17, 6, 2, 1, 0, 3, 0x0d, 0x40], NLRI].concat();
    assert!(packed.bytes.ends_with(&expected), "{:?}", packed.bytes);
}

#[test]
fn criterion_27_unknown_transitive_attributes_pass_unchanged_and_unread() {
    for code in [23, 28, 128, 200, 254] {
        for len in [0, 1, 255, 256, 3000, 4000] {
            let value: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
            let header = [&[0xd0, code][..], &(len as u16).to_be_bytes()].concat();
            let update = with(&[header, value.clone()].concat(), false);
            assert_eq!(update.faults, []);
            assert_eq!(update.attributes.unknown[0].value, value);
            let next_hop = update.announced[0].next_hop;
            let packed = pack_announcements(&update.attributes, next_hop, &[prefix()], true);
            let read = Update::decode(&packed.bytes[HEADER_LEN..], &context(true, false)).unwrap();
            assert_eq!(read, update, "{code} {len}");
            let flags = if len > 255 { 0xf0 } else { 0xe0 };
            assert!(packed.bytes.windows(2).any(|pair| pair == [flags, code]), "Partial is set");
        }
    }
}

fn reach(family: Family, next_hop: &[u8], nlri: &[u8]) -> Vec<u8> {
    let [high, low] = family.afi.to_be_bytes();
    let head = [high, low, family.safi, next_hop.len() as u8];
    attribute(0x80, 14, &[&head[..], next_hop, &[0], nlri].concat())
}

#[test]
fn criterion_28_only_unreadable_routes_end_the_session() {
    let v6 = |next_hop: &[u8], nlri: &[u8]| body(&reach(Family::IPV6_UNICAST, next_hop, nlri), &[]);
    let good_reach = reach(Family::IPV6_UNICAST, &[0x20; 16], &[16, 0x20, 1]);
    let unreach: &[u8] = &[0x80, 15, 3, 0, 2, 1];
    let cases: [(Vec<u8>, (u8, u8)); 19] = [
        (vec![0, 9, 0, 0], (3, 1)),
        (vec![0, 0, 0, 9], (3, 1)),
        (vec![0, 0, 0xff, 0xff], (3, 1)),
        (vec![0], (3, 1)),
        (vec![], (3, 1)),
        (v6(&[0x20; 9], &[16, 0x20, 1]), (3, 9)),
        (v6(&[0x20; 4], &[16, 0x20, 1]), (3, 9)),
        (v6(&[0x20; 0], &[16, 0x20, 1]), (3, 9)),
        (body(&[0x80, 14, 5, 0, 2, 1, 200, 1], &[]), (3, 9)),
        (body(&[0x80, 14, 20, 0, 2, 1, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]), (3, 9)),
        (body(&[0x80, 14, 3, 0, 2, 1], &[]), (3, 9)),
        (body(&[0x80, 14, 2, 0, 2], &[]), (3, 9)),
        (body(&[0x80, 15, 2, 0, 2], &[]), (3, 9)),
        (body(&[0x80, 15, 5, 0, 2, 1, 16, 0x20], &[]), (3, 9)),
        (body(&[0x80, 14, 200, 0, 2, 1], &[]), (3, 1)),
        (body(&[0x80, 15, 200, 0, 2, 1], &[]), (3, 1)),
        (body(&[good_reach.clone(), good_reach.clone()].concat(), &[]), (3, 1)),
        (body(&[unreach, unreach].concat(), &[]), (3, 1)),
        (body(&[&GOOD[..], &[0x40, 77, 0]].concat(), NLRI), (3, 2)),
    ];
    for (bytes, expected) in cases {
        let fault = Update::decode(&bytes, &context(true, false)).unwrap_err();
        let answer = fault.notification();
        assert_eq!((answer.code, answer.subcode), expected, "{bytes:?}: {fault}");
        assert_eq!(fault.class, FaultClass::SessionReset);
    }
}

/// RFC 7606 section 5.2: without routes nobody can be sure that they were found.
#[test]
fn criterion_28_a_fault_worth_a_withdrawal_without_routes_ends_the_session() {
    let bad_origin: &[u8] = &[0x40, 1, 1, 9];
    let unreach: &[u8] = &[0x80, 15, 6, 0, 2, 1, 16, 0x20, 1];
    let wrong_flags: &[u8] = &[0xc0, 15, 6, 0, 2, 1, 16, 0x20, 1];
    let discarded: &[u8] = &[0x40, 6, 1, 0];
    let cases: [(&[&[u8]], bool); 6] = [
        (&[bad_origin], false),
        (&[unreach, bad_origin], false),
        (&[unreach, &[0xc0]], false),
        (&[wrong_flags], true),
        (&[unreach, discarded], true),
        (&[ORIGIN, AS_PATH], true),
    ];
    for (parts, survives) in cases {
        let read = Update::decode(&body(&parts.concat(), &[]), &context(true, false));
        assert_eq!(read.is_ok(), survives, "{parts:?}: {read:?}");
        assert!(read.is_ok_and(|update| update.withdrawn.len() < 2) || !survives);
    }
    // A withdrawal beside it does not help: what is announced may be what was lost.
    let with_withdrawal = [&[0, 3, 16, 10, 9, 0, 4][..], bad_origin].concat();
    assert!(Update::decode(&with_withdrawal, &context(true, false)).is_err());
}

#[test]
fn criterion_29_of_repeated_attributes_the_first_counts() {
    for (again, _code) in [(&[0x40, 1, 1, 2][..], 1), (&[0x40, 3, 4, 9, 9, 9, 9], 3), (&[0x40, 2, 0], 2)] {
        let update = with(again, false);
        assert_eq!(update.attributes, with(&[], false).attributes);
        assert_eq!(update.announced, with(&[], false).announced);
        assert_eq!(update.faults[0].class, FaultClass::AttributeDiscard);
        assert_eq!(update.faults[0].problem, Problem::Duplicate);
    }
    let twice =
        with(&[0xc0, 8, 4, 0, 1, 0, 2, 0xc0, 8, 4, 0, 3, 0, 4, 0xc0, 200, 1, 7, 0xc0, 200, 1, 8], false);
    assert_eq!(twice.attributes.communities, [0x0001_0002]);
    assert_eq!(twice.attributes.unknown[0].value, [7]);
    assert_eq!(twice.faults.len(), 2);
}

#[test]
fn criterion_29_trailing_octets_of_a_list_withdraw_the_routes() {
    let cut: [&[u8]; 6] =
        [&[0xc0], &[0xc0, 8], &[0xc0, 8, 4], &[0xc0, 8, 4, 0], &[0xd0, 8, 0], &[0xd0, 8, 0xff, 0xff]];
    for extra in cut {
        assert_withdrawn(&with(extra, false), extra);
    }
}

#[test]
fn criterion_30_prefixes_too_long_or_cut_off_end_the_session() {
    let v6 = |nlri: &[u8]| body(&reach(Family::IPV6_UNICAST, &[0x20; 16], nlri), &[]);
    let cases: [(Vec<u8>, (u8, u8)); 8] = [
        (body(&GOOD, &[33, 1, 2, 3, 4, 5]), (3, 10)),
        (body(&GOOD, &[24, 10, 9]), (3, 10)),
        (body(&GOOD, &[255]), (3, 10)),
        (vec![0, 2, 24, 10, 0, 0], (3, 10)),
        (vec![0, 6, 33, 1, 2, 3, 4, 5, 0, 0], (3, 10)),
        (v6(&[129, 0x20, 1]), (3, 9)),
        (v6(&[64, 0x20, 1]), (3, 9)),
        (v6(&[16, 0x20, 1, 128]), (3, 9)),
    ];
    for (bytes, expected) in cases {
        let answer = Update::decode(&bytes, &context(true, false)).unwrap_err().notification();
        assert_eq!((answer.code, answer.subcode), expected, "{bytes:?}");
    }
    // A path identifier that is cut off, where the session has them.
    let path_ids = UpdateContext { path_ids: vec![Family::IPV4_UNICAST], ..context(true, false) };
    assert!(Update::decode(&body(&GOOD, &[0, 0, 0, 1, 16, 10, 9]), &path_ids).is_ok());
    assert!(Update::decode(&body(&GOOD, NLRI), &path_ids).is_err());
}

#[test]
fn criterion_30_routes_with_a_type_are_stepped_over_by_their_length() {
    let evpn = UpdateContext { families: vec![Family::EVPN], ..context(true, false) };
    let unknown_between: &[u8] = &[3, 2, 1, 1, 99, 3, 7, 7, 7, 2, 0];
    let list = [&reach(Family::EVPN, &[192, 0, 2, 1], unknown_between)[..], ORIGIN, AS_PATH].concat();
    let bytes = body(&list, &[]);
    let mut scratch = Scratch::default();
    let view = UpdateView::parse(&bytes, &evpn, &mut scratch).unwrap();
    let part = view.announcements().next().unwrap();
    let kinds: Vec<_> = part.nlri.evpn().map(|route| (route.kind, route.value.len())).collect();
    assert_eq!(kinds, [(3, 2), (99, 3), (2, 0)]);
    assert_eq!((part.nlri.len(), part.nlri.prefixes().count()), (3, 0));
    let cut = body(&reach(Family::EVPN, &[192, 0, 2, 1], &[2, 33, 1]), &[]);
    assert!(Update::decode(&cut, &evpn).is_err());
    // Not negotiated, it is not even looked at.
    assert!(Update::decode(&cut, &context(true, false)).is_ok());
}

#[test]
fn criterion_19_next_hops_of_every_length_are_read() {
    let link_local: Ipv6Addr = "fe80::1".parse().unwrap();
    let global: Ipv6Addr = "2001:db8::1".parse().unwrap();
    let both = |first: Ipv6Addr| [first.octets(), link_local.octets()].concat();
    let extended = UpdateContext { extended_next_hop: true, ..context(true, false) };
    let v4 = Family::IPV4_UNICAST;
    let v6 = Family::IPV6_UNICAST;
    type Case = (Family, Vec<u8>, Option<(&'static str, bool)>);
    let cases: [Case; 6] = [
        (v4, vec![192, 0, 2, 1], Some(("192.0.2.1", false))),
        (v4, global.octets().to_vec(), Some(("2001:db8::1", false))),
        (v4, both(global), Some(("2001:db8::1", true))),
        (v6, both(global), Some(("2001:db8::1", true))),
        (v6, both(Ipv6Addr::UNSPECIFIED), Some(("fe80::1", false))),
        (v6, [global.octets(), global.octets()].concat(), Some(("2001:db8::1", false))),
    ];
    for (family, next_hop, expected) in cases {
        let list = [&reach(family, &next_hop, &[16, 10, 9])[..], ORIGIN, AS_PATH].concat();
        let update = Update::decode(&body(&list, &[]), &extended).unwrap();
        let hop = update.announced.first().map(|part| part.next_hop);
        let expected = expected.map(|(address, both)| (address.parse().unwrap(), both));
        assert_eq!(hop.map(|hop| (hop.address, hop.link_local.is_some())), expected, "{next_hop:?}");
    }
    // Not negotiated, an IPv6 next hop of IPv4 routes costs the routes.
    let list = [&reach(v4, &global.octets(), &[16, 10, 9])[..], ORIGIN, AS_PATH].concat();
    let update = Update::decode(&body(&list, &[]), &context(true, false)).unwrap();
    assert_withdrawn(&update, &list);
    // NEXT_HOP means nothing without routes in the classic form (RFC 4760 section 3).
    let bad_hop: &[u8] = &[0x40, 3, 4, 0, 0, 0, 0];
    let list = [&reach(v6, &global.octets(), &[16, 0x20, 1])[..], ORIGIN, AS_PATH, bad_hop].concat();
    let update = Update::decode(&body(&list, &[]), &context(true, false)).unwrap();
    assert_eq!((update.announced.len(), update.faults.len()), (1, 0));
}

#[test]
fn measured_repeated_large_communities_are_silently_dropped() {
    let one: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    let two: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2];
    let update = with(&attribute(0xc0, 32, &[one, two, one, two, one].concat()), false);
    assert_eq!(update.attributes.large_communities, [[1, 2, 2], [1, 2, 3]]);
    assert_eq!(update.faults, []);
}
