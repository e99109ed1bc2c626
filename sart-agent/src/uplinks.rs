//! Finds the links over which the BGP neighbours are reached, now and after every change of links and routes. The kernel's
//! own lookup decides; configuration may name the links instead.

use std::net::IpAddr;
use std::time::Duration;

use sart_fib::RouteKind;
use sart_fib::route::PROTOCOL_AGENT;
use sart_netlink::{Change, Link, OpenError, RequestError, RouteHandle, RouteMonitor};
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::event::Event;
use crate::node::Uplinks;

/// First wait after a failed look; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Why the links are not known.
#[derive(Debug, thiserror::Error)]
enum UplinkError {
    #[error("cannot watch links and routes: {0}")]
    Open(#[from] OpenError),
    #[error("cannot read links and routes: {0}")]
    Request(#[from] RequestError),
}

/// The task's state.
#[derive(Debug)]
pub struct UplinkWatch {
    named: Vec<String>,
    peers: watch::Receiver<Option<Vec<IpAddr>>>,
    events: Sender<Event>,
    last: Option<Uplinks>,
}

impl UplinkWatch {
    /// Looks for the links to `peers`, or for exactly `named` if that is not empty.
    pub fn new(
        named: Vec<String>,
        peers: watch::Receiver<Option<Vec<IpAddr>>>,
        events: Sender<Event>,
    ) -> Self {
        Self { named, peers, events, last: None }
    }

    /// Runs until the engine is gone.
    pub async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        // No peers is an answer as well: a node without any has no uplink, and must not wait for one.
        if self.peers.wait_for(Option::is_some).await.is_err() {
            return;
        }
        loop {
            let told = self.last.clone();
            let Err(error) = self.watch().await else { return };
            wait = if self.last == told { (wait * 2).min(LONGEST_WAIT) } else { FIRST_WAIT };
            warn!(%error, "uplinks are out of sight; the last known ones stay");
            tokio::time::sleep(wait).await;
        }
    }

    /// `Ok` means that the engine is gone.
    async fn watch(&mut self) -> Result<(), UplinkError> {
        let mut monitor = RouteMonitor::open()?;
        let mut handle = RouteHandle::open()?;
        loop {
            let addresses = self.peers.borrow_and_update().clone().unwrap_or_default();
            let uplinks = self.find(&mut handle, &addresses).await?;
            if self.last.as_ref() != Some(&uplinks) {
                self.last = Some(uplinks.clone());
                if self.events.send(Event::Uplinks(uplinks)).await.is_err() {
                    return Ok(());
                }
            }
            loop {
                tokio::select! {
                    changed = self.peers.changed() => {
                        if changed.is_err() {
                            return Ok(());
                        }
                        break;
                    }
                    changes = monitor.changed() => if changes?.iter().any(concerns) { break },
                }
            }
        }
    }

    async fn find(&self, handle: &mut RouteHandle, peers: &[IpAddr]) -> Result<Uplinks, RequestError> {
        let links = handle.links().await?;
        let mut uplinks = Uplinks::new();
        for name in &self.named {
            uplinks.extend(links.iter().find(|link| link.name == *name).map(entry));
        }
        if !self.named.is_empty() {
            return Ok(uplinks);
        }
        for peer in peers {
            match handle.lookup(*peer).await {
                Ok(found) if found.kind == RouteKind::Unicast => {
                    let link = links.iter().find(|link| link.index == found.ifindex && !link.loopback);
                    uplinks.extend(link.map(entry));
                }
                Ok(found) => debug!(%peer, ?found, "no link leads to the peer"),
                // No route: the peer is out of reach now; a later change of routes leads here again.
                Err(RequestError::Refused { refusal, .. }) => debug!(%peer, %refusal, "no route to the peer"),
                Err(error) => return Err(error),
            }
        }
        Ok(uplinks)
    }
}

fn entry(link: &Link) -> (String, u32) {
    (link.name.clone(), link.index)
}

/// Routes of our own stoppers and rules say nothing about where a peer is.
fn concerns(change: &Change) -> bool {
    match change {
        Change::Route { route, .. } => route.route.protocol != PROTOCOL_AGENT,
        Change::Link | Change::Address | Change::Overrun => true,
        Change::Rule => false,
    }
}
