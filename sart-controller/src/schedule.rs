//! When each key is planned next: at once after a change, later after a failure, once for many reports. Pure; time comes in.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::key::Key;

/// First pause after a failed write; doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between attempts.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Reports of many nodes about one advertisement are folded into one write: it waits for this much quiet…
const QUIET: Duration = Duration::from_millis(1200);
/// …but never longer than this. Nothing but the status for people waits for it.
const LONGEST_FOLD: Duration = Duration::from_secs(5);

/// Folded writes under way at once: a report of many prefixes must not come down on the API server as one burst, in front
/// of what people wait for.
const FOLDS_AT_ONCE: usize = 1;

/// What waits, what runs, what failed.
#[derive(Debug, Default)]
pub struct Schedule {
    due: BTreeMap<Key, Duration>,
    folds: BTreeMap<Key, Fold>,
    /// The folds by the time they are due.
    folds_due: BTreeSet<(Duration, Key)>,
    running: BTreeSet<Key>,
    failures: BTreeMap<Key, u32>,
}

/// Reports being folded into one write.
#[derive(Clone, Copy, Debug)]
struct Fold {
    since: Duration,
    due: Duration,
}

impl Schedule {
    /// Something a key depends on changed.
    pub fn touch(&mut self, key: Key, now: Duration) {
        if is_folded(&key) {
            let since = self.folds.get(&key).map_or(now, |fold| fold.since);
            self.fold(key, Fold { since, due: (now + QUIET).min(since + LONGEST_FOLD) });
        } else {
            self.due.insert(key, now);
        }
    }

    /// The key is planned at this time, if nothing brings it up earlier.
    pub fn later(&mut self, key: Key, at: Duration) {
        let due = self.due.entry(key).or_insert(at);
        *due = at.min(*due);
    }

    /// Keys to plan now, in order; keys whose writes still run stay. Of the folded ones only the longest overdue come, and
    /// none while enough of them are being written.
    pub fn ready(&mut self, now: Duration) -> Vec<Key> {
        let is_ready = |(key, at): &(&Key, &Duration)| **at <= now && !self.running.contains(*key);
        let mut ready: Vec<Key> = self.due.iter().filter(is_ready).map(|(key, _)| key.clone()).collect();
        for key in &ready {
            self.due.remove(key);
        }
        let folds = self.folds_due.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key);
        let folds = folds.filter(|key| !self.running.contains(*key)).take(self.room_for_folds());
        let folds: Vec<Key> = folds.cloned().collect();
        for key in &folds {
            self.unfold(key);
        }
        ready.extend(folds);
        ready
    }

    fn fold(&mut self, key: Key, fold: Fold) {
        self.unfold(&key);
        self.folds_due.insert((fold.due, key.clone()));
        self.folds.insert(key, fold);
    }

    fn unfold(&mut self, key: &Key) {
        if let Some(fold) = self.folds.remove(key) {
            self.folds_due.remove(&(fold.due, key.clone()));
        }
    }

    fn room_for_folds(&self) -> usize {
        let running = self.running.iter().filter(|key| is_folded(key)).count();
        FOLDS_AT_ONCE.saturating_sub(running)
    }

    /// Writes of the key began.
    pub fn begin(&mut self, key: Key) {
        self.running.insert(key);
    }

    /// Writes of the key ended; it is planned again, at once or after a pause. `jitter` is in 0..1.
    pub fn end(&mut self, key: Key, succeeded: bool, now: Duration, jitter: f64) {
        self.running.remove(&key);
        let due = if succeeded {
            self.failures.remove(&key);
            now
        } else {
            let failures = self.failures.entry(key.clone()).or_default();
            let pause = pause(*failures, jitter);
            *failures += 1;
            now + pause
        };
        if is_folded(&key) {
            let since = self.folds.get(&key).map_or(now, |fold| fold.since);
            self.fold(key, Fold { since, due });
        } else {
            self.due.insert(key, due);
        }
    }

    /// Nothing of the key runs or waits any more: it is planned as new when it comes back.
    pub fn forget_failures(&mut self, key: &Key) {
        self.failures.remove(key);
    }

    /// When the next key is due.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        let waits = |key: &Key| !self.running.contains(key);
        let due = self.due.iter().filter(|(key, _)| waits(key)).map(|(_, at)| *at).min();
        let folds = self.folds_due.iter().filter(|(_, key)| waits(key)).take(self.room_for_folds());
        due.into_iter().chain(folds.map(|(at, _)| *at)).min()
    }
}

/// Only people wait for the result.
fn is_folded(key: &Key) -> bool {
    matches!(key, Key::Advertisement(_))
}

/// Half to all of the doubled pause, so that many keys do not return together.
fn pause(failures: u32, jitter: f64) -> Duration {
    let full = MIN_PAUSE.saturating_mul(1 << failures.min(16)).min(MAX_PAUSE);
    full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Name;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_change_is_planned_at_once_but_not_while_its_writes_run() {
        let mut schedule = Schedule::default();
        schedule.touch(Key::Pools, ms(1));
        assert_eq!(schedule.ready(ms(1)), [Key::Pools]);
        schedule.begin(Key::Pools);
        schedule.touch(Key::Pools, ms(2));
        assert!(schedule.ready(ms(2)).is_empty() && schedule.next().is_none());
        schedule.end(Key::Pools, true, ms(3), 0.0);
        assert_eq!(schedule.ready(ms(3)), [Key::Pools]);
    }

    #[test]
    fn failures_pause_longer_each_time_up_to_a_bound_and_success_resets() {
        let mut schedule = Schedule::default();
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            schedule.end(Key::Pools, false, ms(0), 1.0);
            let next = schedule.next().unwrap();
            assert!(next >= last && next <= MAX_PAUSE);
            last = next;
        }
        assert_eq!(last, MAX_PAUSE);
        schedule.end(Key::Pools, true, ms(0), 0.0);
        schedule.end(Key::Pools, false, ms(0), 0.0);
        assert_eq!(schedule.next(), Some(MIN_PAUSE / 2));
    }

    #[test]
    fn reports_about_one_advertisement_fold_into_one_plan_within_a_bound() {
        let key = Key::Advertisement(Name::new("a", "b"));
        let mut schedule = Schedule::default();
        for at in (0..10_000).step_by(500) {
            schedule.touch(key.clone(), ms(at));
            if !schedule.ready(ms(at)).is_empty() {
                assert_eq!(ms(at), LONGEST_FOLD);
                return;
            }
        }
        panic!("never planned");
    }
    #[test]
    fn folded_writes_run_one_at_a_time_the_longest_overdue_first_and_hold_nothing_else_up() {
        let key = |name: &str| Key::Advertisement(Name::new("a", name));
        let mut schedule = Schedule::default();
        for (at, name) in [(0, "z"), (1, "y"), (2, "x")] {
            schedule.touch(key(name), ms(at));
        }
        let late = ms(9000);
        assert_eq!(schedule.ready(late), [key("z")]);
        schedule.begin(key("z"));
        assert!(schedule.ready(late).is_empty() && schedule.next().is_none());
        schedule.touch(Key::Pools, late);
        assert_eq!(schedule.ready(late), [Key::Pools]);
        schedule.end(key("z"), true, late, 0.0);
        assert_eq!(schedule.ready(late), [key("y")]);
        assert_eq!(schedule.next(), Some(QUIET + ms(2)), "one that wrote nothing leaves its place at once");
        assert_eq!(schedule.ready(late), [key("x")]);
        assert_eq!(schedule.ready(late), [key("z")], "planned again after its write");
        assert!(schedule.ready(late).is_empty() && schedule.next().is_none());
    }
}
