//! What the API server holds of one kind, as seen by a watch and by the answers to our own writes. Never older than either.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kube::Resource;

use crate::key::Name;

/// Deleted UIDs that are remembered, so that a late answer does not bring an object back.
const BURIED: usize = 4096;

/// A change of one object.
#[derive(Debug)]
pub struct Change<T> {
    /// Before; absent when it is new.
    pub old: Option<Arc<T>>,
    /// After; absent when it is gone.
    pub new: Option<Arc<T>>,
}

/// Every object of one kind.
#[derive(Debug)]
pub struct Cache<T> {
    objects: BTreeMap<Name, Arc<T>>,
    listing: Option<BTreeSet<Name>>,
    ready: bool,
    buried: VecDeque<String>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), listing: None, ready: false, buried: VecDeque::new() }
    }
}

impl<T: Resource> Cache<T> {
    /// The object of this name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Arc<T>> {
        self.objects.get(name)
    }

    /// Every object, by name.
    pub fn values(&self) -> impl Iterator<Item = &Arc<T>> {
        self.objects.values()
    }

    /// Objects of a namespace whose name starts with `prefix`.
    pub fn starting_with<'a>(
        &'a self,
        namespace: &'a str,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Arc<T>> {
        self.objects
            .range(Name::new(namespace, prefix)..)
            .take_while(move |(name, _)| name.namespace == namespace && name.name.starts_with(prefix))
            .map(|(_, object)| object)
    }

    /// Whether the first list is complete.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Takes a newer state of an object; an older or a deleted one changes nothing.
    pub fn put(&mut self, object: T) -> Option<Change<T>> {
        let name = Name::of(&object);
        if let Some(listing) = &mut self.listing {
            listing.insert(name.clone());
        }
        let uid = object.meta().uid.clone().unwrap_or_default();
        if self.buried.contains(&uid) {
            return None;
        }
        let known = self.objects.get(&name);
        if known.is_some_and(|old| old.meta().uid == object.meta().uid && version(&**old) >= version(&object))
        {
            return None;
        }
        let new = Arc::new(object);
        let old = self.objects.insert(name, Arc::clone(&new));
        Some(Change { old, new: Some(new) })
    }

    /// Forgets an object for good. A younger object of the same name stays.
    pub fn remove(&mut self, name: &Name, uid: &str) -> Option<Change<T>> {
        self.bury(uid);
        if self.objects.get(name).is_some_and(|o| o.meta().uid.as_deref() != Some(uid)) {
            return None;
        }
        self.objects.remove(name).map(|old| Change { old: Some(old), new: None })
    }

    /// A new list begins: what it does not name is gone when it ends.
    pub fn begin_list(&mut self) {
        self.listing = Some(BTreeSet::new());
    }

    /// The list is complete.
    pub fn end_list(&mut self) -> Vec<Change<T>> {
        self.ready = true;
        let listed = self.listing.take().unwrap_or_default();
        let gone: Vec<Name> = self.objects.keys().filter(|name| !listed.contains(name)).cloned().collect();
        gone.iter()
            .filter_map(|name| self.objects.remove(name))
            .map(|old| Change { old: Some(old), new: None })
            .collect()
    }

    fn bury(&mut self, uid: &str) {
        if self.buried.len() == BURIED {
            self.buried.pop_front();
        }
        self.buried.push_back(uid.to_owned());
    }
}

/// Resource versions of one kind are comparable numbers (KEP-5504); anything else counts as oldest.
fn version<T: Resource>(object: &T) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn object(name: &str, uid: &str, version: u64) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_owned());
        object.metadata.uid = Some(uid.to_owned());
        object.metadata.resource_version = Some(version.to_string());
        object
    }

    #[test]
    fn an_older_state_never_replaces_a_newer_one() {
        let mut cache = Cache::default();
        assert!(cache.put(object("a", "1", 7)).is_some());
        assert!(cache.put(object("a", "1", 7)).is_none());
        assert!(cache.put(object("a", "1", 6)).is_none());
        assert!(cache.put(object("a", "2", 5)).is_some(), "another object of the same name");
    }

    #[test]
    fn a_late_answer_does_not_bring_a_deleted_object_back() {
        let mut cache = Cache::default();
        cache.put(object("a", "1", 7));
        assert!(cache.remove(&Name::cluster("a"), "1").is_some());
        assert!(cache.put(object("a", "1", 9)).is_none());
        cache.put(object("a", "2", 10));
        assert!(cache.remove(&Name::cluster("a"), "1").is_none());
        assert_eq!(cache.values().count(), 1);
    }

    #[test]
    fn a_new_list_drops_what_it_does_not_name() {
        let mut cache = Cache::default();
        cache.put(object("a", "1", 1));
        cache.begin_list();
        cache.put(object("b", "2", 2));
        let gone = cache.end_list();
        assert_eq!(gone.len(), 1);
        assert!(cache.is_ready() && cache.get(&Name::cluster("b")).is_some());
    }
}
