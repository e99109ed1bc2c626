//! Properties of the codec: segmentation does not matter, what is written is read back, and no bytes can hurt.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::attr::{
    Aggregator, AsPath, Attributes, NextHop, Origin, PartialBits, Segment, SegmentKind, UnknownAttribute,
};
use super::capability::{AddPathMode, Capability, GracefulRestart, Role};
use super::frame::{Frame, Framer};
use super::message::{HEADER_LEN, MAX_LEN, keepalive};
use super::notification::Notification;
use super::open::Open;
use super::refresh::{RefreshSubtype, RouteRefresh};
use super::update::{Update, UpdateContext};
use super::{pack_announcements, pack_withdrawals};
use crate::family::Family;

fn context(as4: bool, internal: bool) -> UpdateContext {
    UpdateContext { as4, internal, families: Family::SUPPORTED.to_vec(), ..UpdateContext::default() }
}

fn v4_prefix() -> impl Strategy<Value = IpNet> {
    (any::<u32>(), 0u8..=32)
        .prop_map(|(bits, len)| IpNet::V4(Ipv4Net::new(Ipv4Addr::from(bits), len).unwrap().trunc()))
}

fn v6_prefix() -> impl Strategy<Value = IpNet> {
    (any::<u128>(), 0u8..=128)
        .prop_map(|(bits, len)| IpNet::V6(Ipv6Net::new(Ipv6Addr::from(bits), len).unwrap().trunc()))
}

fn asn() -> impl Strategy<Value = u32> {
    prop_oneof![1u32..65536, 65536u32..=u32::MAX]
}

fn as_path() -> impl Strategy<Value = AsPath> {
    let kind = prop_oneof![Just(SegmentKind::Set), Just(SegmentKind::Sequence)];
    let segment = (kind, vec(asn(), 1..6)).prop_map(|(kind, asns)| Segment { kind, asns });
    vec(segment, 0..4).prop_map(|segments| AsPath { segments })
}

fn aggregator() -> impl Strategy<Value = Aggregator> {
    // 23456 itself means "look at AS4_AGGREGATOR" to a two-octet speaker.
    (asn().prop_filter("AS_TRANS", |asn| *asn != 23456), any::<u32>())
        .prop_map(|(asn, id)| Aggregator { asn, router_id: Ipv4Addr::from(id) })
}

prop_compose! {
    fn base()(
        origin in prop_oneof![Just(Origin::Igp), Just(Origin::Egp), Just(Origin::Incomplete)],
        as_path in as_path(),
        med in option::of(any::<u32>()),
        local_pref in option::of(any::<u32>()),
        atomic_aggregate in any::<bool>(),
        aggregator in option::of(aggregator()),
    ) -> Attributes {
        Attributes { origin, as_path, med, local_pref, atomic_aggregate, aggregator, ..Attributes::default() }
    }
}

prop_compose! {
    fn attributes()(
        base in base(),
        communities in vec(any::<u32>(), 0..80),
        originator_id in option::of(any::<u32>().prop_map(Ipv4Addr::from)),
        cluster_list in vec(any::<u32>().prop_map(Ipv4Addr::from), 0..4),
        ext_communities in vec(any::<u64>(), 0..40),
        large_communities in vec(any::<[u32; 3]>(), 0..30),
        unknown in option::of((200u8..=254, vec(any::<u8>(), 0..300))),
        ipv6_ext_communities in vec(any::<[u8; 20]>(), 0..4),
        only_to_customer in option::of(asn()),
        partial in partial(),
    ) -> Attributes {
        let unknown = unknown.map(|(code, value)| UnknownAttribute { code, value });
        let mut attributes = Attributes {
            communities, originator_id, cluster_list, ext_communities, large_communities, ipv6_ext_communities,
            only_to_customer, unknown: unknown.into_iter().collect(), ..base
        };
        // The bit has a place only beside its attribute.
        for code in partial {
            let present = match code {
                7 => attributes.aggregator.is_some(),
                8 => !attributes.communities.is_empty(),
                16 => !attributes.ext_communities.is_empty(),
                25 => !attributes.ipv6_ext_communities.is_empty(),
                32 => !attributes.large_communities.is_empty(),
                _ => attributes.only_to_customer.is_some(),
            };
            if present {
                attributes.partial.set(code);
            }
        }
        attributes
    }
}

