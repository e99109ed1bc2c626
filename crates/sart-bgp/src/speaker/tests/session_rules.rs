//! What a neighbour made of bytes gets for an answer (RFC 4271 section 6 and 8).

use core::net::Ipv4Addr;

use super::lab::{INBOUND, OUTBOUND, Raw, config, ip};
use crate::family::Family;
use crate::session::ConnectionEnd;
use crate::speaker::{SpeakerInput, SpeakerOutput};
use crate::wire::capability::Capability;
use crate::wire::message::{MARKER, MessageKind, keepalive};
use crate::wire::notification::Notification;
use crate::wire::open::Open;
use crate::wire::refresh::RouteRefresh;
use crate::wire::{end_of_rib, pack_withdrawals};

#[test]
fn criterion_6_each_bad_open_is_answered_with_its_own_subcode() {
    type Edit = fn(&mut Open);
    let cases: [(Edit, (u8, u8)); 6] = [
        (|open| open.asn = 65101, (2, 2)),
        (|open| open.asn = 65100, (2, 2)),
        (|open| open.router_id = Ipv4Addr::UNSPECIFIED, (2, 3)),
        (|open| open.hold_time = 1, (2, 6)),
        (|open| open.hold_time = 2, (2, 6)),
        (|open| open.capabilities.push(Capability::Multiprotocol(Family::IPV6_UNICAST)), (2, 7)),
    ];
    for (number, (edit, expected)) in cases.into_iter().enumerate() {
        let mut raw = Raw::new();
        raw.dialled();
        let open = Raw::open(|open| {
            edit(open);
            // The capability has the last word on the AS number.
            let asn = if number == 1 { 65102 } else { open.asn };
            open.capabilities[0] = Capability::FourOctetAs(asn);
        });
        raw.say(OUTBOUND, &open);
        assert_eq!(raw.notifications(OUTBOUND), [expected], "case {number}");
        assert_eq!((raw.closed.clone(), raw.state()), (vec![OUTBOUND], String::from("Idle")));
        assert!(raw.speaker.neighbor(ip(2), raw.now).unwrap().last_error.is_some());
    }
}

#[test]
fn criterion_6_our_own_router_id_is_refused_inside_our_as_and_accepted_from_another() {
    for (asn, refused) in [(65000, true), (65100, false)] {
        let mut raw = Raw::with(config(1, 65000, &[(2, asn)]));
        raw.dialled();
        let open = Raw::open(|open| {
            open.asn = asn;
            open.router_id = Ipv4Addr::new(10, 0, 0, 1);
            open.capabilities[0] = Capability::FourOctetAs(asn);
        });
        raw.say(OUTBOUND, &open);
        let expected: &[(u8, u8)] = if refused { &[(2, 3)] } else { &[] };
        assert_eq!(raw.notifications(OUTBOUND), expected, "AS {asn}");
    }
}

#[test]
fn criterion_6_a_wrong_version_is_answered_with_ours_as_data() {
    let mut raw = Raw::new();
    raw.dialled();
    let mut open = Raw::open(|_| {});
    open[19] = 3;
    raw.say(OUTBOUND, &open);
    let (_, frame) = raw.heard.last().unwrap();
    assert_eq!((frame.kind, frame.body.as_slice()), (MessageKind::Notification, &[2, 1, 0, 4][..]));
}

#[test]
fn criterion_8_a_message_out_of_turn_is_answered_by_the_state_it_came_in() {
    let update = end_of_rib(Family::IPV4_UNICAST);
    let mut raw = Raw::new();
    raw.dialled();
    raw.say(OUTBOUND, &keepalive());
    assert_eq!(raw.notifications(OUTBOUND), [(5, 1)]);

    let mut raw = Raw::new();
    raw.dialled();
    raw.say(OUTBOUND, &Raw::open(|_| {}));
    raw.say(OUTBOUND, &update);
    assert_eq!(raw.notifications(OUTBOUND), [(5, 2)]);

    let mut raw = Raw::new();
    raw.establish();
    raw.say(OUTBOUND, &Raw::open(|_| {}));
    assert_eq!(raw.notifications(OUTBOUND), [(5, 3)]);
}

#[test]
fn criterion_6_a_broken_header_is_answered_with_its_subcode_and_data() {
    let header = |marker: u8, length: u16, code: u8| {
        let mut bytes = MARKER.to_vec();
        bytes[0] = marker;
        bytes.extend(length.to_be_bytes());
        bytes.push(code);
        bytes
    };
    let cases: [(Vec<u8>, &[u8]); 5] = [
        (header(0, 19, 4), &[1, 1]),
        (header(0xff, 18, 4), &[1, 2, 0, 18]),
        (header(0xff, 4097, 2), &[1, 2, 0x10, 0x01]),
        (header(0xff, 20, 4), &[1, 2, 0, 20]),
        (header(0xff, 19, 9), &[1, 3, 9]),
    ];
    for (bytes, expected) in cases {
        let mut raw = Raw::new();
        raw.establish();
        raw.say(OUTBOUND, &bytes);
        assert_eq!(raw.heard.last().unwrap().1.body, expected);
        assert_eq!(raw.closed, [OUTBOUND]);
    }
}

