//! A ledger of one IPv4 and one IPv6 range in memory: the lowest free address first, no cool-down, no API.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use sart_agent::cni::{
    AddressError, AddressRequest, AttachmentKey, BlockUse, Holding, NotReady, PodAddress, PodAddresses,
};

/// Families of the pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    V4,
    V6,
    Dual,
}

pub struct Ranges {
    families: Families,
    size: u16,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: BTreeMap<AttachmentKey, Vec<PodAddress>>,
    cooling: BTreeSet<IpAddr>,
    refusal: Option<AddressError>,
    unready: bool,
}

impl Ranges {
    pub fn families(&self) -> Families {
        self.families
    }

    pub fn new(families: Families, size: u16) -> Self {
        Self { families, size, state: Mutex::default() }
    }

    /// Every allocation from now on ends like this.
    pub fn refuse(&self, refusal: Option<AddressError>) {
        self.state.lock().unwrap().refusal = refusal;
    }

    pub fn set_ready(&self, ready: bool) {
        self.state.lock().unwrap().unready = !ready;
    }

    /// Who holds what.
    pub fn all(&self) -> BTreeMap<AttachmentKey, Vec<PodAddress>> {
        self.state.lock().unwrap().held.clone()
    }

    pub fn cooling(&self) -> BTreeSet<IpAddr> {
        self.state.lock().unwrap().cooling.clone()
    }

    /// Loses what a key holds, as a defect would.
    pub fn lose(&self, key: &AttachmentKey) -> Option<Vec<PodAddress>> {
        self.state.lock().unwrap().held.remove(key)
    }

    pub fn put_back(&self, key: AttachmentKey, addresses: Vec<PodAddress>) {
        self.state.lock().unwrap().held.insert(key, addresses);
    }

    fn numbered(&self, n: u16) -> Vec<PodAddress> {
        let v4 = IpAddr::from([10, 1, (n >> 8) as u8, n as u8]);
        let v6 = IpAddr::from([0xfd00, 1, 0, 0, 0, 0, 0, n]);
        let addresses = match self.families {
            Families::V4 => vec![v4],
            Families::V6 => vec![v6],
            Families::Dual => vec![v4, v6],
        };
        addresses.into_iter().map(|address| PodAddress { address, pool: "default".into() }).collect()
    }
}

impl PodAddresses for Ranges {
    fn allocate(&self, request: &AddressRequest, _: Instant) -> Result<Vec<PodAddress>, AddressError> {
        let mut state = self.state.lock().unwrap();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if let Some(held) = state.held.get(&request.key) {
            return Ok(held.clone());
        }
        let taken: BTreeSet<IpAddr> = state.held.values().flatten().map(|taken| taken.address).collect();
        let free = (1..=self.size).map(|n| self.numbered(n)).find(|set| {
            set.iter().all(|one| !taken.contains(&one.address) && !state.cooling.contains(&one.address))
        });
        let free =
            free.ok_or_else(|| AddressError::Exhausted("no address is left; enlarge the pool".into()))?;
        state.held.insert(request.key.clone(), free.clone());
        Ok(free)
    }

    fn adopt(&self, key: &AttachmentKey, addresses: &[PodAddress]) -> Result<(), IpAddr> {
        let mut state = self.state.lock().unwrap();
        for (other, held) in &state.held {
            if let Some(taken) = held.iter().find(|taken| other != key && addresses.contains(taken)) {
                return Err(taken.address);
            }
        }
        state.held.insert(key.clone(), addresses.to_vec());
        Ok(())
    }

    fn cool(&self, address: &PodAddress, _: SystemTime) {
        self.state.lock().unwrap().cooling.insert(address.address);
    }

    fn release(&self, key: &AttachmentKey, _: SystemTime) {
        self.state.lock().unwrap().held.remove(key);
    }

    fn held(&self, key: &AttachmentKey) -> Vec<PodAddress> {
        self.state.lock().unwrap().held.get(key).cloned().unwrap_or_default()
    }

    fn holdings(&self) -> Vec<Holding> {
        let state = self.state.lock().unwrap();
        let all = state.held.iter().flat_map(|(key, held)| held.iter().map(move |one| (key, one.address)));
        let block = Some("default-0".to_owned());
        all.map(|(key, address)| Holding { key: key.clone(), address, block: block.clone(), leaked: false })
            .collect()
    }

    fn blocks(&self) -> Vec<BlockUse> {
        let state = self.state.lock().unwrap();
        let (held, cooling) = (state.held.len(), state.cooling.len());
        let free = i64::from(self.size) - i64::try_from(held + cooling).unwrap();
        vec![BlockUse { pool: "default".into(), name: "default-0".into(), free, held, cooling }]
    }

    fn ready(&self) -> Result<(), NotReady> {
        let state = self.state.lock().unwrap();
        let full = state.held.len() >= usize::from(self.size);
        if state.unready || full {
            Err(NotReady("the default pool has no free address".into()))
        } else {
            Ok(())
        }
    }
}
