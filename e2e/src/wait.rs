//! Waits for a condition to hold, several times in a row, within a bound. Never sleeps without a condition.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How long to wait, how often to look, and how many looks in a row must succeed.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// After this long the wait fails with what was missing last.
    pub limit: Duration,
    /// Pause between two looks.
    pub pause: Duration,
    /// Looks in a row that must find the condition true.
    pub in_a_row: u32,
}

impl Patience {
    /// For what is true once and stays: one look, ten times a second.
    pub const fn once(limit: Duration) -> Self {
        Self { limit, pause: Duration::from_millis(100), in_a_row: 1 }
    }

    /// For what may still flap: three looks in a row.
    pub const fn stable(limit: Duration) -> Self {
        Self { limit, pause: Duration::from_millis(300), in_a_row: 3 }
    }
}

/// Looks until `look` has returned a value `in_a_row` times, and returns the last one.
///
/// # Errors
/// When the limit passes: names `what` and the last reason why it did not hold.
pub fn until<T>(what: &str, patience: Patience, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let mut held = 0;
    loop {
        let missing = match look() {
            Ok(value) => {
                held += 1;
                if held >= patience.in_a_row {
                    return Ok(value);
                }
                None
            }
            Err(error) => {
                held = 0;
                Some(error)
            }
        };
        if started.elapsed() >= patience.limit {
            let reason = missing
                .map_or_else(|| "it did not hold long enough".to_owned(), |error| format!("{error:#}"));
            bail!("{what}: not within {:.0} s: {reason}", patience.limit.as_secs_f64());
        }
        std::thread::sleep(patience.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Patience =
        Patience { limit: Duration::from_millis(200), pause: Duration::from_millis(1), in_a_row: 3 };

    #[test]
    fn a_condition_that_flaps_is_looked_at_until_it_holds_three_times_in_a_row() {
        let mut looks = 0;
        let value = until("flapping", QUICK, || {
            looks += 1;
            if looks == 3 {
                bail!("down again")
            }
            Ok(looks)
        });
        assert_eq!(value.ok(), Some(6));
    }

    #[test]
    fn a_wait_that_fails_names_what_was_missing_last() {
        let error = until::<()>("the moon", QUICK, || bail!("it is day")).map_err(|error| error.to_string());
        assert_eq!(error, Err("the moon: not within 0 s: it is day".to_owned()));
    }
}
