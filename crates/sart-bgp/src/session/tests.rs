//! The rules of a session that need no conversation; conversations are tested in `speaker`.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::Direction;
use super::collision::new_loses;
use super::retry::Retry;

#[test]
fn equal_router_ids_leave_the_choice_to_the_higher_as_number() {
    let id = Ipv4Addr::new(10, 0, 0, 1);
    for (ours, theirs, survivor) in [(2, 1, Direction::Outbound), (1, 2, Direction::Inbound)] {
        for new in [Direction::Inbound, Direction::Outbound] {
            assert_eq!(new_loses((id, ours), (id, theirs), new, false), new != survivor);
            assert!(new_loses((id, ours), (id, theirs), new, true), "an Established one always stays");
        }
    }
}

#[test]
fn jitter_stays_between_three_quarters_and_the_whole_and_differs_between_seeds() {
    let interval = Duration::from_secs(64);
    let draw = |seed| {
        let mut retry = Retry::new(seed);
        (0..200).map(|_| retry.jitter().of(interval)).collect::<Vec<_>>()
    };
    assert!(draw(1).iter().all(|drawn| (48..=64).contains(&drawn.as_secs())));
    assert_ne!(draw(1), draw(3));
}

/// So a neighbor that is back is dialled after a third more than it was away, and a second, at most: the last pause is
/// twice the one before, and each is at least three quarters of its length.
#[test]
fn the_pauses_between_dials_double_from_a_second_up_to_the_longest() {
    for seed in 0..100 {
        let (mut retry, mut now) = (Retry::new(seed), Duration::ZERO);
        retry.now(now);
        for whole in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(retry.deadline(true), Some(now));
            assert!(retry.fire(true, now));
            retry.dial_answered();
            retry.failed(false, Duration::from_secs(30), now);
            let next = retry.deadline(true).unwrap();
            let whole = Duration::from_secs(whole);
            assert!((whole * 3 / 4..=whole).contains(&(next - now)), "{:?} of {whole:?}", next - now);
            now = next;
        }
    }
}
