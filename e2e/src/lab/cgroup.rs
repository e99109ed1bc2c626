//! The lab's cgroups: one folder per lab and node in each version 1 hierarchy. The only thing of a lab with a name on the host.

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const ROOT: &str = "/sys/fs/cgroup";

/// The mounted version 1 hierarchies.
pub fn hierarchies() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let of_line = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let path = Path::new(place.split(' ').nth(4)?);
        (kind.starts_with("cgroup ") && path.starts_with(ROOT)).then(|| path.to_owned())
    };
    mounts.lines().filter_map(of_line).collect()
}

/// Creates the cgroup in every hierarchy; a cpuset starts with the processors and memory of its parent.
///
/// # Errors
/// If the machine has no version 1 hierarchy, or one refuses the folder.
pub fn create(name: &str) -> Result<()> {
    let hierarchies = hierarchies();
    if hierarchies.is_empty() {
        bail!("the lab's nodes need version 1 cgroups below {ROOT}, and there are none");
    }
    for hierarchy in hierarchies {
        let mut folder = hierarchy.clone();
        for part in name.split('/') {
            let parent = folder.clone();
            folder.push(part);
            if !folder.exists() {
                // Nodes start at the same time and share the first part of the name.
                let _ = std::fs::create_dir(&folder);
            }
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if let Ok(value) = std::fs::read_to_string(parent.join(file)) {
                    std::fs::write(folder.join(file), value.trim())
                        .with_context(|| format!("cannot set {file} of {name}"))?;
                }
            }
        }
        if !folder.is_dir() {
            bail!("cannot create the cgroup {}", folder.display());
        }
    }
    Ok(())
}

/// Gives a cgroup the share of the processors that the pods of `nodes` machines of their own would have. On such a machine the
/// kubelet's cgroup stands beside the system's programs with 1024 for each processor; here the lab's folder and the node's are
/// above it, and with the kernel's 1024 for each all pods together would weigh as much as one thread of the API server.
///
/// # Errors
/// If the kernel refuses the value.
pub fn weigh(name: &str, nodes: usize) -> Result<()> {
    let processors = std::thread::available_parallelism().context("cannot count the processors")?;
    let shares = nodes * processors.get() * 1024;
    for folder in hierarchies().into_iter().map(|hierarchy| hierarchy.join(name)) {
        let file = folder.join("cpu.shares");
        if file.exists() {
            std::fs::write(&file, shares.to_string())
                .with_context(|| format!("cannot set {} to {shares}", file.display()))?;
        }
    }
    Ok(())
}

/// The cgroup folders of the lab that exist, the deepest first.
pub fn existing(name: &str) -> Vec<PathBuf> {
    let mut roots = hierarchies();
    roots.push(Path::new(ROOT).join("unified"));
    roots
        .iter()
        .map(|hierarchy| hierarchy.join(name))
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| walkdir::WalkDir::new(folder).contents_first(true))
        .filter_map(|entry| {
            entry.ok().filter(|entry| entry.file_type().is_dir()).map(walkdir::DirEntry::into_path)
        })
        .collect()
}

/// Removes the lab's cgroups, which must hold no process any more; the kernel needs a moment after the last has died.
///
/// # Errors
/// If some are still there after `limit`, which names one.
pub fn remove(name: &str, limit: Duration) -> Result<usize> {
    let started = Instant::now();
    let count = existing(name).len();
    loop {
        let left = existing(name);
        let refused: Vec<_> =
            left.iter().filter_map(|folder| Some((folder, std::fs::remove_dir(folder).err()?))).collect();
        let Some((folder, error)) = refused.first() else { return Ok(count) };
        if started.elapsed() > limit {
            bail!("cannot remove the cgroup {}: {error}", folder.display());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
