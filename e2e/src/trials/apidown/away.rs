//! A program of the lab that stands still or is dead for a while. What brings it back waits for the end of this program's
//! pipe in a process of its own: whatever becomes of the trial, and were it SIGKILL, it comes back.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::exec;
use crate::lab::layout::{Layout, MARK};
use crate::lab::machine::Machine;
use crate::lab::process::Process;
use crate::wait::{Patience, until};

/// Both what waits and what it starts are done at once.
const AT_ONCE: Patience = Patience::once(Duration::from_secs(20));

/// Until [`Away::over`], or the end of this.
#[derive(Debug)]
pub(super) struct Away {
    process: Process,
    what: String,
    back: Child,
}

impl Away {
    /// Makes a process stand still: who asks it waits.
    pub(super) fn still(layout: &Layout, process: Process) -> Result<Self> {
        let mut thaw = Command::new("sh");
        thaw.args(["-c", "read -r _; kill -CONT \"$1\"", "thaw", &process.pid.to_string()]);
        thaw.env(MARK, layout.root());
        let away = Self { process, what: process.command(), back: waiting(thaw)? };
        away.signal(Signal::SIGSTOP)?;
        until(&format!("{} stands still", away.short()), AT_ONCE, || {
            ensure!(process.stands_still(), "it runs");
            Ok(())
        })?;
        Ok(away)
    }

    /// Kills a daemon of the machine: who asks it is refused. It is started again with the arguments it had.
    pub(super) fn dead(machine: &Machine, name: &str) -> Result<Self> {
        let process = daemon(machine, name)?;
        let what = process.command();
        let words: Vec<String> = what.split(' ').map(str::to_owned).collect();
        let (program, args) = words.split_first().with_context(|| format!("{name} has no command line"))?;
        let back = waiting(machine.daemon_later(name, &PathBuf::from(program), args))?;
        let away = Self { process, what, back };
        away.signal(Signal::SIGKILL)?;
        until(&format!("{name} is dead"), AT_ONCE, || {
            ensure!(!process.is_alive(), "it lives");
            Ok(())
        })?;
        Ok(away)
    }

    /// An error if it has not been away all the time.
    pub(super) fn is_away(&self) -> Result<()> {
        let away = self.process.stands_still() || !self.process.is_alive();
        ensure!(away, "{} ran although it was to be away", self.short());
        Ok(())
    }

    /// Brings it back.
    pub(super) fn over(mut self) -> Result<()> {
        drop(self.back.stdin.take());
        until(&format!("{} is brought back", self.short()), AT_ONCE, || match self.back.try_wait()? {
            None => bail!("not yet"),
            Some(status) => Ok(status),
        })
        .and_then(|status| {
            ensure!(status.success(), "{} was not brought back: {status}", self.short());
            Ok(())
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.process.pid), signal)
            .with_context(|| format!("send {signal} to {}", self.short()))
    }

    fn short(&self) -> &str {
        self.what.split(' ').next().unwrap_or_default()
    }
}

/// A daemon that the lab started on a machine.
pub(super) fn daemon(machine: &Machine, name: &str) -> Result<Process> {
    let is_it = |process: &Process| {
        process.command().split(' ').next().is_some_and(|path| path.ends_with(&format!("/{name}")))
    };
    let found = machine.processes().into_iter().find(is_it);
    found.with_context(|| format!("no {name} runs on {}", machine.name))
}

/// In a process group of its own: Ctrl-C is for us, and it must outlive us.
fn waiting(mut command: Command) -> Result<Child> {
    crate::interrupt::hold_if_stopped();
    let shown = exec::shown(&command);
    command.process_group(0).stdin(Stdio::piped()).spawn().with_context(|| format!("cannot start `{shown}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ended = self.0.kill();
            let _reaped = self.0.wait();
        }
    }

    fn sleeper() -> (Sleeper, Process) {
        let child = Sleeper(Command::new("sleep").arg("600").spawn().unwrap());
        let process = Process::of(child.0.id().cast_signed()).unwrap();
        (child, process)
    }

    fn goes_on(process: Process) {
        until("it goes on", AT_ONCE, || {
            ensure!(process.is_alive() && !process.stands_still(), "it stands still");
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn what_stands_still_goes_on_when_it_is_over_and_when_the_trial_ends_in_any_other_way() {
        let layout = Layout::new(std::path::Path::new("/nonexistent"));
        let (_ended, process) = sleeper();
        let away = Away::still(&layout, process).unwrap();
        away.is_away().unwrap();
        away.over().unwrap();
        goes_on(process);
        // Nothing is called here: as when the trial ends by an error, and the pipe closes as when it is killed.
        drop(Away::still(&layout, process).unwrap());
        goes_on(process);
    }

    #[test]
    fn what_runs_meanwhile_was_not_away() {
        let layout = Layout::new(std::path::Path::new("/nonexistent"));
        let (_ended, process) = sleeper();
        let away = Away::still(&layout, process).unwrap();
        away.signal(Signal::SIGCONT).unwrap();
        goes_on(process);
        assert!(away.is_away().is_err());
    }
}
