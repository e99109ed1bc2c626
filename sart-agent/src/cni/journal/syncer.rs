//! The thread that syncs: everybody who waits while one fsync runs is served by the next one.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Syncer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    file: Arc<File>,
    written: u64,
    synced: u64,
    failure: Option<(io::ErrorKind, String)>,
    stopped: bool,
}

impl Syncer {
    pub(super) fn start(file: Arc<File>) -> io::Result<Arc<Self>> {
        let state = State { file, written: 0, synced: 0, failure: None, stopped: false };
        let syncer = Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() });
        let own = Arc::clone(&syncer);
        std::thread::Builder::new().name("cni-journal".to_owned()).spawn(move || own.run())?;
        Ok(syncer)
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.stopped {
            if state.written == state.synced || state.failure.is_some() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (file, target) = (Arc::clone(&state.file), state.written);
            drop(state);
            let result = file.sync_data();
            state = self.lock();
            match result {
                Ok(()) => state.synced = state.synced.max(target),
                // After a failed fsync the kernel may have dropped the pages: only a new file is safe again. Should one have
                // taken this one's place meanwhile, it holds everything.
                Err(error) if Arc::ptr_eq(&file, &state.file) => {
                    state.failure = Some((error.kind(), error.to_string()));
                }
                Err(_) => {}
            }
            self.changed.notify_all();
        }
    }

    /// A line was written: its number.
    pub(super) fn written(&self) -> u64 {
        let mut state = self.lock();
        state.written += 1;
        self.changed.notify_all();
        state.written
    }

    /// A new file, which holds all lines and is on disk.
    pub(super) fn replace(&self, file: Arc<File>) {
        let mut state = self.lock();
        state.file = file;
        state.synced = state.written;
        state.failure = None;
        self.changed.notify_all();
    }

    pub(super) fn failed(&self) -> bool {
        self.lock().failure.is_some()
    }

    pub(super) fn wait(&self, number: u64) -> io::Result<()> {
        let mut state = self.lock();
        while state.synced < number {
            if let Some((kind, text)) = &state.failure {
                return Err(io::Error::new(*kind, text.clone()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
