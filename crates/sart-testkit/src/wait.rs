//! Waiting for a condition. Must never be a bare sleep: it returns as soon as the condition holds.

use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `look` gives something.
///
/// # Errors
/// After `limit`, with `what` and the last error of `look`.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        let last = match look() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => String::new(),
            Err(error) => format!(": {error:#}"),
        };
        anyhow::ensure!(start.elapsed() < limit, "waited {limit:?} in vain for {what}{last}");
        sleep(PAUSE);
    }
}

/// Waits until `look` gives `wanted`, and again for all of `stable`.
///
/// # Errors
/// After `limit` in sum, with the last value seen.
pub fn wait_for_eq_stable<T: PartialEq + Debug>(
    what: &str,
    wanted: &T,
    (limit, stable): (Duration, Duration),
    mut look: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut since = None;
    loop {
        let seen = look();
        match (&seen, since) {
            (Ok(seen), None) if seen == wanted => since = Some(Instant::now()),
            (Ok(seen), Some(since)) if seen == wanted && since.elapsed() >= stable => return Ok(()),
            (Ok(seen), Some(_)) if seen == wanted => {}
            _ => since = None,
        }
        anyhow::ensure!(
            start.elapsed() < limit,
            "waited {limit:?} in vain for {what} = {wanted:?}, saw {seen:?}"
        );
        sleep(PAUSE);
    }
}
