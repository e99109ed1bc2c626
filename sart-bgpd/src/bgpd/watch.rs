//! Streams to API watchers. A watcher that reads too slowly is ended with a status; it must never hold up the speaker.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use futures::stream::{self, Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Events that may wait for a watcher; at one hundred bytes each about 1.6 MB for a watcher that stands still.
const WATCH_QUEUE: usize = 16 * 1024;

/// What a watcher reads.
pub type WatchStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The watchers of one kind of event.
#[derive(Debug)]
pub struct Watchers<T, F> {
    list: Vec<Watcher<T, F>>,
    capacity: usize,
}

#[derive(Debug)]
struct Watcher<T, F> {
    filter: F,
    queue: mpsc::Sender<T>,
    end: Arc<OnceLock<Status>>,
}

impl<T: Clone + Send + 'static, F> Watchers<T, F> {
    /// No watchers yet.
    #[must_use]
    pub fn new() -> Self {
        Self { list: Vec::new(), capacity: WATCH_QUEUE }
    }

    /// Adds a watcher that first reads `initial`, then every event sent to it from now on.
    pub fn subscribe(&mut self, filter: F, initial: Vec<T>) -> WatchStream<T> {
        let (queue, events) = mpsc::channel(self.capacity);
        let end = Arc::new(OnceLock::new());
        self.list.push(Watcher { filter, queue, end: Arc::clone(&end) });
        let last = stream::once(async move {
            let gone = || Status::unavailable("the speaker is shutting down; connect again");
            Err(end.get().cloned().unwrap_or_else(gone))
        });
        Box::pin(stream::iter(initial).chain(ReceiverStream::new(events)).map(Ok).chain(last))
    }

    /// Whether nobody reads any more.
    pub fn is_empty(&mut self) -> bool {
        self.list.retain(|watcher| !watcher.queue.is_closed());
        self.list.is_empty()
    }

    /// Sends `event` to every watcher whose filter `wants` it. Returns how many were ended for being too slow.
    pub fn send(&mut self, event: &T, wants: impl Fn(&F) -> bool) -> usize {
        let mut slow = 0;
        self.list.retain(|watcher| {
            if !wants(&watcher.filter) {
                return !watcher.queue.is_closed();
            }
            match watcher.queue.try_send(event.clone()) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Closed(_)) => false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    slow += 1;
                    let status =
                        Status::resource_exhausted("the watcher read too slowly; watch again from the start");
                    // Set once: the watcher leaves the list with this.
                    let _first = watcher.end.set(status);
                    false
                }
            }
        });
        slow
    }
}

impl<T: Clone + Send + 'static, F> Default for Watchers<T, F> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_watcher_is_ended_with_a_status_and_others_go_on() {
        let mut watchers = Watchers::<u32, ()> { list: Vec::new(), capacity: 2 };
        let slow = watchers.subscribe((), vec![100]);
        let mut fast = watchers.subscribe((), vec![100]);
        assert_eq!(fast.next().await.unwrap().unwrap(), 100);
        let mut ended = 0;
        for event in 0..4 {
            ended += watchers.send(&event, |()| true);
            assert_eq!(fast.next().await.unwrap().unwrap(), event);
        }
        assert_eq!(ended, 1);
        let seen: Vec<_> = slow.collect().await;
        assert_eq!(seen.len(), 4, "initial, two queued, status");
        assert_eq!(seen[3].as_ref().unwrap_err().code(), tonic::Code::ResourceExhausted);
        drop(watchers);
        assert_eq!(fast.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
    }

    #[tokio::test]
    async fn a_watcher_gets_only_what_it_asked_for() {
        let mut watchers = Watchers::<u32, bool>::new();
        let mut even = watchers.subscribe(true, Vec::new());
        watchers.send(&1, |even| !even);
        watchers.send(&2, |even| *even);
        assert_eq!(even.next().await.unwrap().unwrap(), 2);
    }
}
