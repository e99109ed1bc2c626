//! How a session is ended on purpose, and what the neighbour is told.

use super::lab::{OUTBOUND, Raw, config, ip, local};
use crate::speaker::SpeakerInput;
use crate::wire::message::MessageKind;
use crate::wire::notification::Notification;

fn last_notification(raw: &Raw) -> Notification {
    let (_, frame) =
        raw.heard.iter().rev().find(|(_, frame)| frame.kind == MessageKind::Notification).unwrap();
    Notification::decode(&frame.body).unwrap()
}

#[test]
fn criterion_12_a_neighbor_taken_down_is_told_why_and_stays_down_until_it_is_taken_up() {
    let mut raw = Raw::new();
    raw.establish();
    let text = "Arbeiten am Schrank 7 \u{1f6a7}";
    raw.speaker.set_shutdown(ip(2), Some(text.to_owned()), raw.now).unwrap();
    raw.drain();
    let told = last_notification(&raw);
    assert_eq!((told.code, told.subcode, told.shutdown_text().as_deref()), (6, 2, Some(text)));
    assert_eq!(usize::from(told.data[0]), told.data.len() - 1, "a length octet, then UTF-8 (RFC 9003)");
    raw.tick_at(1_000_000);
    raw.accepted();
    assert_eq!((raw.state().as_str(), raw.closed.len()), ("Idle", 2));
    raw.speaker.set_shutdown(ip(2), None, raw.now).unwrap();
    raw.drain();
    raw.handle(SpeakerInput::Tick);
    assert_eq!(raw.state(), "Connect");
}

#[test]
fn criterion_12_a_text_that_is_too_long_is_refused_and_changes_nothing() {
    let mut raw = Raw::new();
    raw.establish();
    let refusal = raw.speaker.set_shutdown(ip(2), Some("x".repeat(256)), raw.now).unwrap_err();
    assert!(refusal.to_string().contains("255 octets"), "{refusal}");
    assert_eq!(raw.state(), "Established");
    let unknown = raw.speaker.set_shutdown(ip(9), None, raw.now).unwrap_err();
    assert_eq!(unknown.reason(), "UnknownNeighbor");
}

#[test]
fn criterion_12_a_received_text_is_shown_even_if_it_is_not_utf_8() {
    for (octets, shown) in [(&b"bye"[..], "bye"), (&[b'b', 0xff, b'e'][..], "b\u{fffd}e")] {
        let mut raw = Raw::new();
        raw.establish();
        let mut data = vec![octets.len() as u8];
        data.extend(octets);
        raw.say(OUTBOUND, &Notification::with_data(Notification::ADMIN_SHUTDOWN, &data).encode());
        let error = raw.speaker.neighbor(ip(2), raw.now).unwrap().last_error.unwrap();
        assert!(error.contains("6/2") && error.contains(shown), "{error}");
    }
}

#[test]
fn a_reset_by_hand_says_so_and_dials_again_at_once() {
    let mut raw = Raw::new();
    raw.establish();
    raw.speaker.reset(ip(2), "new optics", raw.now).unwrap();
    raw.drain();
    let told = last_notification(&raw);
    assert_eq!((told.code, told.subcode, told.shutdown_text().as_deref()), (6, 4, Some("new optics")));
    assert_eq!(raw.state(), "Connect");
    assert!(raw.speaker.reset(ip(9), "", raw.now).is_err());
}

#[test]
fn criterion_33_a_planned_restart_closes_without_a_notification() {
    let mut raw = Raw::new();
    raw.establish();
    raw.heard.clear();
    raw.speaker.leave_for_restart(raw.now);
    raw.drain();
    assert_eq!((raw.closed.as_slice(), raw.heard.len()), (&[OUTBOUND][..], 0));
    raw.tick_at(1_000_000);
    assert_eq!((raw.state().as_str(), raw.speaker.next_deadline()), ("Idle", None), "nobody is dialled");
}

#[test]
fn criterion_33_a_decommissioned_speaker_asks_for_other_routes_before_it_goes() {
    for (asn, preference) in [(65100, None), (65000, Some(0))] {
        let mut raw = Raw::with(config(1, 65000, &[(2, asn)]));
        raw.speaker.update_paths(vec![local("10.0.1.0/32")], &[], raw.now).unwrap();
        raw.dialled();
        raw.say(
            OUTBOUND,
            &Raw::open(|open| {
                open.asn = asn;
                open.capabilities = vec![crate::wire::capability::Capability::FourOctetAs(asn)];
            }),
        );
        raw.say(OUTBOUND, &crate::wire::message::keepalive());
        raw.heard.clear();
        raw.speaker.drain(true, raw.now).unwrap();
        raw.drain();
        let internal = asn == 65000;
        let updates = raw.take_updates_as(internal);
        assert_eq!(updates.len(), 1);
        assert_eq!(updates[0].attributes.communities, [0xffff_0000], "GRACEFUL_SHUTDOWN (RFC 8326)");
        assert_eq!(updates[0].attributes.local_pref, preference);
        assert_eq!(raw.state(), "Established", "routes still work");
        raw.speaker.shutdown("decommissioned", raw.now);
        raw.drain();
        let told = last_notification(&raw);
        assert_eq!(
            (told.code, told.subcode, told.shutdown_text().as_deref()),
            (6, 2, Some("decommissioned"))
        );
    }
}

#[test]
fn routes_asked_for_again_are_asked_for_only_where_the_neighbor_knows_how() {
    for knows in [false, true] {
        let mut raw = Raw::new();
        raw.dialled();
        raw.say(
            OUTBOUND,
            &Raw::open(|open| {
                if knows {
                    open.capabilities.push(crate::wire::capability::Capability::RouteRefresh);
                }
            }),
        );
        raw.say(OUTBOUND, &crate::wire::message::keepalive());
        raw.heard.clear();
        raw.speaker.ask_refresh(ip(2), raw.now).unwrap();
        raw.drain();
        let asked: Vec<_> = raw.heard.iter().map(|(_, frame)| frame.kind).collect();
        assert_eq!(asked, if knows { vec![MessageKind::RouteRefresh] } else { vec![] });
    }
}
