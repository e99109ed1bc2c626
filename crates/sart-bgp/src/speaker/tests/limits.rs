//! How a session is kept and what a neighbour may cost.

use core::time::Duration;

use super::lab::{OUTBOUND, Raw, config, ip};
use crate::config::{Config, PrefixLimit};
use crate::session::SessionEvent;
use crate::speaker::SpeakerOutput;
use crate::wire::attr::{AsPath, Attributes, NextHop, Segment, SegmentKind};
use crate::wire::message::{MessageKind, keepalive};
use crate::wire::pack_announcements;

fn limited(restart: Option<u32>) -> Config {
    let mut config = config(1, 65000, &[(2, 65100)]);
    config.neighbors[0].prefix_limit = Some(PrefixLimit { restart, ..PrefixLimit::new(10) });
    config
}

fn announce(raw: &mut Raw, prefixes: core::ops::Range<u8>) {
    let bytes = update(prefixes);
    raw.say(OUTBOUND, &bytes);
}

pub(super) fn update(prefixes: core::ops::Range<u8>) -> Vec<u8> {
    let segments = vec![Segment { kind: SegmentKind::Sequence, asns: vec![65100] }];
    let attributes = Attributes { as_path: AsPath { segments }, ..Attributes::default() };
    let next_hop = NextHop { address: ip(2), link_local: None };
    let prefixes: Vec<_> = prefixes.map(|n| format!("10.7.{n}.0/24").parse().unwrap()).collect();
    pack_announcements(&attributes, next_hop, &prefixes, true).bytes
}

fn warnings(raw: &Raw) -> usize {
    let warned = |output: &&SpeakerOutput| {
        matches!(output, SpeakerOutput::Session { event: SessionEvent::NearPrefixLimit { .. }, .. })
    };
    raw.others.iter().filter(warned).count()
}

#[test]
fn criterion_22_a_neighbor_is_warned_of_once_at_its_share_and_ceased_above_its_limit() {
    let mut raw = Raw::with(limited(None));
    raw.establish();
    announce(&mut raw, 0..7);
    assert_eq!(warnings(&raw), 0);
    announce(&mut raw, 7..8);
    announce(&mut raw, 8..10);
    announce(&mut raw, 0..10);
    assert_eq!((warnings(&raw), raw.state().as_str()), (1, "Established"), "a repeated prefix counts once");
    announce(&mut raw, 10..11);
    assert_eq!(raw.notifications(OUTBOUND), [(6, 1)]);
    let (_, frame) = raw.heard.last().unwrap();
    assert_eq!(frame.body[2..], [0, 1, 1, 0, 0, 0, 10], "family and upper bound (RFC 4486 section 4)");
    assert_eq!(raw.state(), "Idle");
    raw.tick_at(1_000_000);
    assert_eq!(raw.state(), "Idle", "down until a person steps in");
    raw.accepted();
    assert_eq!(raw.closed.last(), Some(&super::lab::INBOUND));
    raw.speaker.reset(ip(2), "", raw.now).unwrap();
    raw.drain();
    raw.handle(crate::speaker::SpeakerInput::Tick);
    assert_eq!(raw.state(), "Connect");
}

#[test]
fn criterion_22_a_restart_timer_brings_the_session_back() {
    let mut raw = Raw::with(limited(Some(60)));
    raw.establish();
    announce(&mut raw, 0..11);
    let ended = raw.now;
    assert_eq!(raw.state(), "Idle");
    assert_eq!(raw.speaker.next_deadline(), Some(ended + Duration::from_secs(60)));
    raw.tick_at(ended.as_secs() + 59);
    assert_eq!(raw.state(), "Idle");
    raw.tick_at(ended.as_secs() + 60);
    assert_eq!(raw.state(), "Connect");
}

#[test]
fn criterion_22_malformed_updates_and_withdrawn_prefixes_do_not_count() {
    let mut raw = Raw::with(limited(None));
    raw.establish();
    let mut malformed = update(0..50);
    // The value of ORIGIN, the first attribute: 19 header, 2 + 2 lengths, 3 attribute header.
    assert_eq!(malformed[23..26], [0x40, 1, 1]);
    malformed[26] = 3;
    raw.say(OUTBOUND, &malformed);
    assert_eq!(raw.state(), "Established");
    for round in 0..20 {
        announce(&mut raw, round * 10..round * 10 + 10);
        let gone: Vec<_> =
            (round * 10..round * 10 + 10).map(|n| format!("10.7.{n}.0/24").parse().unwrap()).collect();
        raw.say(OUTBOUND, &crate::wire::pack_withdrawals(&gone).bytes);
    }
    assert_eq!(raw.state(), "Established");
}

