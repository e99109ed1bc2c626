//! One agent per node: a lock on a file of the host, held as long as the process lives, whoever rolled it out.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use tracing::info;

/// A rolling update starts the new agent while the old one may still be ending.
const RETRY: Duration = Duration::from_millis(20);

/// The held lock; dropping it (or dying) gives it up.
#[derive(Debug)]
pub struct AgentLock {
    _file: Flock<File>,
}

/// Why the lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The file cannot be made.
    #[error("cannot open the lock file {path}: {source}; mount /run/sart of the host there")]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The lock cannot be asked for.
    #[error("cannot lock {path}: {source}")]
    Lock {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Takes the lock, waiting for another agent of this node to end.
pub async fn take(path: &Path) -> Result<AgentLock, LockError> {
    let opened = |source| LockError::Open { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(opened)?;
    }
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(opened)?;
    let mut told = false;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => return Ok(AgentLock { _file: held }),
            Err((back, nix::errno::Errno::EWOULDBLOCK)) => file = back,
            Err((_, errno)) => {
                return Err(LockError::Lock { path: path.to_owned(), source: errno.into() });
            }
        }
        if !std::mem::replace(&mut told, true) {
            info!(path = %path.display(), "another agent of this node still runs; waiting for it to end");
        }
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_agent_waits_for_the_first_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/agent.lock");
        let first = take(&path).await.unwrap();
        let waiting = take(&path);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_millis(60), &mut waiting).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_lock_file_that_cannot_be_made_names_its_path() {
        let error = take(Path::new("/proc/none/agent.lock")).await.unwrap_err();
        assert!(error.to_string().contains("/proc/none/agent.lock"), "{error}");
    }
}
