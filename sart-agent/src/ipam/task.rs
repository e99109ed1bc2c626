//! The task that plans this node's blocks whenever something changed, and hands the orders out. It waits for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::IpNet;
use kube::Client;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch as slot;
use tokio::task::JoinSet;

use super::book::AddressBook;
use super::plan::{Desired, RequestWant};
use super::requests::{Orders, RequestWriter};
use super::{lost, routes, watch};
use crate::event::{Event, OwnBlocks};

/// Addresses cool down without any event.
const TICK: Duration = Duration::from_secs(5);

/// What the task is connected to.
pub struct Wiring {
    /// The API server.
    pub client: Client,
    /// Name of this node.
    pub node: String,
    /// The engine.
    pub events: Sender<Event>,
    /// Own blocks that the speaker announces.
    pub announced: slot::Receiver<Option<BTreeSet<IpNet>>>,
}

/// Starts everything around `book`.
pub fn spawn(tasks: &mut JoinSet<()>, wiring: Wiring, book: &AddressBook) {
    let (routes_in, route_orders) = slot::channel(None);
    let (requests_in, request_orders) = slot::channel(None);
    watch::spawn(tasks, &wiring.client, &wiring.node, book);
    tasks.spawn(routes::run(route_orders, book.clone()));
    tasks.spawn(lost::run(wiring.client.clone(), wiring.events.clone()));
    let writer = RequestWriter::new(wiring.client.clone(), wiring.node.clone(), request_orders, book.clone());
    tasks.spawn(writer.run());
    let task = Task {
        book: book.clone(),
        events: wiring.events,
        announced: wiring.announced,
        routes: routes_in,
        requests: requests_in,
        told: None,
    };
    tasks.spawn(task.run());
}

struct Task {
    book: AddressBook,
    events: Sender<Event>,
    announced: slot::Receiver<Option<BTreeSet<IpNet>>>,
    routes: slot::Sender<Option<BTreeSet<IpNet>>>,
    requests: slot::Sender<Orders>,
    told: Option<OwnBlocks>,
}

impl Task {
    async fn run(mut self) {
        loop {
            let desired = self.book.replan();
            if !self.hand_out(desired).await {
                return;
            }
            tokio::select! {
                () = self.book.changed() => {}
                () = tokio::time::sleep(TICK) => {}
                changed = self.announced.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let announced = self.announced.borrow_and_update().clone();
                    self.book.announced(announced);
                }
            }
        }
    }

    /// False when the engine is gone.
    async fn hand_out(&mut self, desired: Desired) -> bool {
        let synced = self.book.synced();
        if !synced.blocks {
            return true;
        }
        let own = OwnBlocks { announce: desired.announce, all: self.book.own_blocks() };
        if self.told.as_ref() != Some(&own) {
            self.told = Some(own.clone());
            if self.events.send(Event::OwnBlocks(own)).await.is_err() {
                return false;
            }
        }
        self.routes.send_if_modified(|old| {
            let wanted = Some(desired.routes);
            let changed = *old != wanted;
            *old = wanted;
            changed
        });
        if synced.all() && self.book.is_adopted() {
            self.order_requests(desired.requests);
        }
        true
    }

    /// Repeats the order while the API holds something else: somebody may have edited or deleted a request.
    fn order_requests(&self, wanted: BTreeMap<String, RequestWant>) {
        let held = self.book.requests();
        let stands = |pool: &String, want: &RequestWant| {
            held.values().any(|r| r.pool == *pool && r.blocks == want.blocks && r.release == want.release)
        };
        let same = held.values().all(|r| wanted.contains_key(&r.pool))
            && wanted.iter().all(|(pool, want)| stands(pool, want));
        self.requests.send_if_modified(|old| {
            let changed = old.as_ref() != Some(&wanted) || !same;
            *old = Some(wanted);
            changed
        });
    }
}
