//! Answers of a chain that were worked out before. Must never grow without bound, nor outlive what it was asked about.

use core::hash::Hash;
use std::collections::HashMap;

/// Keeps one answer per key: per attribute set, signature, and whatever else [`super::Chain::reads`] says. The owner
/// clears it when the chain changes or a number in a key begins to stand for something else.
#[derive(Clone, Debug)]
pub struct Memo<K, T> {
    answers: HashMap<K, T>,
    capacity: usize,
    hits: u64,
    misses: u64,
}

impl<K: Eq + Hash, T: Clone> Memo<K, T> {
    /// An empty memo for at most `capacity` answers (at least 1); it starts over when it is full.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { answers: HashMap::new(), capacity: capacity.max(1), hits: 0, misses: 0 }
    }

    /// The answer for `key`, worked out by `judge` if it is not known yet.
    pub fn answer(&mut self, key: K, judge: impl FnOnce() -> T) -> T {
        if let Some(known) = self.answers.get(&key) {
            self.hits += 1;
            return known.clone();
        }
        self.misses += 1;
        let answer = judge();
        if self.answers.len() >= self.capacity {
            self.answers.clear();
        }
        self.answers.insert(key, answer.clone());
        answer
    }

    /// Forgets all answers; the counters stay.
    pub fn clear(&mut self) {
        self.answers.clear();
    }

    /// How many answers were known, and how many had to be worked out.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    /// How many answers are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}
