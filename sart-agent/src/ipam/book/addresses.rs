//! What the CNI server asks: [`PodAddresses`] on the book.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use sart_ipam::pod::{AllocateError, BlockState, Reuse};

use super::{AddressBook, State};
use crate::cni::{
    AddressError, AddressRequest, AttachmentKey, BlockUse, Holding, NotReady, PodAddress, PodAddresses,
};
use crate::ipam::view::PodFact;
use crate::node::ObjectKey;

/// The kubelet knows of a pod before our watch does; after this time the API is asked directly.
const WATCH_LAG: Duration = Duration::from_secs(2);
/// Longest wait for that answer.
const LOOK: Duration = Duration::from_secs(3);

/// Why an attempt gave nothing: for good, or not yet.
enum Miss {
    Final(AddressError),
    Later(AddressError),
    /// The pod is not in the cache.
    NoPod(String),
}

impl PodAddresses for AddressBook {
    fn allocate(&self, request: &AddressRequest, deadline: Instant) -> Result<Vec<PodAddress>, AddressError> {
        let began = Instant::now();
        let mut looked = false;
        let mut state = self.state();
        loop {
            let last = Instant::now() >= deadline;
            let error = match state.attempt(request, self.now(), last) {
                Ok(given) => {
                    drop(state);
                    self.shared.wake.notify_one();
                    return Ok(given);
                }
                Err(Miss::Final(error)) => {
                    state.waiting.remove(&request.key);
                    return Err(error);
                }
                Err(Miss::Later(error)) => error,
                Err(Miss::NoPod(message)) if !looked && began.elapsed() >= WATCH_LAG => {
                    looked = true;
                    drop(state);
                    let gone = self.is_gone(request);
                    state = self.state();
                    if gone {
                        state.waiting.remove(&request.key);
                        return Err(AddressError::PodGone(message));
                    }
                    AddressError::Pending(message)
                }
                Err(Miss::NoPod(message)) => AddressError::Pending(message),
            };
            if last {
                state.waiting.remove(&request.key);
                return Err(error);
            }
            self.shared.wake.notify_one();
            let pause = deadline.saturating_duration_since(Instant::now()).min(Duration::from_millis(500));
            let wait = self.shared.changed.wait_timeout(state, pause);
            state = wait.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn adopt(&self, key: &AttachmentKey, addresses: &[PodAddress]) -> Result<(), IpAddr> {
        let mut state = self.state();
        let list: Vec<IpAddr> = addresses.iter().map(|given| given.address).collect();
        state.ledger.adopt(key, &list).map_err(|error| error.address)?;
        state.pools.extend(addresses.iter().map(|given| (given.address, given.pool.clone())));
        Ok(())
    }

    fn cool(&self, address: &PodAddress, released: SystemTime) {
        let now = self.now();
        let mut state = self.state();
        let cool_down = state.ledger.cool_down();
        // A clock that was set back says nothing about how long ago it was.
        let since = SystemTime::now().duration_since(released).unwrap_or_default();
        state.ledger.rest(address.address, now + cool_down.saturating_sub(since));
    }

    fn release(&self, key: &AttachmentKey, _now: SystemTime) {
        let now = self.now();
        let mut state = self.state();
        for address in state.ledger.release(key, now) {
            state.pools.remove(&address);
        }
        state.pods.remove(key);
        drop(state);
        self.shared.wake.notify_one();
        self.shared.changed.notify_all();
    }

    fn held(&self, key: &AttachmentKey) -> Vec<PodAddress> {
        self.state().held(key)
    }

    fn holdings(&self) -> Vec<Holding> {
        let leaks = self.leaks();
        let state = self.state();
        let block = |address: &IpAddr| state.ledger.blocks().find(|block| block.net.contains(address));
        let held = state.ledger.attachments().flat_map(|(key, held)| held.iter().map(move |a| (key, a)));
        held.map(|(key, address)| Holding {
            key: key.clone(),
            address: *address,
            block: block(address).map(|block| block.name.clone()),
            leaked: leaks.contains(address),
        })
        .collect()
    }

    fn blocks(&self) -> Vec<BlockUse> {
        let (now, state) = (self.now(), self.state());
        let row = |block: &sart_ipam::pod::Block| {
            let (held, cooling) = state.ledger.in_use(block, now);
            let free = if block.state == BlockState::Open { state.ledger.free_in(block, now) } else { 0 };
            let free = i64::try_from(free).unwrap_or(i64::MAX);
            BlockUse { pool: block.pool.clone(), name: block.name.clone(), free, held, cooling }
        };
        state.ledger.blocks().map(row).collect()
    }

    fn ready(&self) -> Result<(), NotReady> {
        let (now, state) = (self.now(), self.state());
        if let Some(missing) = state.view.synced.missing() {
            return Err(NotReady(format!(
                "{missing} have not been listed yet; is the API server reachable?"
            )));
        }
        let pools = state.view.choose(None, None).map_err(|error| NotReady(error.to_string()))?;
        for pool in pools {
            if state.ledger.free_count(&pool, now) > 0 {
                continue;
            }
            let why = state.view.exhausted(&pool).map(ToString::to_string);
            return Err(NotReady(why.unwrap_or_else(|| {
                format!("this node has no free address of AddressPool {pool} yet; its BlockRequest says why")
            })));
        }
        Ok(())
    }
}

impl AddressBook {
    /// Whether the API says that there is no such pod; no answer is no proof.
    fn is_gone(&self, request: &AddressRequest) -> bool {
        let (Some((client, handle)), Some(namespace), Some(name)) =
            (&self.shared.live, &request.namespace, &request.pod)
        else {
            return false;
        };
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let answer = handle.block_on(async { tokio::time::timeout(LOOK, api.get_opt(name)).await });
        let Ok(Ok(found)) = answer else { return false };
        let fact = found.as_ref().and_then(crate::ipam::read::pod);
        fact.is_none_or(|pod| !pod.is(request.uid.as_deref()))
    }
}

impl State {
    fn attempt(
        &mut self,
        request: &AddressRequest,
        now: Duration,
        last: bool,
    ) -> Result<Vec<PodAddress>, Miss> {
        let held = self.held(&request.key);
        if !held.is_empty() {
            return Ok(held);
        }
        let pod = self.find(request)?;
        let pools = self.view.choose(request.namespace.as_deref(), pod.as_ref());
        let pools = pools.map_err(|error| Miss::Final(AddressError::NoPool(error.to_string())))?;
        let exhausted = pools.iter().find_map(|pool| self.view.exhausted(pool)).map(ToString::to_string);
        // Early reuse is worse than waiting, and better than no pod.
        let reuse = if exhausted.is_some() || last { Reuse::UnderPressure } else { Reuse::Cooled };
        match self.ledger.allocate(&request.key, &pools, now, reuse) {
            Ok(given) => {
                self.waiting.remove(&request.key);
                self.pods.extend(pod.map(|pod| (request.key.clone(), pod.uid)));
                self.pools.extend(given.iter().map(|g| (g.address, g.pool.clone())));
                Ok(given.into_iter().map(|g| PodAddress { address: g.address, pool: g.pool }).collect())
            }
            Err(error @ AllocateError::HoldsOther { .. }) => {
                Err(Miss::Final(AddressError::Pending(error.to_string())))
            }
            Err(error) => {
                if pod.is_none() {
                    self.waiting.insert(request.key.clone(), pools);
                }
                Err(match exhausted {
                    Some(message) => Miss::Final(AddressError::Exhausted(message)),
                    None => Miss::Later(AddressError::Pending(error.to_string())),
                })
            }
        }
    }

    /// The pod the runtime means; none if it names none.
    fn find(&self, request: &AddressRequest) -> Result<Option<PodFact>, Miss> {
        let (Some(namespace), Some(name)) = (&request.namespace, &request.pod) else {
            return self.listed().map(|()| None);
        };
        let found = self.view.pods.get(&ObjectKey::new(namespace.as_str(), name.as_str()));
        let Some(pod) = found.filter(|pod| pod.is(request.uid.as_deref())) else {
            self.listed()?;
            let message = format!("pod {namespace}/{name} is not known to this node's agent");
            return Err(Miss::NoPod(message));
        };
        if !self.view.namespaces.contains_key(namespace) {
            let message = format!("namespace {namespace} is not known to this node's agent yet");
            return Err(Miss::Later(AddressError::Pending(message)));
        }
        self.listed().map(|()| Some(pod.clone()))
    }

    fn listed(&self) -> Result<(), Miss> {
        let pending = |missing: &str| {
            let message = format!("{missing} have not been listed yet; is the API server reachable?");
            Miss::Later(AddressError::Pending(message))
        };
        self.view.synced.missing().map_or(Ok(()), |missing| Err(pending(missing)))
    }

    fn held(&self, key: &AttachmentKey) -> Vec<PodAddress> {
        let pool = |address: &IpAddr| self.pools.get(address).cloned().unwrap_or_default();
        self.ledger.held_by(key).iter().map(|a| PodAddress { address: *a, pool: pool(a) }).collect()
    }
}
