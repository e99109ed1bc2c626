//! The address book: ledger, view and progress behind one short lock. The CNI server's threads ask it; nobody holds the lock
//! while waiting for the API server or the kernel.

mod addresses;
mod facts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use kube::Client;
use sart_ipam::pod::{Counts, Ledger};
use tokio::sync::Notify;
use tracing::{error, warn};

use super::plan::{Desired, Progress, plan};
use super::view::View;
use crate::cni::AttachmentKey;

/// Released addresses rest this long: a SYN that is still under way keeps a conntrack entry for 120 s
/// (`nf_conntrack_tcp_timeout_syn_sent`).
pub const COOL_DOWN: Duration = Duration::from_secs(120);
/// An address that no pod of this node reports for this long is suspected to leak.
const LEAK_GRACE: Duration = Duration::from_secs(300);

/// The book; clones share it.
#[derive(Clone)]
pub struct AddressBook {
    shared: Arc<Shared>,
}

struct Shared {
    start: Instant,
    state: Mutex<State>,
    /// Wakes callers that wait for an address.
    changed: Condvar,
    /// Wakes the task that plans.
    wake: Notify,
    /// For a live look at a pod that is missing from the cache.
    live: Option<(Client, tokio::runtime::Handle)>,
}

struct State {
    view: View,
    ledger: Ledger<AttachmentKey>,
    progress: Progress,
    /// Pool of each address that is held or cools down; its block may not be listed.
    pools: BTreeMap<IpAddr, String>,
    /// The pod each attachment was made for, as far as the runtime said.
    pods: BTreeMap<AttachmentKey, String>,
    /// Callers without a pod that wait: the pools they draw from.
    waiting: BTreeMap<AttachmentKey, Vec<String>>,
    suspects: BTreeMap<IpAddr, Duration>,
}

/// How a pool stands on this node, for metrics and the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// The pool.
    pub pool: String,
    /// Its addresses here.
    pub counts: Counts,
}

impl AddressBook {
    /// An empty book. With `live` a pod that the cache does not know is looked up in the API before it is called gone.
    pub fn new(cool_down: Duration, live: Option<(Client, tokio::runtime::Handle)>) -> Self {
        let state = State {
            view: View::default(),
            ledger: Ledger::new(cool_down),
            progress: Progress::default(),
            pools: BTreeMap::new(),
            pods: BTreeMap::new(),
            waiting: BTreeMap::new(),
            suspects: BTreeMap::new(),
        };
        let shared = Shared {
            start: Instant::now(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            wake: Notify::new(),
            live,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The CNI server has adopted what every pod holds. Until then no block is asked for or given back.
    pub fn adopted(&self) {
        self.state().progress.adopted = true;
        self.shared.wake.notify_one();
    }

    /// Whether that has happened.
    pub(super) fn is_adopted(&self) -> bool {
        self.state().progress.adopted
    }

    /// Covering routes that stand, as read from the kernel.
    pub fn routes_stand(&self, standing: BTreeSet<IpNet>) {
        let mut state = self.state();
        if state.progress.standing != standing {
            state.progress.standing = standing;
            drop(state);
            self.shared.wake.notify_one();
        }
    }

    /// Own blocks that the speaker announces; `None` while nobody knows.
    pub fn announced(&self, announced: Option<BTreeSet<IpNet>>) {
        self.state().progress.announced = announced;
        self.shared.wake.notify_one();
    }

    /// How each pool stands, by name.
    pub fn pool_states(&self) -> Vec<PoolState> {
        let (now, state) = (self.now(), self.state());
        let names: BTreeSet<&String> = state.ledger.blocks().map(|block| &block.pool).collect();
        let row = |pool: &String| PoolState { pool: pool.clone(), counts: state.ledger.counts(pool, now) };
        names.into_iter().map(row).collect()
    }

    /// Addresses that are held although no pod of this node has had them for five minutes.
    pub fn leaks(&self) -> Vec<IpAddr> {
        let (now, state) = (self.now(), self.state());
        let old = |(_, since): &(&IpAddr, &Duration)| now.saturating_sub(**since) >= LEAK_GRACE;
        state.suspects.iter().filter(old).map(|(address, _)| *address).collect()
    }

    /// Plans, and makes the ledger's blocks what the plan says.
    pub(super) fn replan(&self) -> Desired {
        let now = self.now();
        let mut state = self.state();
        let desired = plan(&state.view, &state.ledger, &state.progress, &state.pending(), now);
        state.progress.leaving.clone_from(&desired.leaving);
        state.take_blocks(&desired);
        state.look_for_leaks(now);
        drop(state);
        self.shared.changed.notify_all();
        desired
    }

    /// Completes when there may be something to plan.
    pub(super) async fn changed(&self) {
        self.shared.wake.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.shared.start.elapsed()
    }
}

impl State {
    /// Pods and callers per pool that hold nothing yet.
    fn pending(&self) -> BTreeMap<String, usize> {
        let mut pending: BTreeMap<String, usize> = BTreeMap::new();
        let served: BTreeSet<&String> = self.pods.values().collect();
        for (key, pod) in self.view.pods.iter().filter(|(_, pod)| pod.waiting && !pod.is_one_of(&served)) {
            for pool in self.view.choose(Some(&key.namespace), Some(pod)).into_iter().flatten() {
                *pending.entry(pool).or_default() += 1;
            }
        }
        for pool in self.waiting.values().flatten() {
            *pending.entry(pool.clone()).or_default() += 1;
        }
        pending
    }

    /// Blocks that are gone from the API give nothing any more; who sits in them keeps a network that leads nowhere, because
    /// another node may have the block by now.
    fn take_blocks(&mut self, desired: &Desired) {
        // Before the list is complete, what is missing says nothing.
        if self.view.synced.blocks {
            let gone: Vec<String> = self.ledger.blocks().map(|block| block.name.clone()).collect();
            for name in gone.into_iter().filter(|name| !desired.blocks.contains_key(name)) {
                for (address, key) in self.ledger.remove_block(&name) {
                    error!(block = name, %address, attachment = %key, "the block of a running pod is no longer this node's; recreate the pod");
                }
            }
        }
        for block in desired.blocks.values() {
            self.ledger.put_block(block.clone());
        }
    }

    fn look_for_leaks(&mut self, now: Duration) {
        if !self.view.synced.pods || !self.progress.adopted {
            return;
        }
        let known: BTreeSet<IpAddr> = self.view.pods.values().flat_map(|pod| pod.addresses.clone()).collect();
        let uids: BTreeSet<&str> = self
            .view
            .pods
            .values()
            .flat_map(|p| [Some(p.uid.as_str()), p.alias.as_deref()])
            .flatten()
            .collect();
        let has_pod = |key: &AttachmentKey| self.pods.get(key).is_some_and(|uid| uids.contains(uid.as_str()));
        let attachments = self.ledger.attachments().filter(|(key, _)| !has_pod(key));
        let orphans: BTreeSet<IpAddr> =
            attachments.flat_map(|(_, held)| held.iter().copied()).filter(|a| !known.contains(a)).collect();
        self.suspects.retain(|address, _| orphans.contains(address));
        for address in orphans {
            let since = *self.suspects.entry(address).or_insert(now);
            if now.saturating_sub(since) >= LEAK_GRACE && now.saturating_sub(since) < LEAK_GRACE * 2 {
                warn!(%address, "held, but no pod of this node has it; see `sart cni check`");
                self.suspects.insert(address, since.saturating_sub(LEAK_GRACE));
            }
        }
    }
}