#[test]
fn criterion_4_the_hold_timer_ends_a_silent_session_and_hold_time_zero_never_does() {
    let mut raw = Raw::new();
    raw.establish();
    raw.tick_at(90);
    assert_eq!(raw.state(), "Established");
    raw.tick_at(91);
    assert_eq!(raw.notifications(OUTBOUND), [(4, 0)]);
    assert_ne!(raw.state(), "Established");

    let mut raw = Raw::new();
    raw.dialled();
    raw.say(OUTBOUND, &Raw::open(|open| open.hold_time = 0));
    raw.say(OUTBOUND, &keepalive());
    raw.tick_at(100_000);
    assert_eq!(raw.state(), "Established");
}

#[test]
fn criterion_10_a_silent_neighbor_with_gtsm_is_soon_dialled_again() {
    // What it sends may be dropped by the kernel, its FIN and RST as well.
    for (hops, gives_up) in [(Some(1), 11), (None, 241)] {
        let mut guarded = config(1, 65000, &[(2, 65100)]);
        guarded.neighbors[0].transport.ttl_security = hops;
        let mut raw = Raw::with(guarded);
        raw.dialled();
        raw.tick_at(gives_up - 1);
        assert_eq!((raw.state().as_str(), raw.closed.len()), ("OpenSent", 0), "{hops:?}");
        raw.tick_at(gives_up);
        assert_eq!((raw.notifications(OUTBOUND), raw.closed.as_slice()), (vec![(4, 0)], &[OUTBOUND][..]));
        raw.others.clear();
        raw.tick_at(gives_up + 1);
        assert!(raw.others.iter().any(|output| matches!(output, SpeakerOutput::Dial { .. })), "{hops:?}");
    }
}

#[test]
fn criterion_4_the_smaller_hold_time_and_a_third_of_it_are_negotiated() {
    let mut raw = Raw::new();
    raw.dialled();
    raw.say(OUTBOUND, &Raw::open(|open| open.hold_time = 30));
    let view = raw.speaker.neighbor(ip(2), raw.now).unwrap();
    assert_eq!((view.hold_time.as_secs(), view.keepalive_time.as_secs()), (30, 10));
}

#[test]
fn criterion_2_a_collision_is_won_by_the_connection_of_the_higher_router_id() {
    // 10.0.0.2 is the neighbour's and higher, so its connection lives; 10.0.0.0 is lower, so ours does.
    for (last, survivor, loser) in [(2, INBOUND, OUTBOUND), (0, OUTBOUND, INBOUND)] {
        for order in [[OUTBOUND, INBOUND], [INBOUND, OUTBOUND]] {
            let mut raw = Raw::new();
            raw.dialled();
            raw.accepted();
            let open = Raw::open(|open| open.router_id = Ipv4Addr::new(10, 0, 0, last));
            for conn in order {
                raw.say(conn, &open);
            }
            raw.say(survivor, &keepalive());
            assert_eq!(raw.notifications(loser), [(6, 7)], "id {last}, order {order:?}");
            assert_eq!((raw.state().as_str(), raw.closed.as_slice()), ("Established", &[loser][..]));
        }
    }
}

#[test]
fn criterion_2_between_equal_router_ids_the_connection_of_the_higher_as_lives() {
    // RFC 6286 section 2.3; ours is 65000.
    for (asn, survivor, loser) in [(65100, INBOUND, OUTBOUND), (64900, OUTBOUND, INBOUND)] {
        let mut raw = Raw::with(config(1, 65000, &[(2, asn)]));
        raw.dialled();
        raw.accepted();
        let open = Raw::open(|open| {
            open.asn = asn;
            open.router_id = Ipv4Addr::new(10, 0, 0, 1);
            open.capabilities[0] = Capability::FourOctetAs(asn);
        });
        raw.say(OUTBOUND, &open);
        raw.say(INBOUND, &open);
        raw.say(survivor, &keepalive());
        assert_eq!(raw.notifications(loser), [(6, 7)], "AS {asn}");
        assert_eq!((raw.state().as_str(), raw.closed.as_slice()), ("Established", &[loser][..]));
    }
}

#[test]
fn criterion_3_a_second_connection_to_an_established_session_is_ceased_and_changes_nothing() {
    let mut raw = Raw::new();
    raw.establish();
    raw.accepted();
    raw.say(INBOUND, &Raw::open(|_| {}));
    assert_eq!(raw.notifications(INBOUND), [(6, 7)]);
    let view = raw.speaker.neighbor(ip(2), raw.now).unwrap();
    assert_eq!((view.state.to_string().as_str(), view.flaps), ("Established", 0));
}