#[test]
fn criterion_4_a_hold_time_of_zero_is_proposed_and_means_no_timers() {
    let mut wanted = config(1, 65000, &[(2, 65100)]);
    wanted.neighbors[0].hold_time = Some(0);
    let mut raw = Raw::with(wanted);
    raw.establish();
    let (_, open) = raw.heard.iter().find(|(_, frame)| frame.kind == MessageKind::Open).unwrap();
    assert_eq!(open.body[3..5], [0, 0]);
    raw.heard.clear();
    raw.tick_at(1_000_000);
    assert_eq!((raw.state().as_str(), raw.heard.len()), ("Established", 0), "no hold timer, no keepalive");
}

#[test]
fn criterion_4_keepalives_are_jittered_from_the_first_one_on() {
    let mut intervals = Vec::new();
    let mut raw = Raw::new();
    raw.dialled();
    raw.say(OUTBOUND, &Raw::open(|_| {}));
    raw.say(OUTBOUND, &keepalive());
    for _ in 0..50 {
        let before = raw.now;
        raw.heard.clear();
        raw.say(OUTBOUND, &keepalive());
        while raw.heard.is_empty() {
            raw.now = raw.speaker.next_deadline().unwrap();
            raw.handle(crate::speaker::SpeakerInput::Tick);
        }
        intervals.push((raw.now - before).as_millis());
    }
    assert!(intervals.iter().all(|drawn| (22_500..=30_000).contains(drawn)), "{intervals:?}");
    intervals.dedup();
    assert!(intervals.len() > 10, "{intervals:?}");
}

#[test]
fn the_longest_pause_between_dials_is_configured() {
    let mut patient = config(1, 65000, &[(2, 65100)]);
    patient.neighbors[0].connect_retry = 120;
    let mut raw = Raw::with(patient);
    let mut last = Duration::ZERO;
    for _ in 0..12 {
        raw.handle(crate::speaker::SpeakerInput::DialFailed { peer: ip(2), error: "refused" });
        let next = raw.speaker.next_deadline().unwrap();
        (last, raw.now) = (next - raw.now, next);
        raw.handle(crate::speaker::SpeakerInput::Tick);
    }
    assert!((90..=120).contains(&last.as_secs()), "{last:?}");
}

#[test]
fn criterion_37_a_limit_or_a_timer_that_changes_resets_nothing() {
    let mut raw = Raw::new();
    raw.establish();
    let mut changed = limited(Some(5));
    changed.neighbors[0].connect_retry = 3;
    changed.neighbors[0].keepalive_time = 7;
    let applied = raw.speaker.apply_config(changed.clone(), raw.now).unwrap();
    raw.drain();
    assert_eq!((applied.neighbors_reset, raw.state().as_str()), (0, "Established"));
    let before = raw.others.len();
    assert_eq!(raw.speaker.apply_config(changed, raw.now).unwrap(), crate::speaker::Applied::default());
    raw.drain();
    assert_eq!(raw.others.len(), before, "an identical configuration is no work");
}

/// Who was told of withheld routes: how many, and of which limit.
fn withheld(raw: &Raw) -> Vec<(u64, u32)> {
    let told = |output: &SpeakerOutput| match output {
        SpeakerOutput::Session { event: SessionEvent::AtExportLimit { withheld, max, .. }, .. } => {
            Some((*withheld, *max))
        }
        _ => None,
    };
    raw.others.iter().filter_map(told).collect()
}

#[test]
fn criterion_22_an_export_limit_is_kept_shown_and_said_once_a_session() {
    let mut wanted = config(1, 65000, &[(2, 65100)]);
    wanted.neighbors[0].export_limit = Some(3);
    wanted.paths = (0..5).map(|n| super::lab::local(&format!("10.9.{n}.0/24"))).collect();
    let mut raw = Raw::with(wanted.clone());
    raw.establish();
    let announced = |raw: &mut Raw| -> usize {
        let updates = raw.take_updates();
        updates.iter().flat_map(|update| &update.announced).map(|part| part.prefixes.len()).sum()
    };
    assert_eq!(announced(&mut raw), 3);
    wanted.paths.push(super::lab::local("10.9.9.0/24"));
    raw.speaker.apply_config(wanted.clone(), raw.now).unwrap();
    raw.drain();
    let view = raw.speaker.neighbor(ip(2), raw.now).unwrap();
    assert_eq!(
        (view.prefixes_sent, view.prefixes_withheld, view.state.to_string().as_str()),
        (3, 3, "Established")
    );
    assert_eq!(raw.speaker.figures()[0].families.map(|family| family.withheld), [3, 0]);
    assert_eq!(withheld(&raw), [(2, 3)], "said once, however many come");
    assert!(
        SessionEvent::AtExportLimit { family: crate::family::Family::IPV4_UNICAST, withheld: 2, max: 3 }
            .is_warning()
    );
    wanted.neighbors[0].export_limit = Some(4);
    assert_eq!(raw.speaker.apply_config(wanted, raw.now).unwrap(), crate::speaker::Applied::default());
    raw.drain();
    assert_eq!((announced(&mut raw), withheld(&raw)), (1, vec![(2, 3), (2, 4)]));
    assert_eq!(raw.state(), "Established", "a changed limit resets nothing");
}
