//! One operation at a time per attachment, and as many attachments at a time as there are. Waiting has an end.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::attachment::AttachmentKey;

/// The attachments that somebody works on.
#[derive(Debug, Default)]
pub struct Turns {
    busy: Mutex<BTreeSet<AttachmentKey>>,
    ended: Condvar,
}

/// The right to work on an attachment, until dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    turns: &'a Turns,
    key: AttachmentKey,
}

impl Turns {
    /// Waits for the attachment's turn; none when `deadline` comes first.
    pub fn take(&self, key: &AttachmentKey, deadline: Instant) -> Option<Turn<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while busy.contains(key) {
            let left = deadline.checked_duration_since(Instant::now())?;
            (busy, _) = self.ended.wait_timeout(busy, left).unwrap_or_else(PoisonError::into_inner);
        }
        busy.insert(key.clone());
        Some(Turn { turns: self, key: key.clone() })
    }

    /// The turn, if nobody works on the attachment now.
    pub fn try_take(&self, key: &AttachmentKey) -> Option<Turn<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(key.clone()).then(|| Turn { turns: self, key: key.clone() })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.turns.ended.notify_all();
    }
}