fn partial() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::subsequence(PartialBits::CODES.to_vec(), 0..=PartialBits::CODES.len())
}

fn next_hop(v6: bool) -> NextHop {
    let address: IpAddr = if v6 { "2001:db8::1".parse().unwrap() } else { "192.0.2.1".parse().unwrap() };
    NextHop { address, link_local: v6.then(|| "fe80::1".parse().unwrap()) }
}

fn read(bytes: &[u8], cuts: &[usize]) -> Vec<Frame> {
    let mut framer = Framer::default();
    let mut frames = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        framer.push(&bytes[start..end]);
        start = end;
        while let Some(frame) = framer.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    frames
}

fn stream(prefixes: &[IpNet], attributes: &Attributes) -> Vec<u8> {
    let mut bytes = keepalive();
    bytes.extend(pack_announcements(attributes, next_hop(false), prefixes, true).bytes);
    bytes.extend(RouteRefresh::request(Family::IPV6_UNICAST).encode());
    bytes.extend(pack_withdrawals(prefixes).bytes);
    bytes.extend(Notification::with_data(Notification::ADMIN_SHUTDOWN, b"\x03bye").encode());
    bytes
}

fn capability() -> impl Strategy<Value = Capability> {
    let family = (any::<u16>(), any::<u8>()).prop_map(|(afi, safi)| Family { afi, safi });
    prop_oneof![
        family.clone().prop_map(Capability::Multiprotocol),
        Just(Capability::RouteRefresh),
        vec((family.clone(), any::<u16>()), 0..4).prop_map(Capability::ExtendedNextHop),
        Just(Capability::ExtendedMessage),
        any::<u8>().prop_map(|role| Capability::Role(Role(role))),
        (any::<bool>(), any::<bool>(), 0u16..4096, vec((family.clone(), any::<bool>()), 0..4)).prop_map(
            |(restarting, notification, time, families)| {
                Capability::GracefulRestart(GracefulRestart { restarting, notification, time, families })
            },
        ),
        vec((family, add_path_mode()), 0..4).prop_map(Capability::AddPath),
        Just(Capability::EnhancedRouteRefresh),
        (vec(any::<u8>(), 0..90), vec(any::<u8>(), 0..90))
            .prop_map(|(host, domain)| Capability::Fqdn { host, domain }),
        (100u8..=255, vec(any::<u8>(), 0..60)).prop_map(|(code, value)| Capability::Unknown { code, value }),
    ]
}

fn add_path_mode() -> impl Strategy<Value = AddPathMode> {
    prop_oneof![Just(AddPathMode::Receive), Just(AddPathMode::Send), Just(AddPathMode::Both)]
}

fn decode_anything(body: &[u8]) {
    for enhanced in [true, false] {
        let _ = RouteRefresh::decode(body, enhanced);
    }
    for (as4, internal) in [(true, true), (true, false), (false, true), (false, false)] {
        let _ = Update::decode(body, &context(as4, internal));
    }
    let _ = Open::decode(body);
    let _ = Notification::decode(body).map(|notification| notification.to_string());
}

