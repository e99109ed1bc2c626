//! The daemon starts itself again with the allocator's setting, and is the same process to whoever started it.

use std::process::Command;

use sart_testkit::{Process, wait_for};

use crate::fixture::LIMIT;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sart-bgpd");

/// Environment, name and arguments of a daemon that serves its API, started with `own` as the operator's setting.
fn served_with(own: Option<&str>) -> [Vec<String>; 3] {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bgpd.sock");
    let mut command = Command::new(PROGRAM);
    command.arg("--api").arg(&socket).env_remove("GLIBC_TUNABLES");
    command.envs(own.map(|value| ("MALLOC_MMAP_THRESHOLD_", value)));
    let process = Process::start(command, &folder.path().join("bgpd.log")).unwrap();
    wait_for("the socket", LIMIT, || Ok(socket.exists().then_some(()))).unwrap();
    // Strings in these files end with NUL (proc_pid_environ(5), proc_pid_cmdline(5)).
    ["environ", "comm", "cmdline"].map(|file| {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", process.id())).unwrap();
        text.trim().split_terminator('\0').map(str::to_owned).collect()
    })
}

#[test]
fn the_daemon_is_the_process_that_was_started_and_its_allocator_is_told() {
    let [environment, name, arguments] = served_with(None);
    let told = |variable: &&String| variable.starts_with("MALLOC_MMAP_THRESHOLD_=");
    assert_eq!(environment.iter().filter(told).collect::<Vec<_>>(), ["MALLOC_MMAP_THRESHOLD_=131072"]);
    assert_eq!(name, ["sart-bgpd"]);
    assert_eq!((arguments[0].as_str(), arguments[1].as_str(), arguments.len()), (PROGRAM, "--api", 3));
}

#[test]
fn an_operators_own_setting_of_the_allocator_stays() {
    let [environment, ..] = served_with(Some("4096"));
    assert!(environment.contains(&String::from("MALLOC_MMAP_THRESHOLD_=4096")), "{environment:?}");
    assert!(!environment.iter().any(|variable| variable.starts_with("SART_BGPD_")), "{environment:?}");
}
