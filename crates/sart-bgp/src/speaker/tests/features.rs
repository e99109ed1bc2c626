//! Which extensions are offered, and what two OPENs make of them.

use super::lab::{OUTBOUND, Raw, config, ip};
use crate::config::Features;
use crate::family::Family;
use crate::session::SessionEvent;
use crate::speaker::SpeakerOutput;
use crate::wire::capability::{AddPathMode, Capability, GracefulRestart, Role};
use crate::wire::end_of_rib;
use crate::wire::message::{MessageKind, keepalive};
use crate::wire::open::Open;
use crate::wire::refresh::{RefreshSubtype, RouteRefresh};

fn with(features: Features) -> Raw {
    let mut config = config(1, 65000, &[(2, 65100)]);
    config.neighbors[0].features = features;
    Raw::with(config)
}

fn role(role: Role, strict_role: bool) -> Features {
    Features { role: Some(role), strict_role, ..Features::default() }
}

fn offered(raw: &Raw) -> Vec<Capability> {
    let (_, frame) = raw.heard.iter().find(|(_, frame)| frame.kind == MessageKind::Open).unwrap();
    Open::decode(&frame.body).unwrap().capabilities
}

#[test]
fn criterion_6_roles_that_do_not_fit_end_the_session_and_silence_only_if_strict() {
    let cases: [(Features, &[Role], bool); 6] = [
        (role(Role::CUSTOMER, false), &[Role::PROVIDER], true),
        (role(Role::PEER, true), &[Role::PEER, Role::PEER], true),
        (role(Role::CUSTOMER, false), &[], true),
        (role(Role::CUSTOMER, true), &[], false),
        (role(Role::CUSTOMER, false), &[Role::CUSTOMER], false),
        (role(Role::PEER, false), &[Role::PEER, Role::CUSTOMER], false),
    ];
    for (features, theirs, fits) in cases {
        let mut raw = with(features);
        raw.dialled();
        raw.say(
            OUTBOUND,
            &Raw::open(|open| open.capabilities.extend(theirs.iter().copied().map(Capability::Role))),
        );
        let expected: &[(u8, u8)] = if fits { &[] } else { &[(2, 11)] };
        assert_eq!(raw.notifications(OUTBOUND), expected, "{features:?} and {theirs:?}");
    }
}

#[test]
fn only_what_is_configured_is_offered() {
    let mut plain = Raw::new();
    plain.dialled();
    let everything = Features {
        extended_messages: true,
        extended_next_hop: true,
        add_path_receive: true,
        add_path_send: 4,
        role: Some(Role::PEER),
        strict_role: false,
    };
    let mut rich = with(everything);
    rich.dialled();
    let extras: Vec<_> =
        offered(&rich).into_iter().filter(|extra| !offered(&plain).contains(extra)).collect();
    assert_eq!(
        extras,
        [
            Capability::ExtendedMessage,
            Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, 2)]),
            Capability::AddPath(vec![(Family::IPV4_UNICAST, AddPathMode::Both)]),
            Capability::Role(Role::PEER),
        ]
    );
}

#[test]
fn long_messages_are_read_only_where_both_offer_them() {
    for both in [false, true] {
        let mut raw = with(Features { extended_messages: true, ..Features::default() });
        raw.dialled();
        raw.say(
            OUTBOUND,
            &Raw::open(|open| {
                if both {
                    open.capabilities.push(Capability::ExtendedMessage);
                }
            }),
        );
        raw.say(OUTBOUND, &keepalive());
        let mut long = vec![0xff; 16];
        long.extend(5000u16.to_be_bytes());
        long.push(2);
        raw.say(OUTBOUND, &long);
        assert_eq!(raw.notifications(OUTBOUND).is_empty(), both);
    }
}

#[test]
fn criterion_20_routes_that_do_not_come_again_go_only_with_the_end_marker() {
    let mut raw = Raw::new();
    raw.dialled();
    raw.say(
        OUTBOUND,
        &Raw::open(|open| {
            open.capabilities.extend([Capability::RouteRefresh, Capability::EnhancedRouteRefresh]);
        }),
    );
    raw.say(OUTBOUND, &keepalive());
    raw.say(OUTBOUND, &super::limits::update(0..2));
    let mark = |subtype| RouteRefresh { family: Family::IPV4_UNICAST, subtype }.encode();
    let received = |raw: &Raw| raw.speaker.neighbor(ip(2), raw.now).unwrap().prefixes_received;
    raw.say(OUTBOUND, &mark(RefreshSubtype::Begin));
    raw.say(OUTBOUND, &super::limits::update(1..2));
    assert_eq!(received(&raw), 2);
    raw.say(OUTBOUND, &mark(RefreshSubtype::End));
    assert_eq!((received(&raw), raw.state().as_str()), (1, "Established"));
}

#[test]
fn criterion_20_a_begin_mark_before_the_end_of_rib_is_ignored() {
    let mut raw = Raw::new();
    raw.dialled();
    let marks = [
        Capability::RouteRefresh,
        Capability::EnhancedRouteRefresh,
        Capability::GracefulRestart(GracefulRestart::default()),
    ];
    raw.say(OUTBOUND, &Raw::open(|open| open.capabilities.extend(marks)));
    raw.say(OUTBOUND, &keepalive());
    raw.say(OUTBOUND, &super::limits::update(0..2));
    let mark = |subtype| RouteRefresh { family: Family::IPV4_UNICAST, subtype }.encode();
    let both = [mark(RefreshSubtype::Begin), mark(RefreshSubtype::End)].concat();
    let received = |raw: &Raw| raw.speaker.neighbor(ip(2), raw.now).unwrap().prefixes_received;
    let early = SpeakerOutput::Session {
        peer: ip(2),
        event: SessionEvent::EarlyRefresh { family: Family::IPV4_UNICAST },
    };
    raw.say(OUTBOUND, &both);
    assert_eq!((received(&raw), raw.others.contains(&early)), (2, true));
    raw.others.clear();
    raw.say(OUTBOUND, &end_of_rib(Family::IPV4_UNICAST));
    raw.say(OUTBOUND, &both);
    assert_eq!((received(&raw), raw.others.contains(&early)), (0, false));
}
