//! Runs one external command with its output passed through, and turns a failure into one clear sentence.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::source;

/// A command that starts in the workspace root.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(source::root());
    command
}

/// Runs it to its end; an error names the program, its arguments and the exit status.
pub fn checked(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("start `{shown}` (is it installed?)"))?;
    anyhow::ensure!(status.success(), "`{shown}` ended with {status}");
    Ok(())
}

/// As [`checked`], but what still runs after `limit` is ended with everything it started: a test that hangs must fail,
/// not hold up all that waits for the result.
pub fn checked_within(command: &mut Command, limit: Duration) -> anyhow::Result<()> {
    let shown = shown(command);
    let mut child =
        command.process_group(0).spawn().with_context(|| format!("start `{shown}` (is it installed?)"))?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().with_context(|| format!("wait for `{shown}`"))? {
            anyhow::ensure!(status.success(), "`{shown}` ended with {status}");
            return Ok(());
        }
        if started.elapsed() > limit {
            end_group(&mut child).with_context(|| format!("end `{shown}`"))?;
            anyhow::bail!("`{shown}` still ran after {} s and was ended", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn end_group(child: &mut Child) -> anyhow::Result<()> {
    killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

/// Runs it and returns its standard output.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("start `{shown}` (is it installed?)"))?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "`{shown}` ended with {}: {}", output.status, errors.trim());
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed something that is not UTF-8"))
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_in_time_is_judged_by_its_status() {
        let limit = Duration::from_secs(60);
        checked_within(&mut command("true", &[]), limit).unwrap();
        let error = checked_within(&mut command("false", &[]), limit).unwrap_err();
        assert!(error.to_string().contains("exit status: 1"), "{error}");
    }

    #[test]
    fn what_hangs_is_ended_with_its_children_and_named() {
        let file = std::env::temp_dir().join(format!("xtask-hangs-{}", std::process::id()));
        let script = "sleep 600 & echo $! > $0; wait";
        let mut hanging = command("sh", &["-c", script, &file.to_string_lossy()]);
        let error = checked_within(&mut hanging, Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("still ran"), "{error}");
        let child = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        // It dies in its own time, and whoever adopted it reaps it in theirs.
        let gone = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        let patience = Instant::now() + Duration::from_secs(30);
        while !gone() {
            assert!(Instant::now() < patience, "the child outlives the command that was ended");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
