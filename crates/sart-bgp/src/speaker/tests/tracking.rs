//! A speaker with a scripted tracker: what it is told, and when its word lets a route manager sweep.

use core::time::Duration;

use super::lab::{Lab, config, ip, local};
use crate::config::Global;
use crate::speaker::{HopChanges, HopState, SpeakerInput, SpeakerOutput};

const P: &str = "10.0.1.0/32";

/// Speaker 1 originates a prefix, speaker 2 tracks its next hop.
fn pair() -> Lab {
    let mut lab = Lab::new(11);
    lab.add(1, config(1, 65001, &[(2, 65002)]));
    let mut tracking = config(2, 65002, &[(1, 65001)]);
    tracking.global = Global { track_next_hops: true, ..tracking.global };
    lab.add(2, tracking);
    lab.update_paths(1, vec![local(P)], &[]);
    lab
}

/// What the tracker of speaker 2 was told, and which prefixes a route manager was, in order.
fn heard(lab: &Lab) -> (Vec<HopChanges>, Vec<String>) {
    let mut heard = (Vec::new(), Vec::new());
    for (_, event) in lab.events.iter().filter(|(me, _)| *me == 2) {
        match event {
            SpeakerOutput::NextHops(changes) => heard.0.push(changes.clone()),
            SpeakerOutput::BestPath(path) => heard.1.push(format!("{} {:?}", path.prefix, path.next_hops)),
            SpeakerOutput::Settled => heard.1.push("settled".to_owned()),
            _ => {}
        }
    }
    heard
}

fn tracker(lab: &mut Lab, input: SpeakerInput<'_>) {
    lab.speakers.get_mut(&2).unwrap().handle(input, lab.now);
    lab.carry();
}

#[test]
fn criterion_19_nobody_may_sweep_before_the_tracker_has_answered() {
    let mut lab = pair();
    tracker(&mut lab, SpeakerInput::TrackerUp);
    lab.run(Duration::from_secs(20));
    let begin = HopChanges { begin: vec![ip(1)], end: vec![] };
    assert_eq!(heard(&lab), (vec![begin], vec![]));
    assert_eq!(lab.speakers[&2].next_hops(), [(ip(1), HopState::Unanswered)]);
    assert!(!lab.speakers[&2].is_settled(), "the neighbor has said everything, the tracker has not");
    tracker(&mut lab, SpeakerInput::NextHops { answers: &[(ip(1), Some(4))] });
    assert_eq!(heard(&lab).1, [format!("{P} [192.0.2.1]"), "settled".to_owned()]);
    tracker(&mut lab, SpeakerInput::NextHops { answers: &[(ip(1), None)] });
    assert_eq!(heard(&lab).1.last().unwrap(), &format!("{P} []"));
}

#[test]
fn criterion_19_without_a_tracker_the_wait_for_it_ends_as_any_other() {
    let mut lab = pair();
    lab.run(Duration::from_secs(59));
    assert!(!lab.speakers[&2].is_settled());
    lab.run(Duration::from_secs(3));
    assert_eq!(heard(&lab), (vec![], vec!["settled".to_owned()]));
}

#[test]
fn a_tracker_that_was_there_before_the_configuration_is_told_everything() {
    let mut lab = pair();
    let mut fresh = crate::speaker::Speaker::new(2);
    fresh.handle(SpeakerInput::TrackerUp, lab.now);
    let mut tracking = config(2, 65002, &[(1, 65001)]);
    tracking.global = Global { track_next_hops: true, ..tracking.global };
    fresh.apply_config(tracking, lab.now).unwrap();
    lab.speakers.insert(2, fresh);
    lab.run(Duration::from_secs(20));
    assert_eq!(heard(&lab).0, [HopChanges { begin: vec![ip(1)], end: vec![] }]);
    tracker(&mut lab, SpeakerInput::TrackerDown);
    tracker(&mut lab, SpeakerInput::TrackerUp);
    assert_eq!(heard(&lab).0.len(), 2, "the next one is told everything again");
}
