//! What an AS path has to look like, as configured, and that a changed rule judges what is there already.

use super::lab::{OUTBOUND, Raw, config, ip};
use crate::config::Config;
use crate::speaker::{Applied, PathFilter, Table};
use crate::wire::attr::{AsPath, Attributes, NextHop, Segment, SegmentKind};
use crate::wire::pack_announcements;

fn announce(raw: &mut Raw, prefix: &str, segments: Vec<Segment>) {
    let attributes = Attributes { as_path: AsPath { segments }, ..Attributes::default() };
    let next_hop = NextHop { address: ip(2), link_local: None };
    let bytes = pack_announcements(&attributes, next_hop, &[prefix.parse().unwrap()], true).bytes;
    raw.say(OUTBOUND, &bytes);
}

/// A plain path, one that begins with another AS, and one with a set in it.
fn scene(rules: Config) -> Raw {
    let sequence = |asn| Segment { kind: SegmentKind::Sequence, asns: vec![asn] };
    let mut raw = Raw::with(rules);
    raw.establish();
    announce(&mut raw, "10.7.0.0/24", vec![sequence(65100)]);
    announce(&mut raw, "10.7.1.0/24", vec![sequence(7)]);
    let set = Segment { kind: SegmentKind::Set, asns: vec![8, 9] };
    announce(&mut raw, "10.7.2.0/24", vec![sequence(65100), set]);
    raw
}

fn rules(enforce_first_as: bool, reject_as_sets: bool) -> Config {
    let mut config = config(1, 65000, &[(2, 65100)]);
    config.neighbors[0].enforce_first_as = enforce_first_as;
    config.global.reject_as_sets = reject_as_sets;
    config
}

/// The third octets of what is used.
fn used(raw: &Raw) -> Vec<String> {
    let paths = raw.speaker.paths(Table::LocRib, PathFilter::default(), raw.now).unwrap();
    paths.iter().map(|path| path.prefix.to_string()[5..6].to_owned()).collect()
}

#[test]
fn criterion_16_first_as_and_as_sets_are_refused_where_configured_and_counted() {
    for (rules, expected, why) in [
        (rules(false, false), &["0", "1", "2"][..], &[][..]),
        (rules(true, false), &["0", "2"], &[("first_as", 1)]),
        (rules(false, true), &["0", "1"], &[("as_set", 1)]),
        (rules(true, true), &["0"], &[("as_set", 1), ("first_as", 1)]),
    ] {
        let raw = scene(rules);
        assert_eq!(used(&raw), expected);
        let refused = raw.speaker.neighbor(ip(2), raw.now).unwrap().import_refused;
        assert_eq!(refused.into_iter().collect::<Vec<_>>(), why);
    }
}

#[test]
fn criterion_37_a_changed_path_rule_judges_what_is_there_and_resets_nothing() {
    let mut raw = scene(rules(false, false));
    for (rules, expected) in [
        (rules(true, false), &["0", "2"][..]),
        (rules(true, true), &["0"]),
        (rules(false, true), &["0", "1"]),
        (rules(false, false), &["0", "1", "2"]),
    ] {
        let applied = raw.speaker.apply_config(rules.clone(), raw.now).unwrap();
        raw.drain();
        assert_eq!((applied, raw.state().as_str()), (Applied::default(), "Established"));
        assert_eq!(used(&raw), expected);
        assert_eq!(raw.speaker.apply_config(rules, raw.now).unwrap(), Applied::default());
    }
}
