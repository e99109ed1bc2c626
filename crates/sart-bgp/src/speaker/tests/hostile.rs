//! A neighbour that sends anything at any time cannot hurt: no panic, no lost retry, no effect on another neighbour.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use proptest::prelude::*;

use super::lab::{Raw, config, ip, local};
use crate::family::{Family, LocalAddresses};
use crate::session::{ConnId, ConnectionEnd};
use crate::speaker::{PathFilter, SpeakerInput, Table};
use crate::wire::attr::{AsPath, Attributes, NextHop, Segment, SegmentKind};
use crate::wire::message::keepalive;
use crate::wire::notification::Notification;
use crate::wire::refresh::RouteRefresh;
use crate::wire::{end_of_rib, pack_announcements, pack_withdrawals};

/// One thing a neighbour, the network or the clock does. Connections are numbered 0 to 3.
#[derive(Clone, Debug)]
enum Act {
    Dialled(u64),
    DialFailed,
    Accepted(u64),
    Closed(u64),
    Say(u64, Vec<u8>),
    Wait(u16),
}

fn update(prefix: u8) -> Vec<u8> {
    let segments = vec![Segment { kind: SegmentKind::Sequence, asns: vec![65100] }];
    let attributes = Attributes { as_path: AsPath { segments }, ..Attributes::default() };
    let next_hop = NextHop { address: ip(2), link_local: None };
    let prefix = format!("10.7.{prefix}.0/24").parse().unwrap();
    pack_announcements(&attributes, next_hop, &[prefix], true).bytes
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![
        4 => (0u8..4, any::<u16>()).prop_map(|(id, hold)| Raw::open(|open| {
            open.router_id = Ipv4Addr::new(10, 0, 0, id);
            open.hold_time = hold;
        })),
        4 => Just(keepalive()),
        4 => any::<u8>().prop_map(update),
        1 => Just(end_of_rib(Family::IPV4_UNICAST)),
        1 => Just(RouteRefresh::request(Family::IPV4_UNICAST).encode()),
        1 => Just(Notification::new(Notification::COLLISION).encode()),
        1 => Just(pack_withdrawals(&["10.7.0.0/24".parse().unwrap()]).bytes),
    ];
    let mutated = (whole, proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2));
    let mutated = mutated.prop_map(|(mut bytes, edits)| {
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    });
    prop_oneof![6 => mutated, 1 => proptest::collection::vec(any::<u8>(), 0..60)]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0u64..4).prop_map(Act::Dialled),
        1 => Just(Act::DialFailed),
        2 => (0u64..4).prop_map(Act::Accepted),
        1 => (0u64..4).prop_map(Act::Closed),
        8 => (0u64..4, message()).prop_map(|(conn, bytes)| Act::Say(conn, bytes)),
        1 => any::<u16>().prop_map(Act::Wait),
    ]
}

fn perform(raw: &mut Raw, act: Act, epoch: u64) {
    let number = |conn: u64| ConnId(conn + epoch * 4);
    let local = LocalAddresses::of(ip(1));
    match act {
        Act::Dialled(conn) => {
            raw.handle(SpeakerInput::Dialled { conn: number(conn), peer: ip(2), local });
        }
        Act::DialFailed => raw.handle(SpeakerInput::DialFailed { peer: ip(2), error: "refused" }),
        Act::Accepted(conn) => {
            let peer = SocketAddr::new(ip(2), 40000);
            raw.handle(SpeakerInput::Accepted { conn: number(conn), peer, local });
        }
        Act::Closed(conn) => {
            raw.handle(SpeakerInput::Closed { conn: number(conn), end: ConnectionEnd::Broken });
        }
        Act::Say(conn, bytes) => raw.say(number(conn), &bytes),
        Act::Wait(milliseconds) => {
            raw.now += Duration::from_millis(u64::from(milliseconds));
            raw.handle(SpeakerInput::Tick);
        }
    }
}

/// What must hold after every event.
fn check(raw: &Raw) {
    let view = raw.speaker.neighbor(ip(2), raw.now).unwrap();
    let rows = |table| raw.speaker.paths(table, PathFilter::default(), raw.now).unwrap().len() as u64;
    assert_eq!(rows(Table::AdjRibIn(ip(2))), view.prefixes_received);
    assert_eq!(rows(Table::AdjRibOut(ip(2))), view.prefixes_sent);
    if view.state.to_string() == "Established" {
        assert_eq!(view.prefixes_sent, 1, "the own path is always told");
    } else {
        assert_eq!((view.prefixes_received, view.prefixes_sent), (0, 0), "no session, no routes");
        assert!(raw.speaker.next_deadline().is_some(), "something always happens next");
    }
}

proptest! {
    #[test]
    fn no_sequence_of_events_hurts_or_stalls_a_speaker(acts in proptest::collection::vec(act(), 1..60)) {
        let mut raw = Raw::new();
        raw.speaker.update_paths(vec![local("10.0.1.0/32")], &[], raw.now).unwrap();
        for (step, act) in acts.into_iter().enumerate() {
            // New numbers now and then, so that old connections linger while new ones come.
            perform(&mut raw, act, step as u64 / 20);
            check(&raw);
        }
    }
}

#[test]
fn a_broken_neighbor_does_not_disturb_another_one() {
    let mut raw = Raw::with(config(1, 65000, &[(2, 65100), (3, 65103)]));
    raw.establish();
    let third = ConnId(9);
    let address: IpAddr = ip(3);
    raw.handle(SpeakerInput::Dialled { conn: third, peer: address, local: LocalAddresses::of(ip(1)) });
    raw.say(third, &[0; 4096]);
    assert_eq!(raw.notifications(third), [(1, 1)]);
    assert_eq!(raw.state(), "Established");
    raw.say(ConnId(77), &keepalive());
    assert_eq!(raw.state(), "Established", "an unknown connection is nobody's");
}

#[test]
fn a_neighbor_that_breaks_the_protocol_is_not_listened_to_for_a_growing_while() {
    let mut raw = Raw::new();
    let mut pauses = Vec::new();
    for round in 0..6 {
        let conn = ConnId(1000 + round);
        raw.handle(SpeakerInput::Dialled { conn, peer: ip(2), local: LocalAddresses::of(ip(1)) });
        raw.say(conn, &[0; 19]);
        assert_eq!(raw.state(), "Idle");
        let until = raw.speaker.next_deadline().unwrap();
        pauses.push((until - raw.now).as_secs());
        raw.accepted();
        assert_eq!(raw.closed.last(), Some(&super::lab::INBOUND));
        raw.now = until;
        raw.handle(SpeakerInput::Tick);
    }
    assert!(pauses[0] <= 1 && (22..=30).contains(&pauses[5]), "{pauses:?}");
}
