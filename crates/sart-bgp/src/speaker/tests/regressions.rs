//! Defects that were measured in the field, each as the scenario it was seen in.

use core::time::Duration;

use super::lab::{Lab, Raw, config, ip, local};
use crate::config::TransitPolicy;
use crate::speaker::SpeakerOutput;

/// Two nodes behind two spines that hand routes on.
fn two_spines() -> Lab {
    let mut lab = Lab::new(11);
    for (node, asn) in [(1, 65001), (2, 65002)] {
        let mut config = config(node, asn, &[(11, 65011), (12, 65012)]);
        config.global.transit = TransitPolicy::LocalOnly;
        lab.add(node, config);
    }
    for (spine, asn) in [(11, 65011), (12, 65012)] {
        lab.add(spine, config(spine, asn, &[(1, 65001), (2, 65002)]));
    }
    lab
}

#[test]
fn measured_a_node_never_hands_one_spines_routes_to_the_other() {
    let mut lab = two_spines();
    lab.update_paths(1, vec![local("10.0.1.0/32")], &[]);
    lab.update_paths(11, vec![local("203.0.113.0/24")], &[]);
    lab.run(Duration::from_secs(20));
    assert_eq!(lab.table(1), ["10.0.1.0/32", "203.0.113.0/24"]);
    let from: Vec<_> = lab.speakers[&12]
        .paths(crate::speaker::Table::LocRib, crate::speaker::PathFilter::default(), lab.now)
        .unwrap()
        .into_iter()
        .map(|path| (path.prefix.to_string(), path.peer))
        .collect();
    assert_eq!(from, [(String::from("10.0.1.0/32"), Some(ip(1)))], "only what node 1 itself originates");
}

#[test]
fn measured_nothing_is_stale_after_a_vip_was_deleted_between_two_spines() {
    let mut lab = two_spines();
    for round in 0..5 {
        lab.update_paths(1, vec![local("10.0.1.0/32")], &[]);
        lab.update_paths(2, vec![local("10.0.1.0/32")], &[]);
        lab.run(Duration::from_secs(10 + round));
        assert_eq!(lab.table(11).len(), 2);
        lab.update_paths(1, vec![], &["10.0.1.0/32"]);
        lab.update_paths(2, vec![], &["10.0.1.0/32"]);
        lab.carry();
        for me in [1, 2, 11, 12] {
            assert_eq!(lab.table(me), [""; 0], "speaker {me}, round {round}");
        }
    }
}

#[test]
fn measured_a_local_path_does_not_pile_up_however_often_it_is_given() {
    let mut lab = two_spines();
    lab.run(Duration::from_secs(10));
    for _ in 0..20 {
        lab.update_paths(1, vec![local("10.0.1.0/32")], &[]);
        lab.carry();
    }
    assert_eq!(lab.table(1), ["10.0.1.0/32"]);
    assert_eq!(lab.table(11), ["10.0.1.0/32"]);
}

#[test]
fn a_repeated_identical_upsert_sends_no_update() {
    let mut lab = two_spines();
    lab.update_paths(1, vec![local("10.0.1.0/32"), local("10.0.1.1/32")], &[]);
    lab.run(Duration::from_secs(10));
    let before = lab.updates;
    for _ in 0..10 {
        lab.update_paths(1, vec![local("10.0.1.0/32"), local("10.0.1.1/32")], &[]);
        lab.run(Duration::from_secs(1));
    }
    assert_eq!(lab.updates, before);
}

#[test]
fn issue_7_1_14_paths_given_at_any_moment_of_the_handshake_are_advertised() {
    use super::lab::OUTBOUND;
    use crate::wire::message::keepalive;
    for moment in 0..4 {
        let mut raw = Raw::new();
        let give = |raw: &mut Raw, now_is: usize| {
            if now_is == moment {
                raw.speaker.update_paths(vec![local("10.0.1.0/32")], &[], raw.now).unwrap();
                raw.drain();
            }
        };
        give(&mut raw, 0);
        raw.dialled();
        give(&mut raw, 1);
        raw.say(OUTBOUND, &Raw::open(|_| {}));
        give(&mut raw, 2);
        raw.say(OUTBOUND, &keepalive());
        give(&mut raw, 3);
        let announced: Vec<_> = raw
            .take_updates()
            .into_iter()
            .flat_map(|update| update.announced)
            .flat_map(|part| part.prefixes)
            .map(|prefix| prefix.to_string())
            .collect();
        assert_eq!(announced, ["10.0.1.0/32"], "given at step {moment}");
    }
}

#[test]
fn an_equal_configuration_touches_no_neighbor_and_sends_nothing() {
    let mut raw = Raw::new();
    raw.speaker.update_paths(vec![local("10.0.1.0/32")], &[], raw.now).unwrap();
    raw.establish();
    raw.heard.clear();
    raw.others.clear();
    let mut same = config(1, 65000, &[(2, 65100)]);
    same.paths = vec![local("10.0.1.0/32")];
    let applied = raw.speaker.apply_config(same, raw.now).unwrap();
    raw.drain();
    assert_eq!(applied, crate::speaker::Applied::default());
    assert!(raw.heard.is_empty() && raw.closed.is_empty() && raw.others.is_empty(), "{:?}", raw.others);
}

#[test]
fn groups_are_per_neighbor_and_follow_a_change_without_a_reset() {
    let mut raw = Raw::new();
    let mut path = local("10.0.1.0/32");
    path.groups = vec![String::from("a")];
    raw.speaker.update_paths(vec![path.clone()], &[], raw.now).unwrap();
    raw.establish();
    assert_eq!(raw.take_updates().iter().filter(|update| !update.announced.is_empty()).count(), 1);
    let mut grouped = config(1, 65000, &[(2, 65100)]);
    grouped.paths = vec![path];
    grouped.neighbors[0].groups = vec![String::from("b")];
    let applied = raw.speaker.apply_config(grouped.clone(), raw.now).unwrap();
    raw.drain();
    assert_eq!(applied.neighbors_reset, 0);
    assert_eq!(raw.take_updates()[0].withdrawn, ["10.0.1.0/32".parse().unwrap()]);
    grouped.neighbors[0].groups.push(String::from("a"));
    raw.speaker.apply_config(grouped, raw.now).unwrap();
    raw.drain();
    assert_eq!(raw.take_updates()[0].announced[0].prefixes, ["10.0.1.0/32".parse().unwrap()]);
    assert_eq!(raw.state(), "Established");
}

#[test]
fn best_paths_are_told_for_learned_prefixes_only_and_withdrawn_with_the_session() {
    let mut lab = two_spines();
    lab.update_paths(1, vec![local("10.0.1.0/32")], &[]);
    for spine in [11, 12] {
        lab.update_paths(spine, vec![local("203.0.113.0/24")], &[]);
    }
    lab.run(Duration::from_secs(20));
    let best = lab.speakers[&1].best_paths(&[]);
    assert_eq!(best.len(), 1, "own prefixes are not there: {best:?}");
    assert_eq!((best[0].next_hops.as_slice(), best[0].internal), ([ip(11), ip(12)].as_slice(), false));
    let now = lab.now;
    lab.events.clear();
    lab.speakers.get_mut(&11).unwrap().shutdown("", now);
    lab.speakers.get_mut(&12).unwrap().shutdown("", now);
    lab.carry();
    let feed: Vec<_> = lab
        .events
        .iter()
        .filter_map(|(me, event)| match event {
            SpeakerOutput::BestPath(path) if *me == 1 => Some(path.next_hops.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(feed, [vec![ip(12)], vec![]]);
}
