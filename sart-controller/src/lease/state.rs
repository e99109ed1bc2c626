//! The election as a state machine: what to do with the Lease we see, and until when we may call ourselves leader.
//!
//! Clocks of other machines are never compared: a Lease expires when it did not change for its duration on our own clock.

use core::time::Duration;

/// Durations of the election; `renew` < `lease`.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long a Lease holds without renewal.
    pub lease: Duration,
    /// How long after its last renewal a leader still writes.
    pub renew: Duration,
    /// Pause between looks.
    pub retry: Duration,
}

/// A Lease as read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Its resource version.
    pub version: String,
    /// Who holds it.
    pub holder: Option<String>,
    /// How long it holds.
    pub duration: Duration,
}

/// What to do with the Lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Someone else holds it.
    Wait,
    /// There is none.
    Create,
    /// It is ours, given back, or expired: write our name on the version we saw.
    Take,
}

/// One candidate.
#[derive(Debug)]
pub struct Elector {
    identity: String,
    terms: Terms,
    last: Option<(Seen, Duration)>,
    leads_until: Option<Duration>,
}

impl Elector {
    /// A candidate that knows nothing.
    #[must_use]
    pub fn new(identity: String, terms: Terms) -> Self {
        Self { identity, terms, last: None, leads_until: None }
    }

    /// Decides about the Lease seen at `now`.
    pub fn look(&mut self, seen: Option<Seen>, now: Duration) -> Step {
        let Some(seen) = seen else {
            self.last = None;
            return Step::Create;
        };
        let unchanged = self.last.as_ref().filter(|(last, _)| *last == seen);
        let since = unchanged.map_or(now, |(_, since)| *since);
        let step = self.judge(&seen, now.saturating_sub(since));
        if step == Step::Wait {
            self.leads_until = None;
        }
        self.last = Some((seen, since));
        step
    }

    fn judge(&self, seen: &Seen, age: Duration) -> Step {
        match &seen.holder {
            None => Step::Take,
            Some(holder) if *holder == self.identity => Step::Take,
            Some(_) if age > seen.duration => Step::Take,
            Some(_) => Step::Wait,
        }
    }

    /// Our write succeeded: it was sent at `sent` and answered at `now`. Leadership counts from the sending, because the
    /// others' clocks may have started any time after it.
    pub fn won(&mut self, seen: &Seen, sent: Duration, now: Duration) {
        self.last = Some((seen.clone(), now));
        self.leads_until = Some(sent + self.terms.renew);
    }

    /// Until when we may write.
    #[must_use]
    pub fn leads_until(&self) -> Option<Duration> {
        self.leads_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms =
        Terms { lease: Duration::from_secs(5), renew: Duration::from_secs(3), retry: Duration::from_secs(1) };

    fn seen(version: u64, holder: Option<&str>) -> Seen {
        Seen { version: version.to_string(), holder: holder.map(str::to_owned), duration: TERMS.lease }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_free_lease_is_taken_and_another_ones_is_waited_for() {
        let mut me = Elector::new("me".into(), TERMS);
        assert_eq!(me.look(None, at(0)), Step::Create);
        assert_eq!(me.look(Some(seen(1, None)), at(0)), Step::Take);
        assert_eq!(me.look(Some(seen(2, Some("you"))), at(0)), Step::Wait);
        assert_eq!(me.look(Some(seen(2, Some("you"))), at(5)), Step::Wait);
        assert_eq!(me.look(Some(seen(2, Some("you"))), at(6)), Step::Take);
    }

    #[test]
    fn a_renewed_lease_starts_its_time_again() {
        let mut me = Elector::new("me".into(), TERMS);
        me.look(Some(seen(2, Some("you"))), at(0));
        assert_eq!(me.look(Some(seen(3, Some("you"))), at(5)), Step::Wait);
        assert_eq!(me.look(Some(seen(3, Some("you"))), at(9)), Step::Wait);
        assert_eq!(me.look(Some(seen(3, Some("you"))), at(11)), Step::Take);
    }

    #[test]
    fn an_old_leader_stops_before_a_new_one_may_start() {
        let (mut old, mut new) = (Elector::new("old".into(), TERMS), Elector::new("new".into(), TERMS));
        let held = seen(7, Some("old"));
        old.won(&held, at(10), at(11));
        let mut taken = None;
        for second in 10..30 {
            if new.look(Some(held.clone()), at(second)) == Step::Take {
                taken = Some(at(second));
                break;
            }
        }
        assert!(old.leads_until().unwrap() < taken.unwrap());
    }

    #[test]
    fn a_leader_that_sees_another_holder_stops_at_once() {
        let mut me = Elector::new("me".into(), TERMS);
        me.won(&seen(1, Some("me")), at(0), at(0));
        assert_eq!(me.look(Some(seen(2, Some("you"))), at(1)), Step::Wait);
        assert_eq!(me.leads_until(), None);
    }
}
