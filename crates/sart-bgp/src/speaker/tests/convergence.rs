//! Speakers that talk to each other end up with the right tables, whatever the link does.

use core::time::Duration;

use proptest::prelude::*;

use super::lab::{Lab, config, ip, local};
use crate::session::SessionState;
use crate::speaker::SpeakerOutput;

fn pair(seed: u64) -> Lab {
    let mut lab = Lab::new(seed);
    lab.add(1, config(1, 65001, &[(2, 65002)]));
    lab.add(2, config(2, 65002, &[(1, 65001)]));
    lab
}

#[test]
fn two_speakers_that_dial_each_other_end_with_one_session_and_no_flap() {
    let mut lab = pair(3);
    lab.run(Duration::from_secs(10));
    for (me, peer) in [(1, 2), (2, 1)] {
        let view = lab.speakers[&me].neighbor(ip(peer), lab.now).unwrap();
        assert_eq!((view.state, view.flaps), (SessionState::Established, 0), "{:?}", view.last_error);
    }
}

#[test]
fn own_paths_arrive_and_leave_and_an_end_of_rib_follows_the_first_ones() {
    let mut lab = pair(5);
    lab.update_paths(1, vec![local("10.0.1.0/32"), local("10.0.1.1/32")], &[]);
    lab.run(Duration::from_secs(10));
    assert_eq!(lab.table(2), ["10.0.1.0/32", "10.0.1.1/32"]);
    let marked =
        |(me, event): &(u8, SpeakerOutput)| *me == 2 && matches!(event, SpeakerOutput::EndOfRib { .. });
    assert!(lab.events.iter().any(marked));
    assert!(lab.speakers[&2].is_settled());
    lab.update_paths(1, vec![], &["10.0.1.0/32"]);
    lab.carry();
    assert_eq!(lab.table(2), ["10.0.1.1/32"]);
}

#[test]
fn a_session_stays_up_over_an_hour_of_silence_but_for_keepalives() {
    let mut lab = pair(9);
    lab.run(Duration::from_secs(3600));
    let view = lab.speakers[&1].neighbor(ip(2), lab.now).unwrap();
    assert_eq!((view.state, view.flaps), (SessionState::Established, 0));
    assert!(view.sent.keepalive >= 120 && view.sent.keepalive < 200, "{}", view.sent.keepalive);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn two_speakers_on_a_lossy_link_converge_once_it_is_whole(
        seed in any::<u64>(),
        dial_loss in 0u64..4,
        send_loss in 3u64..12,
        changes in proptest::collection::vec((1u8..=2, 0u8..6, any::<bool>()), 1..20),
    ) {
        let mut lab = pair(seed);
        (lab.dial_loss, lab.send_loss) = (if dial_loss == 1 { 2 } else { dial_loss }, send_loss);
        let mut expected = std::collections::BTreeSet::new();
        for (me, prefix, present) in changes {
            let name = format!("10.{me}.{prefix}.0/24");
            if present {
                lab.update_paths(me, vec![local(&name)], &[]);
                expected.insert(name);
            } else {
                lab.update_paths(me, vec![], &[&name]);
                expected.remove(&name);
            }
            lab.run(Duration::from_secs(2));
        }
        (lab.dial_loss, lab.send_loss) = (0, 0);
        lab.run(Duration::from_secs(200));
        let expected: Vec<_> = expected.into_iter().collect();
        prop_assert_eq!(lab.table(1), expected.clone());
        prop_assert_eq!(lab.table(2), expected);
    }
}