proptest! {
    #[test]
    fn any_segmentation_gives_the_same_messages(
        prefixes in vec(v4_prefix(), 1..40),
        attributes in attributes(),
        cuts in vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let bytes = stream(&prefixes, &attributes);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let whole = read(&bytes, &[]);
        prop_assert!(whole.len() >= 5);
        prop_assert_eq!(read(&bytes, &cuts), whole.clone());
        let every_byte: Vec<_> = (1..bytes.len()).collect();
        prop_assert_eq!(read(&bytes, &every_byte), whole);
    }

    #[test]
    fn announcements_are_read_as_written(
        v4 in vec(v4_prefix(), 1..60),
        v6 in vec(v6_prefix(), 1..60),
        attributes in attributes(),
        as4 in any::<bool>(),
    ) {
        for (prefixes, hop) in [(v4, next_hop(false)), (v6, next_hop(true))] {
            let packed = pack_announcements(&attributes, hop, &prefixes, as4);
            let mut seen = Vec::new();
            for frame in read(&packed.bytes, &[]) {
                prop_assert!(frame.body.len() + HEADER_LEN <= MAX_LEN);
                let update = Update::decode(&frame.body, &context(as4, true)).unwrap();
                prop_assert_eq!(update.faults, vec![]);
                prop_assert_eq!(&update.attributes, &attributes);
                prop_assert_eq!(update.announced[0].next_hop, hop);
                seen.extend(update.announced.into_iter().flat_map(|part| part.prefixes));
            }
            prop_assert_eq!(seen, prefixes);
        }
    }

    #[test]
    fn opens_are_read_as_written(
        asn in asn(),
        hold_time in any::<u16>(),
        id in any::<u32>(),
        mut capabilities in vec(capability(), 0..16),
    ) {
        capabilities.insert(0, Capability::FourOctetAs(asn));
        // The same one twice is read once.
        let mut seen: Vec<Capability> = Vec::new();
        capabilities.retain(|capability| !seen.contains(capability) && { seen.push(capability.clone()); true });
        let open = Open { asn, hold_time, router_id: Ipv4Addr::from(id), capabilities };
        let frames = read(&open.encode(), &[]);
        prop_assert_eq!(Open::decode(&frames[0].body), Ok(open));
    }

    #[test]
    fn notifications_are_read_as_written(code: u8, subcode: u8, data in vec(any::<u8>(), 0..100)) {
        let notification = Notification { code, subcode, data };
        let frames = read(&notification.encode(), &[]);
        prop_assert_eq!(Notification::decode(&frames[0].body), Some(notification));
    }

    #[test]
    fn refreshes_are_read_as_written(afi: u16, safi: u8, subtype in 0usize..3) {
        let family = Family { afi, safi };
        let subtype = [RefreshSubtype::Request, RefreshSubtype::Begin, RefreshSubtype::End][subtype];
        let refresh = RouteRefresh { family, subtype };
        let frames = read(&refresh.encode(), &[]);
        prop_assert_eq!(RouteRefresh::decode(&frames[0].body, true), Ok(Some(refresh)));
        let plain = RouteRefresh::decode(&frames[0].body, false);
        prop_assert_eq!(plain, Ok(Some(RouteRefresh::request(family))));
    }

    #[test]
    fn hard_resets_and_texts_are_read_as_written(text: String, code: u8, subcode: u8) {
        let shutdown = Notification::with_text(Notification::ADMIN_SHUTDOWN, &text);
        let kept = shutdown.shutdown_text().unwrap_or_default();
        prop_assert!(text.starts_with(&kept) && (kept.len() == text.len() || kept.len() > 251));
        prop_assert_eq!(shutdown.clone().into_hard_reset().shutdown_text(), shutdown.shutdown_text());
        let reason = Notification { code, subcode, data: shutdown.data };
        prop_assert_eq!(reason.clone().into_hard_reset().hard_reset_reason(), Some(reason));
    }

    #[test]
    fn no_bytes_can_make_the_codec_panic(bytes in vec(any::<u8>(), 0..600)) {
        decode_anything(&bytes);
        let mut framer = Framer::default();
        framer.push(&bytes);
        while let Ok(Some(_)) = framer.next_frame() {}
    }

    #[test]
    fn no_mutation_of_a_valid_message_can_make_the_codec_panic(
        prefixes in vec(prop_oneof![v4_prefix(), v6_prefix()], 1..10),
        attributes in attributes(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = pack_announcements(&attributes, next_hop(true), &prefixes, true).bytes;
        bytes.extend(pack_announcements(&attributes, next_hop(false), &prefixes, true).bytes);
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let body = bytes.get(HEADER_LEN..).unwrap_or_default();
        decode_anything(body);
        decode_anything(&body[..cut.index(body.len().max(1))]);
    }
}
