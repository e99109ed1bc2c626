//! Objects held under the Service they belong to, so that one event touches one Service. Knows nothing of their meaning.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::ObjectKey;

/// Items by group, with the way back from an item's own key to its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouped<T> {
    groups: BTreeMap<ObjectKey, BTreeMap<ObjectKey, T>>,
    group_of: BTreeMap<ObjectKey, ObjectKey>,
}

impl<T> Default for Grouped<T> {
    fn default() -> Self {
        Self { groups: BTreeMap::new(), group_of: BTreeMap::new() }
    }
}

impl<T: PartialEq> Grouped<T> {
    /// Stores an item and returns the groups that changed: none, one, or two if it moved.
    pub fn set(&mut self, key: ObjectKey, group: ObjectKey, item: T) -> Vec<ObjectKey> {
        let mut touched = Vec::new();
        if self.group_of.get(&key).is_some_and(|old| *old != group) {
            touched.extend(self.remove(&key));
        }
        let members = self.groups.entry(group.clone()).or_default();
        if members.get(&key) != Some(&item) {
            members.insert(key.clone(), item);
            self.group_of.insert(key, group.clone());
            touched.push(group);
        }
        touched
    }

    /// Drops an item and returns its group.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<ObjectKey> {
        let group = self.group_of.remove(key)?;
        if let Some(members) = self.groups.get_mut(&group) {
            members.remove(key);
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
        Some(group)
    }

    /// Keys held that are not in `seen`: what a complete list no longer has.
    pub fn unseen(&self, seen: &BTreeSet<ObjectKey>) -> Vec<ObjectKey> {
        self.group_of.keys().filter(|key| !seen.contains(key)).cloned().collect()
    }

    /// The items of a group with their own keys, in key order.
    pub fn group(&self, group: &ObjectKey) -> impl Iterator<Item = (&ObjectKey, &T)> + Clone {
        self.groups.get(group).into_iter().flatten()
    }

    /// Every item.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.groups.values().flat_map(BTreeMap::values)
    }

    /// Every group that has an item.
    pub fn groups(&self) -> impl Iterator<Item = &ObjectKey> {
        self.groups.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("ns", name)
    }

    #[test]
    fn a_moved_item_touches_both_groups_and_leaves_the_old_one() {
        let mut grouped = Grouped::default();
        assert_eq!(grouped.set(key("slice"), key("a"), 1), [key("a")]);
        assert_eq!(grouped.set(key("slice"), key("a"), 1), []);
        assert_eq!(grouped.set(key("slice"), key("b"), 1), [key("a"), key("b")]);
        assert_eq!(grouped.group(&key("a")).count(), 0);
        assert_eq!(grouped.group(&key("b")).count(), 1);
        assert_eq!(grouped.groups().count(), 1);
    }

    #[test]
    fn what_a_new_list_lacks_is_named() {
        let mut grouped = Grouped::default();
        grouped.set(key("one"), key("a"), 1);
        grouped.set(key("two"), key("a"), 2);
        assert_eq!(grouped.unseen(&BTreeSet::from([key("two")])), [key("one")]);
        assert_eq!(grouped.remove(&key("one")), Some(key("a")));
        assert_eq!(grouped.remove(&key("one")), None);
    }
}
