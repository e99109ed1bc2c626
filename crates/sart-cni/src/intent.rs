//! A DEL that could not be delivered: one file each, on disk before the plugin returns, carried out by the agent before it
//! serves an ADD. Written twice it is one file; carried out twice it does no harm.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::key::AttachmentKey;

/// What is in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// What to remove.
    pub key: AttachmentKey,
}

/// The folder of the intents below the state folder.
#[must_use]
pub fn folder(state: &Path) -> PathBuf {
    state.join("intents")
}

/// Writes an intent so that it survives a power loss.
///
/// # Errors
/// The file cannot be written, synced or renamed.
pub fn write(state: &Path, key: &AttachmentKey) -> io::Result<PathBuf> {
    let folder = folder(state);
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{:016x}.del", key.digest()));
    // A foreign suffix: the agent reads only `.del`.
    let partial = folder.join(format!("{:016x}.part{}", key.digest(), std::process::id()));
    let mut file = File::create(&partial)?;
    file.write_all(&serde_json::to_vec(&Intent { key: key.clone() })?)?;
    file.sync_all()?;
    fs::rename(&partial, &path)?;
    // The name is durable only with its folder (fsync(2)).
    File::open(&folder)?.sync_all()?;
    Ok(path)
}

/// The intents that wait, in the order of their names, and files that are none.
///
/// # Errors
/// The folder cannot be read; that it is missing means that there are none.
pub fn list(state: &Path) -> io::Result<Vec<(PathBuf, io::Result<Intent>)>> {
    let entries = match fs::read_dir(folder(state)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "del") {
            let read = fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
            found.push((path, read));
        }
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(found)
}
