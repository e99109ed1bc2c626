//! What this machine holds of the things a lab is made of, as sorted lines: equal before `up` and after `down`.
//! Only looks; a program that is missing makes its lines missing, on both sides of a comparison.

use crate::exec;
use crate::lab::cgroup;
use crate::lab::process;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Folders outside `target/` that the programs of a lab would write to by themselves.
const WATCHED: [&str; 12] = [
    "/etc/cni",
    "/etc/frr",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/frr",
    "/run/netns",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/pods",
    "/var/tmp",
];

/// One line per thing, `kind rest`, sorted. What stands in `target`, the checkout's, may stay there: a checkout can lie below
/// a folder that is watched.
pub fn take(target: &Path) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let mut add = |kind: &str, things: Vec<String>| {
        lines.extend(things.into_iter().map(|thing| format!("{kind} {thing}")))
    };
    add("process", processes());
    add("namespace", namespaces());
    add("mount", mounts());
    add("cgroup", cgroups());
    add(
        "link",
        rows(Command::new("ip").args(["-o", "link", "show"]), |row| {
            row.split(" mtu ").next().map(str::to_owned)
        }),
    );
    add("address", rows(Command::new("ip").args(["-o", "addr", "show"]), address));
    add(
        "route",
        rows(Command::new("ip").args(["route", "show", "table", "all"]), |row| Some(row.to_owned())),
    );
    add(
        "route6",
        rows(Command::new("ip").args(["-6", "route", "show", "table", "all"]), |row| Some(row.to_owned())),
    );
    add("rule", rows(Command::new("ip").args(["rule", "show"]), |row| Some(row.to_owned())));
    add(
        "bpf",
        rows(Command::new("bpftool").args(["prog", "show"]), |row| {
            row.contains("name ").then(|| row.to_owned())
        }),
    );
    add(
        "bpf-link",
        rows(Command::new("bpftool").args(["link", "show"]), |row| {
            row.contains(": ").then(|| row.to_owned())
        }),
    );
    add("nft", rows(Command::new("nft").args(["list", "tables"]), |row| Some(row.to_owned())));
    add("file", files(&WATCHED, target));
    lines
}

/// The lines that only one side has: `- ` for what went, `+ ` for what came.
pub fn difference(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<String> {
    let gone = before.difference(after).map(|line| format!("- {line}"));
    let new = after.difference(before).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

/// Those without a parent but the first process: what somebody left behind is always among them, while what other people
/// run and wait for (a compiler, say) is not.
fn processes() -> Vec<String> {
    let spared = process::ourselves();
    let mut counted = BTreeMap::<String, usize>::new();
    let orphans = process::all().into_iter().filter(|process| process.parent() == Some(1));
    for process in orphans.filter(|process| !spared.contains(&process.pid)) {
        let command = process.command();
        if !command.is_empty() {
            *counted.entry(command).or_default() += 1;
        }
    }
    counted.into_iter().map(|(command, count)| format!("{count} x {command}")).collect()
}

fn namespaces() -> Vec<String> {
    let kinds = ["net", "mnt", "pid", "uts", "ipc", "cgroup", "user"];
    let all = process::all();
    kinds.iter().flat_map(|kind| all.iter().filter_map(|process| process.namespace(kind))).collect()
}

fn mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // The numbers in front are handed out anew at each mount.
    text.lines().map(|line| line.split(' ').skip(3).collect::<Vec<_>>().join(" ")).collect()
}

fn cgroups() -> Vec<String> {
    let mut roots = cgroup::hierarchies();
    roots.push(Path::new("/sys/fs/cgroup/unified").to_owned());
    let below = |root| walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    roots
        .iter()
        .flat_map(below)
        .filter(|entry| entry.file_type().is_dir())
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn files(watched: &[impl AsRef<Path>], except: &Path) -> Vec<String> {
    let below = |root| {
        let entries = walkdir::WalkDir::new(root).max_depth(3).into_iter();
        entries.filter_entry(|entry| entry.path() != except).filter_map(Result::ok)
    };
    watched.iter().flat_map(below).map(|entry| entry.path().display().to_string()).collect()
}

fn rows(command: &mut Command, keep: impl Fn(&str) -> Option<String>) -> Vec<String> {
    exec::stdout(command).unwrap_or_default().lines().filter_map(|row| keep(row.trim())).collect()
}

/// Without the lifetimes, which change by themselves.
fn address(row: &str) -> Option<String> {
    row.split('\\').next().map(|part| part.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_both_what_went_and_what_came() {
        let set = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let lines = difference(&set(&["link lo", "link a"]), &set(&["link lo", "link b"]));
        assert_eq!(lines, ["- link a", "+ link b"]);
    }

    #[test]
    fn a_file_below_a_watched_folder_counts_unless_the_checkout_keeps_it_in_its_target() {
        let watched = std::env::temp_dir().join(format!("sart-inventory-{}", std::process::id()));
        let target = watched.join("checkout/target");
        std::fs::create_dir_all(&target).unwrap();
        for file in [target.join("lab.lock"), watched.join("checkout/left")] {
            std::fs::write(file, "").unwrap();
        }
        let lines = files(std::slice::from_ref(&watched), &target);
        std::fs::remove_dir_all(&watched).unwrap();
        let has = |end: &str| lines.iter().any(|line| line.ends_with(end));
        assert!(has("checkout/left") && !has("target") && !has("lab.lock"), "{lines:?}");
    }

    #[test]
    fn an_inventory_of_this_machine_holds_at_least_its_loopback_and_its_own_namespaces() {
        let lines = take(Path::new("target"));
        assert!(lines.iter().any(|line| line.starts_with("namespace net:[")));
        assert!(lines.iter().any(|line| line.starts_with("mount ")));
    }
}