#[test]
fn the_far_ends_fin_is_seen_at_once() {
    let mut raw = Raw::new();
    raw.establish();
    raw.handle(SpeakerInput::Closed { conn: OUTBOUND, end: ConnectionEnd::Finished });
    let view = raw.speaker.neighbor(ip(2), raw.now).unwrap();
    assert_eq!((view.state.to_string().as_str(), view.flaps), ("Active", 1));
}

#[test]
fn removal_shutdown_and_a_changed_open_each_cease_with_their_own_subcode() {
    type Act = fn(&mut Raw);
    let cases: [(Act, (u8, u8)); 3] = [
        (|raw| raw.speaker.delete_neighbor(ip(2), raw.now).unwrap(), Notification::PEER_DECONFIGURED),
        (|raw| raw.speaker.shutdown("", raw.now), Notification::ADMIN_SHUTDOWN),
        (
            |raw| {
                let mut changed = config(1, 65000, &[(2, 65100)]);
                changed.neighbors[0].hold_time = Some(30);
                assert_eq!(raw.speaker.apply_config(changed, raw.now).unwrap().neighbors_reset, 1);
            },
            Notification::CONFIG_CHANGE,
        ),
    ];
    for (act, expected) in cases {
        let mut raw = Raw::new();
        raw.establish();
        act(&mut raw);
        raw.drain();
        assert_eq!(raw.notifications(OUTBOUND), [expected]);
        assert_eq!(raw.closed, [OUTBOUND]);
    }
}

#[test]
fn a_stranger_and_a_removed_neighbors_late_connection_are_closed() {
    let mut raw = Raw::new();
    raw.speaker.delete_neighbor(ip(2), raw.now).unwrap();
    raw.dialled();
    raw.accepted();
    assert_eq!(raw.closed, [OUTBOUND, INBOUND]);
    assert!(raw.heard.is_empty(), "no OPEN is wasted on it");
}

#[test]
fn a_passive_neighbor_is_never_dialled_but_accepted() {
    let mut passive = config(1, 65000, &[(2, 65100)]);
    passive.neighbors[0].passive = true;
    let mut raw = Raw::with(passive);
    raw.tick_at(1000);
    assert!(!raw.others.iter().any(|output| matches!(output, SpeakerOutput::Dial { .. })));
    assert_eq!(raw.state(), "Active");
    raw.accepted();
    raw.say(INBOUND, &Raw::open(|_| {}));
    raw.say(INBOUND, &keepalive());
    assert_eq!(raw.state(), "Established");
}

#[test]
fn the_states_of_a_session_are_told_in_order() {
    let mut raw = Raw::new();
    raw.establish();
    let states: Vec<_> = raw
        .others
        .iter()
        .filter_map(|output| match output {
            SpeakerOutput::Session { event: crate::session::SessionEvent::State { to, .. }, .. } => {
                Some(to.to_string())
            }
            _ => None,
        })
        .collect();
    assert_eq!(states, ["Connect", "OpenSent", "OpenConfirm", "Established"]);
}

#[test]
fn a_failing_neighbor_is_dialled_again_with_growing_bounded_pauses() {
    let mut raw = Raw::new();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        raw.handle(SpeakerInput::DialFailed { peer: ip(2), error: "refused" });
        raw.others.clear();
        let next = raw.speaker.next_deadline().unwrap();
        pauses.push((next - raw.now).as_millis());
        raw.now = next;
        raw.handle(SpeakerInput::Tick);
        assert!(raw.others.iter().any(|output| matches!(output, SpeakerOutput::Dial { .. })));
    }
    assert!((750..=1000).contains(&pauses[0]) && (6000..=8000).contains(&pauses[7]), "{pauses:?}");
}

#[test]
fn a_route_refresh_repeats_everything_and_counts() {
    let mut raw = Raw::new();
    let path = super::lab::local("10.0.1.0/32");
    raw.speaker.update_paths(vec![path], &[], raw.now).unwrap();
    raw.establish();
    raw.heard.clear();
    raw.say(OUTBOUND, &RouteRefresh::request(Family::IPV4_UNICAST).encode());
    assert_eq!(raw.take_updates().len(), 1);
    let withdrawal = pack_withdrawals(&["10.9.0.0/16".parse().unwrap()]);
    raw.say(OUTBOUND, &withdrawal.bytes);
    let view = raw.speaker.neighbor(ip(2), raw.now).unwrap();
    assert_eq!((view.received.route_refresh, view.received.update, view.received.open), (1, 1, 1));
    assert_eq!((view.sent.update, view.prefixes_sent), (3, 1), "route, End-of-RIB, route again");
}
