//! The daemon starts itself again with the allocator's setting, and is the same process to whoever started it.

use std::process::Command;

use sart_testkit::{Process, wait_for};

use crate::fixture::LIMIT;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sart-bgpd");

/// What `/proc/<pid>/<file>` of a daemon says that serves its API; strings in it end with NUL.
fn served_with(own: Option<&str>, files: [&str; 3]) -> [Vec<String>; 3] {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bgpd.sock");
    let mut command = Command::new(PROGRAM);
    command.arg("--api").arg(&socket).env_remove("GLIBC_TUNABLES");
    command.envs(own.map(|value| ("MALLOC_MMAP_THRESHOLD_", value)));
    let process = Process::start(command, &folder.path().join("bgpd.log")).unwrap();
    wait_for("the socket", LIMIT, || Ok(socket.exists().then_some(()))).unwrap();
    files.map(|file| {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", process.id())).unwrap();
        text.trim().split_terminator('\0').map(str::to_owned).collect()
    })
}

#[test]
fn the_daemon_is_the_process_that_was_started_and_its_allocator_is_told() {
    let [environment, name, arguments] = served_with(None, ["environ", "comm", "cmdline"]);
    let told = |variable: &&String| variable.starts_with("MALLOC_MMAP_THRESHOLD_=");
    assert_eq!(environment.iter().filter(told).collect::<Vec<_>>(), ["MALLOC_MMAP_THRESHOLD_=131072"]);
    assert_eq!(name, ["sart-bgpd"]);
    assert_eq!((arguments[0].as_str(), arguments[1].as_str(), arguments.len()), (PROGRAM, "--api", 3));
}

#[test]
fn an_operators_own_setting_of_the_allocator_stays() {
    let [environment, ..] = served_with(Some("4096"), ["environ", "comm", "cmdline"]);
    assert!(environment.contains(&String::from("MALLOC_MMAP_THRESHOLD_=4096")), "{environment:?}");
    assert!(!environment.iter().any(|variable| variable.starts_with("SART_BGPD_")), "{environment:?}");
}
