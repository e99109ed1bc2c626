//! Plans again only what an event can have changed: one Service's endpoints cost one Service's work, however many the
//! cluster has. Its result always equals [`plan`](super::plan()) of the same view.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::facts::ObjectKey;
use super::observed::Observed;
use super::plan::{self, Plan, ServicePlan};

/// What an event touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A Service, its slices or its advertisements.
    Service(ObjectKey),
    /// Proof or announcement of one address.
    Vip(IpAddr),
    /// Something every decision depends on.
    Everything,
    /// Something only the node-wide parts depend on (peers, uplinks' routes, sessions).
    NodeOnly,
}

/// The Services' plans of the last round.
#[derive(Debug, Default)]
pub struct Planner {
    services: BTreeMap<ObjectKey, ServicePlan>,
    by_address: BTreeMap<IpAddr, BTreeSet<ObjectKey>>,
    dirty: BTreeSet<ObjectKey>,
    all_dirty: bool,
}

impl Planner {
    /// A planner whose first round plans everything.
    pub fn new() -> Self {
        Self { all_dirty: true, ..Self::default() }
    }

    /// Notes what the next round has to look at.
    pub fn mark(&mut self, change: Change) {
        match change {
            Change::Service(key) => {
                self.dirty.insert(key);
            }
            Change::Vip(address) => {
                self.dirty.extend(self.by_address.get(&address).into_iter().flatten().cloned());
            }
            Change::Everything => self.all_dirty = true,
            Change::NodeOnly => {}
        }
    }

    /// The plan of the whole node.
    pub fn plan(&mut self, observed: &Observed) -> Plan {
        if std::mem::take(&mut self.all_dirty) {
            self.dirty.extend(self.services.keys().chain(observed.adverts.groups()).cloned());
        }
        for key in std::mem::take(&mut self.dirty) {
            self.replan(observed, key);
        }
        plan::assemble(observed, self.services.values())
    }

    fn replan(&mut self, observed: &Observed, key: ObjectKey) {
        if let Some(old) = self.services.remove(&key) {
            for prefix in old.prefixes {
                self.forget(prefix.addr(), &key);
            }
        }
        let planned = plan::service(observed, &key);
        if planned.prefixes.is_empty() {
            return;
        }
        for prefix in &planned.prefixes {
            self.by_address.entry(prefix.addr()).or_default().insert(key.clone());
        }
        self.services.insert(key, planned);
    }

    fn forget(&mut self, address: IpAddr, key: &ObjectKey) {
        if let Some(keys) = self.by_address.get_mut(&address) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }
}
