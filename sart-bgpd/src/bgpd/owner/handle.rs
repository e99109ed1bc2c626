//! The API's way to the owner: closures that run between two events. Must never hold a reference across one.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, Stream};
use sart_bgp::family::Family;
use sart_bgp::speaker::{Cursor, PathFilter, PathView, QueryError, Speaker, Table};
use tokio::sync::{mpsc, oneshot};

use super::{BestPathEvent, Call, NeighborEvent, Owner};
use crate::bgpd::metrics::Metrics;
use crate::bgpd::watch::WatchStream;

/// Prefixes up to which a listing is made in one go, and in order.
const LISTED_AT_ONCE: usize = 8192;
/// Prefixes of a larger table that are looked at between two events.
const SLICE: usize = 4096;

/// The way of the API to the owner; clones lead to the same one.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) metrics: Metrics,
}

/// The owner has stopped.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the speaker is shutting down")]
pub struct Stopped;

impl Handle {
    /// Runs `call` on the speaker and carries out what follows from it before it returns.
    ///
    /// # Errors
    /// If the owner has stopped.
    pub async fn call<T, F>(&self, call: F) -> Result<T, Stopped>
    where
        T: Send + 'static,
        F: FnOnce(&mut Speaker, Duration) -> T + Send + 'static,
    {
        self.with_owner(move |owner| {
            let now = owner.now();
            let answer = call(&mut owner.speaker, now);
            owner.carry_out();
            answer
        })
        .await
    }

    /// A stream of all neighbours, then of every change.
    ///
    /// # Errors
    /// If the owner has stopped.
    pub async fn watch_neighbors(&self) -> Result<WatchStream<NeighborEvent>, Stopped> {
        self.with_owner(|owner| {
            let views = owner.speaker.neighbors(owner.now());
            let mut initial: Vec<_> =
                views.into_iter().map(|view| NeighborEvent::Changed(Box::new(view))).collect();
            initial.push(NeighborEvent::Synced);
            owner.neighbors.subscribe((), initial)
        })
        .await
    }

    /// A stream of the multipath sets of `families`, then of every change.
    ///
    /// # Errors
    /// If the owner has stopped.
    pub async fn watch_best_paths(
        &self,
        families: Vec<Family>,
    ) -> Result<WatchStream<BestPathEvent>, Stopped> {
        self.with_owner(move |owner| {
            if !owner.feeding {
                owner.feeding = true;
                owner.speaker.set_fed(true);
            }
            let paths = owner.speaker.best_paths(&families);
            let mut initial: Vec<_> = paths.into_iter().map(BestPathEvent::Path).collect();
            if owner.speaker.is_settled() {
                initial.push(BestPathEvent::Settled);
            }
            owner.best_paths.subscribe(families, initial)
        })
        .await
    }

    /// The rows of a table: of a small one in order of prefix, of a large one in slices and in no order, between which
    /// routing goes on.
    ///
    /// # Errors
    /// If the owner has stopped, or an adjacency table of an unknown neighbour is asked for.
    pub async fn list_paths(
        &self,
        table: Table,
        filter: PathFilter,
    ) -> Result<Result<impl Stream<Item = PathView> + Send + use<>, QueryError>, Stopped> {
        let first = self.call(move |speaker, now| {
            if speaker.prefixes() <= LISTED_AT_ONCE || filter.prefix.is_some() {
                return speaker.paths(table, filter, now).map(|rows| (rows, None));
            }
            speaker.paths_from((table, filter), Cursor::default(), SLICE, now)
        });
        let (rows, next) = match first.await? {
            Ok(first) => first,
            Err(unknown) => return Ok(Err(unknown)),
        };
        let handle = self.clone();
        let rest = stream::unfold(next, move |next| {
            let handle = handle.clone();
            async move {
                let cursor = next?;
                let slice = handle
                    .call(move |speaker, now| speaker.paths_from((table, filter), cursor, SLICE, now))
                    .await;
                // The neighbour or the whole speaker can go away meanwhile: what was told of it stands.
                let (rows, next) = slice.ok()?.ok()?;
                Some((stream::iter(rows), next))
            }
        });
        Ok(Ok(stream::iter(rows).chain(rest.flatten())))
    }

    pub(super) async fn with_owner<T, F>(&self, call: F) -> Result<T, Stopped>
    where
        T: Send + 'static,
        F: FnOnce(&mut Owner) -> T + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |owner| {
            // The caller may have gone away; what it asked for has been done all the same.
            let _unheard = answer.send(call(owner));
        });
        match self.calls.try_send(call) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(call)) => {
                self.metrics.queue_full("calls");
                self.calls.send(call).await.map_err(|_| Stopped)?;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Stopped),
        }
        answered.await.map_err(|_| Stopped)
    }
}
