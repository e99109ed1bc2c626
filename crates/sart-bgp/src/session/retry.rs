//! When to dial again (RFC 4271 sections 8.1.1 and 10): at once, then after doubling pauses with jitter. A neighbour
//! that broke the protocol is also not listened to during the pause. Must never count anything but failures.

use core::time::Duration;

/// The first pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a failure of the protocol.
const LONGEST_PENALTY: Duration = Duration::from_secs(30);
/// A dial without an answer is repeated after this long (the shell's own time-out comes first).
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// A session that was up this long clears the record.
const PROBATION: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Retry {
    random: u64,
    failures: u32,
    plan: Plan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// Nothing planned: listening.
    Listen,
    /// Dial at that time; listen meanwhile.
    DialAt(Duration),
    /// Neither dial nor listen before that time.
    PauseUntil(Duration),
    /// Neither dial nor listen until a person steps in.
    Halt,
    /// A dial is out; repeat it at that time.
    Dialling(Duration),
}

impl Retry {
    pub(crate) const fn new(seed: u64) -> Self {
        // Zero is the one state a xorshift generator cannot leave.
        Self { random: seed | 1, failures: 0, plan: Plan::Listen }
    }

    /// Try at once.
    pub(crate) const fn now(&mut self, now: Duration) {
        self.failures = 0;
        self.plan = Plan::DialAt(now);
    }

    pub(crate) const fn forget(&mut self) {
        self.plan = Plan::Listen;
    }

    pub(crate) const fn is_dialling(&self) -> bool {
        matches!(self.plan, Plan::Dialling(_))
    }

    pub(crate) const fn is_paused(&self) -> bool {
        matches!(self.plan, Plan::PauseUntil(_) | Plan::Halt)
    }

    pub(crate) fn refuses(&self, now: Duration) -> bool {
        match self.plan {
            Plan::PauseUntil(until) => now < until,
            Plan::Halt => true,
            _ => false,
        }
    }

    pub(crate) const fn dial_answered(&mut self) {
        if self.is_dialling() {
            self.plan = Plan::Listen;
        }
    }

    /// How long the session that ends now was Established.
    pub(crate) fn ran(&mut self, established: Duration) {
        if established >= PROBATION {
            self.failures = 0;
        }
    }

    /// Neither dial nor listen until then; without a time, until [`Retry::now`].
    pub(crate) fn pause(&mut self, until: Option<Duration>) {
        self.plan = until.map_or(Plan::Halt, Plan::PauseUntil);
    }

    /// An attempt or a session ended; `longest` bounds the pause after a failure of the network. A dial that is out keeps
    /// its course.
    pub(crate) fn failed(&mut self, protocol_error: bool, longest: Duration, now: Duration) {
        if self.is_dialling() {
            return;
        }
        let longest = if protocol_error { LONGEST_PENALTY } else { longest };
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        let until = now + self.jitter().of(pause);
        self.plan = if protocol_error { Plan::PauseUntil(until) } else { Plan::DialAt(until) };
    }

    /// When something is to be done, if nobody is connected.
    pub(crate) const fn deadline(&self, dials: bool) -> Option<Duration> {
        match self.plan {
            Plan::PauseUntil(at) => Some(at),
            Plan::DialAt(at) | Plan::Dialling(at) if dials => Some(at),
            _ => None,
        }
    }

    /// The deadline has come. Whether to dial.
    pub(crate) fn fire(&mut self, dials: bool, now: Duration) -> bool {
        self.plan = if dials { Plan::Dialling(now + DIAL_TIMEOUT) } else { Plan::Listen };
        dials
    }

    /// A factor between 0.75 and 1 (RFC 4271 section 10).
    pub(crate) const fn jitter(&mut self) -> Jitter {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Jitter((self.random >> 32) as u32 % 256)
    }
}

/// A factor between 0.75 and 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jitter(u32);

impl Jitter {
    pub(crate) fn of(self, interval: Duration) -> Duration {
        interval * (768 + self.0) / 1024
    }
}
