//! Ctrl-C while the lab changes: everything of it is removed before the program ends. Must never hold signals back:
//! a mask is inherited by every program the lab starts (signal(7)), which could then not be ended.

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once the clean-up has begun: from then on nothing may be started any more.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// What a shell reports for a program ended by Ctrl-C.
const EXIT_CODE: i32 = 130;

/// From here on Ctrl-C, a hang-up and a request to terminate run `clean_up` and end the program. They are handled, not
/// masked: exec(2) gives a started program the default again.
///
/// # Errors
/// If the signals cannot be handled or the waiting thread cannot be started.
pub fn clean_up_on_interrupt(clean_up: impl FnOnce() + Send + 'static) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot handle Ctrl-C")?;
    let waiter = move || {
        if signals.forever().next().is_some() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec;
    use std::process::Command;

    /// The lab's programs once had SIGTERM blocked and outlived every `timeout`.
    #[test]
    fn what_is_started_while_ctrl_c_is_handled_can_be_ended() {
        clean_up_on_interrupt(|| {}).unwrap();
        let status = exec::stdout(Command::new("cat").arg("/proc/self/status")).unwrap();
        for held_back in ["SigBlk:", "SigIgn:"] {
            let line = status.lines().find(|line| line.starts_with(held_back)).unwrap();
            let mask = u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap();
            let ours = [SIGINT, SIGTERM, SIGHUP].map(|signal| 1_u64 << (signal - 1)).iter().sum::<u64>();
            assert_eq!(mask & ours, 0, "{line}");
        }
    }
}
