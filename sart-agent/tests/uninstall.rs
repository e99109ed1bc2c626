//! `sart-agent uninstall-cni` on real folders, as a person or a cleaning pod runs it on a node.

#![expect(clippy::unwrap_used, reason = "a test fails at its failed step")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn uninstall(root: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sart-agent"))
        .arg("uninstall-cni")
        .arg("--binaries")
        .arg(root.join("bin"))
        .arg("--configurations")
        .arg(root.join("net.d"))
        .output()
        .unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn uninstalling_takes_our_files_and_nobody_elses_and_may_be_repeated() {
    let root = tempfile::tempdir().unwrap();
    let files = [
        "bin/sart-cni",
        "bin/.sart-cni.previous",
        "bin/portmap",
        "net.d/10-sart.conflist",
        "net.d/.10-sart.conflist.sart-new",
        "net.d/20-other.conflist",
    ];
    for file in files.map(|file| root.path().join(file)) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "text").unwrap();
    }
    for _ in 0..2 {
        let output = uninstall(root.path());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(names(&root.path().join("bin")), ["portmap"]);
        assert_eq!(names(&root.path().join("net.d")), ["20-other.conflist"]);
    }
}

#[test]
fn a_node_without_the_folders_has_nothing_to_uninstall() {
    let root = tempfile::tempdir().unwrap();
    let output = uninstall(root.path());
    assert!(output.status.success(), "{output:?}");
    assert!(names(root.path()).is_empty(), "nothing is made either");
}

#[test]
fn what_cannot_be_removed_ends_with_one_and_its_name_and_the_plugin_stays_usable() {
    let root = tempfile::tempdir().unwrap();
    // A folder in the configuration's place: removing it is EISDIR, also for root.
    fs::create_dir_all(root.path().join("net.d/10-sart.conflist")).unwrap();
    fs::create_dir_all(root.path().join("bin")).unwrap();
    fs::write(root.path().join("bin/sart-cni"), "plugin").unwrap();
    let output = uninstall(root.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("10-sart.conflist"), "{output:?}");
    assert_eq!(names(&root.path().join("bin")), ["sart-cni"], "a configuration stands: so does its plugin");
}
