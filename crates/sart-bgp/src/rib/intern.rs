//! Keeps one copy of each set of attributes. Must never hand out two for equal content.

use std::collections::HashSet;
use std::sync::Arc;

use super::destination::Path;
use crate::wire::attr::Attributes;

#[derive(Debug, Default)]
pub(crate) struct Interner {
    sets: HashSet<Arc<Attributes>>,
}

impl Interner {
    /// The one copy of `attributes`.
    pub(crate) fn intern(&mut self, attributes: Attributes) -> Arc<Attributes> {
        if let Some(known) = self.sets.get(&attributes) {
            return Arc::clone(known);
        }
        let new = Arc::new(attributes);
        self.sets.insert(Arc::clone(&new));
        new
    }

    /// Gives a copy back; the last one frees the set.
    pub(crate) fn release(&mut self, attributes: Arc<Attributes>) {
        // Ours and the one just given back.
        if Arc::strong_count(&attributes) <= 2 {
            self.sets.remove(&attributes);
        }
    }

    /// Gives both copies of a path back.
    pub(crate) fn release_path(&mut self, path: Path) {
        let Path { attributes, received, .. } = path;
        match received {
            Some(received) if !Arc::ptr_eq(&received.attributes, &attributes) => {
                self.release(received.attributes);
            }
            received => drop(received),
        }
        self.release(attributes);
    }

    /// Frees every set that nobody holds.
    pub(crate) fn sweep(&mut self) {
        self.sets.retain(|attributes| Arc::strong_count(attributes) > 1);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }
}
