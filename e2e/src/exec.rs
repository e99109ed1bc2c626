//! Runs programs of the host and says what they said when they fail. Keeps no process beyond its call.

use crate::interrupt::hold_if_stopped;
use anyhow::{Context as _, Result, bail};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// What a failed program must not hide, but a person does not want by the page.
const TAIL: usize = 2000;

/// The command as a person would type it, for messages.
pub fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    let mut line = words.join(" ");
    if line.len() > 300 {
        line.truncate(line.floor_char_boundary(300));
        line.push('…');
    }
    line
}

/// Runs the command and returns its stdout.
///
/// # Errors
/// If it cannot be started or ends other than 0; the message carries its stderr.
pub fn stdout(command: &mut Command) -> Result<String> {
    hold_if_stopped();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    checked(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the command for its effect.
///
/// # Errors
/// As [`stdout`].
pub fn run(command: &mut Command) -> Result<()> {
    stdout(command).map(drop)
}

/// Runs the command with `input` as its stdin and returns its stdout.
///
/// # Errors
/// As [`stdout`], and if the input cannot be delivered.
pub fn feed(command: &mut Command, input: &str) -> Result<String> {
    hold_if_stopped();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(input.as_bytes())
            .with_context(|| format!("`{}` did not read its input", shown(command)))?;
    }
    let output = child.wait_with_output().with_context(|| format!("lost `{}`", shown(command)))?;
    checked(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the command on this terminal and returns its exit code.
///
/// # Errors
/// If it cannot be started.
pub fn interactive(command: &mut Command) -> Result<u8> {
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn checked(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr.as_slice(), output.stdout.as_slice()]
        .into_iter()
        .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| "it said nothing".to_owned());
    let start = said.ceil_char_boundary(said.len().saturating_sub(TAIL));
    bail!("`{}` failed ({}): {}", shown(command), output.status, said.get(start..).unwrap_or(&said));
}
