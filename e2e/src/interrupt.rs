//! Ctrl-C while the lab changes: everything of it is removed before the program ends. Handles nothing else.

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once the clean-up has begun: from then on nothing may be started any more.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// What a shell reports for a program ended by Ctrl-C.
const EXIT_CODE: i32 = 130;

/// From here on Ctrl-C, a hang-up and a request to terminate run `clean_up` and end the program.
/// Call it before any other thread exists: threads inherit which signals are held back.
///
/// # Errors
/// If the signals cannot be held back or the waiting thread cannot be started.
pub fn clean_up_on_interrupt(clean_up: impl FnOnce() + Send + 'static) -> Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().context("cannot hold back Ctrl-C")?;
    let waiter = move || {
        if signals.wait().is_ok() {
            STOPPED.store(true, Ordering::SeqCst);
            crate::progress::say("interrupted: removing the lab");
            clean_up();
            std::process::exit(EXIT_CODE);
        }
    };
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(waiter)
        .context("cannot start a thread")?;
    Ok(())
}

/// Called before anything is started: does not return once the clean-up has begun, since that ends the program.
pub(crate) fn hold_if_stopped() {
    while STOPPED.load(Ordering::SeqCst) && !is_waiter() {
        std::thread::park();
    }
}

fn is_waiter() -> bool {
    std::thread::current().name() == Some("interrupt")
}
